import { nip19 } from "nostr-tools";
import { expect, test } from "vitest";
import { note, npub, short } from "./npub";

test("the npub is the one that others write", () => {
  for (const byte of [0, 1, 127, 128, 255]) {
    const hex = byte.toString(16).padStart(2, "0").repeat(32);
    expect(npub(hex)).toBe(nip19.npubEncode(hex));
    expect(note(hex)).toBe(nip19.noteEncode(hex));
  }
  const hex = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";
  expect(npub(hex)).toBe("npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg");
});

test("what is no key stays as it is", () => {
  expect(npub("abc")).toBe("abc");
  expect(npub("AA".repeat(32))).toBe("AA".repeat(32));
});

test("the short form shows both ends", () => {
  expect(short("npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg")).toBe("npub10elfcs4…zvjptg");
  expect(short("short")).toBe("short");
});
