// Files that the page gives to the person, and takes from them.

/** Largest file that can be a recovery kit, in bytes; kits have about one thousand. */
const TEXT_MOST_BYTES = 64 * 1024;

export function saveText(name: string, text: string, type = "application/json"): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The text of a small file, or null when it is too large to be what was asked for. */
export async function textOf(file: File): Promise<string | null> {
  return file.size > TEXT_MOST_BYTES ? null : file.text();
}
