/** Text as it will be signed, with what would hide or reorder it made visible. */

// Controls except tab and line feed; characters that turn the direction of what follows; and the letters of emoji
// flags, where there is no flag.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\ufeff\ufff9-\ufffb]|(?<!\u{1f3f4}[\u{e0020}-\u{e007f}]*)[\u{e0000}-\u{e007f}]/gu;

export type Piece = { readonly text: string; readonly unseen: boolean };

/** The text in pieces; an unseen character is a piece of its own, by its number: "U+202E". */
export function pieces(text: string): Piece[] {
  const clean = text.replaceAll("\r\n", "\n");
  const found: Piece[] = [];
  let from = 0;
  for (const match of clean.matchAll(UNSEEN)) {
    if (match.index > from) found.push({ text: clean.slice(from, match.index), unseen: false });
    const code = (match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    found.push({ text: `U+${code}`, unseen: true });
    from = match.index + match[0].length;
  }
  if (from < clean.length) found.push({ text: clean.slice(from), unseen: false });
  return found;
}

/** "1.2 KB" for people; bytes of UTF-8. */
export function size(text: string): string {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
