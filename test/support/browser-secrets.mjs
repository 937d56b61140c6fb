/**
 * What must never leave a person's device, worked out from outside with others' cryptography, and the forms in which
 * it could have left.
 */
import { createHash, hkdfSync, scryptSync } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { nip19 } from "nostr-tools";
import { forms } from "./vault.mjs";

const utf8 = (text) => Buffer.from(text, "utf8");
const hex = (text) => Buffer.from(text, "hex");
const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

/** Order of secp256k1. */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/**
 * Opens a recovery kit.
 * @param {string} file its text
 * @param {string} passphrase
 * @returns {{owner: Buffer, share: Buffer, holder: number, pubkey: string, group: string}}
 */
export function openKit(file, passphrase) {
  const kit = JSON.parse(file);
  const root = stretched(passphrase, kit.kdf);
  const facts = kit.public;
  const holders = facts.holders.map((it) => Buffer.concat([u16(it.index), sha256(utf8(it.role)), hex(it.verifying_share)]));
  const group = sha256(Buffer.concat([hex(facts.group), u32(facts.epoch), u16(facts.threshold), hex(facts.pubkey), ...holders]));
  const cost = [hex(kit.kdf.salt), Buffer.from([kit.kdf.log_n]), u32(kit.kdf.r), u32(kit.kdf.p)];
  const aad = Buffer.concat([utf8("passport/v1/recovery-kit"), u32(kit.v), group, u16(kit.holder), ...cost]);
  const key = derived(root, "passport/v1/recovery-kit");
  const opened = Buffer.from(xchacha20poly1305(key, hex(kit.nonce), aad).decrypt(Buffer.from(kit.ciphertext, "base64")));
  return { owner: opened.subarray(0, 32), share: opened.subarray(32), holder: kit.holder, pubkey: facts.pubkey, group: facts.group };
}

/** The keys that a device makes of a password, of which it sends one. @param {{salt: string, log_n: number, r: number, p: number}} kdf */
export function passwordKeys(password, kdf) {
  const root = stretched(password, kdf);
  const [loginSecret, blobKey] = ["passport/v1/login-secret", "passport/v1/owner-blob"].map((info) => derived(root, info));
  return { root, blobKey, loginSecret: loginSecret.toString("hex") };
}

/** The whole key that two shares give. @param {[number, Buffer][]} shares holder and share */
export function wholeKey(shares) {
  return shareAt(0, shares);
}

/** A holder's share, by two others. @param {number} holder @param {[number, Buffer][]} shares holder and share */
export function shareAt(holder, [[i, a], [j, b]]) {
  const [at, x, y] = [BigInt(holder), BigInt(i), BigInt(j)];
  const share = mod(number(a) * (y - at) * inverse(y - x) + number(b) * (x - at) * inverse(x - y));
  return hex(share.toString(16).padStart(64, "0"));
}

/** A secret with a name to blame it by. */
export class Watched {
  /** @param {string} name @param {[string, Buffer][]} written ways to write it, each with its name */
  constructor(name, written) {
    this.name = name;
    this.written = written;
  }

  /** Something that a person types. */
  static text(name, text) {
    const escaped = JSON.stringify(text).slice(1, -1);
    const ways = [
      ["as it is", text],
      ["in JSON", escaped],
      ["in JSON in JSON", JSON.stringify(escaped).slice(1, -1)],
      ["in a URL", encodeURIComponent(text)],
      ["in a form", new URLSearchParams({ x: text }).toString().slice(2)],
    ];
    const bytes = forms(utf8(text)).slice(1).map((it) => ["in hex or base64", it]);
    return new Watched(name, [...ways.map(([way, it]) => [way, utf8(it)]), ...bytes]);
  }

  /** A key of 32 bytes. */
  static key(name, bytes) {
    const key = Buffer.from(bytes);
    if (key.length !== 32) throw new Error(`${name} is no key`);
    const [raw, ...coded] = forms(key);
    // A key of the group also counts when it is negated: both have the same x-only public key.
    const negated = hex(mod(-number(key)).toString(16).padStart(64, "0"));
    return new Watched(name, [
      ["raw", raw],
      ...coded.map((it) => ["in hex or base64", it]),
      ["as nsec", utf8(nip19.nsecEncode(key).slice("nsec1".length, -6))],
      ["as numbers", utf8([...key].join(","))],
      ["as numbers, spaced", utf8([...key].join(", "))],
      ["negated, in hex", utf8(negated.toString("hex"))],
      ["negated, as nsec", utf8(nip19.nsecEncode(negated).slice("nsec1".length, -6))],
    ]);
  }

  /** How it stands in `bytes`, or null. @param {Buffer} bytes */
  foundIn(bytes) {
    const lower = Buffer.from(bytes.toString("latin1").toLowerCase(), "latin1");
    const way = this.written.find(([, it]) => bytes.includes(it) || lower.includes(it));
    return way ? way[0] : null;
  }
}

function stretched(text, { salt, log_n, r, p }) {
  const options = { N: 2 ** log_n, r, p, maxmem: 2 ** 31 - 1 };
  return scryptSync(utf8(text.normalize("NFKC")), hex(salt), 32, options);
}

function derived(root, info) {
  return Buffer.from(hkdfSync("sha256", root, Buffer.alloc(0), info, 32));
}

const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const mod = (n) => ((n % N) + N) % N;

/** By Fermat: N is prime. */
function inverse(n) {
  let [base, exponent, result] = [mod(n), N - 2n, 1n];
  for (; exponent > 0n; exponent >>= 1n, base = mod(base * base)) if (exponent & 1n) result = mod(result * base);
  return result;
}
