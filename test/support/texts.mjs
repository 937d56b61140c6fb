/** Texts to have signed and encrypted, those that break careless code among them. */
import { nowS } from "./clock.mjs";

/** Everything that JSON and NIP-01 escape or must leave alone. */
export const AWKWARD = "tab\t newline\n return\r backspace\b feed\f quote\" backslash\\ slash/ nul\u0000 unit\u001f del\u007f \u2028\u2029 <script>&amp; é ß 漢字 🤝 \u{10ffff}";

/** Plaintext lengths in bytes around NIP-44's change of prefix, and well past it. */
export const LONG_BYTES = [65_535, 65_536, 100_000];

/** A text of exactly `bytes` bytes, not all alike. @param {number} bytes */
export const textOf = (bytes) => "Passport ".repeat(Math.ceil(bytes / 9)).slice(0, bytes);

/** A note of now, as the text that `sign_event` takes. @param {string} content */
export const note = (content) => JSON.stringify({ kind: 1, created_at: nowS(), tags: [], content });
