/** Public keys as people see them: NIP-19's npub, and a short form that still shows both ends. */

const CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

function polymod(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((it, bit) => {
      if ((top >>> bit) & 1) sum ^= it;
    });
  }
  return sum;
}

/** NIP-19 text of 64 hex digits under a prefix, such as npub or note. Null when they are no 32 bytes. */
export function bech32(prefix: string, hex: string): string | null {
  if (!/^[0-9a-f]{64}$/.test(hex)) return null;
  const bits = [...hex].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, "0")).join("");
  const data = (bits.padEnd(260, "0").match(/.{5}/g) ?? []).map((five) => Number.parseInt(five, 2));
  const codes = [...prefix].map((letter) => letter.charCodeAt(0));
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  const sum = polymod([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const checksum = [25, 20, 15, 10, 5, 0].map((shift) => (sum >>> shift) & 31);
  return `${prefix}1${[...data, ...checksum].map((value) => CHARSET.charAt(value)).join("")}`;
}

export function npub(hex: string): string {
  return bech32("npub", hex) ?? hex;
}

export function note(hex: string): string {
  return bech32("note", hex) ?? hex;
}

/** "npub1qqq…wxyz". */
export function short(text: string, head = 12, tail = 6): string {
  return text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`;
}
