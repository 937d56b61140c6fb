/**
 * Opens everything that a server's holders seal, with others' cryptography and the deployment's
 * own KEKs: the list of secrets that must be found nowhere else.
 */
import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";

const utf8 = (text) => Buffer.from(text, "utf8");
const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const hex = (text) => Buffer.from(text, "hex");
const base64 = (text) => Buffer.from(text, "base64");

/** All rows of one holder's store as `[kind, key, body]`. Only while the server is stopped. */
export function rows(file) {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare("SELECT kind, key, body FROM record").all().map((row) => [row.kind, row.key, row.body]);
  } finally {
    database.close();
  }
}

/** Changes one row of a holder's store, as somebody with the disk could. */
export function tamper(file, kind, change) {
  const database = new DatabaseSync(file);
  try {
    const row = database.prepare("SELECT key, body FROM record WHERE kind = ? ORDER BY key LIMIT 1").get(kind);
    if (!row) throw new Error(`no ${kind} row in ${file}`);
    const body = change(row.body);
    if (body === null) database.prepare("DELETE FROM record WHERE kind = ? AND key = ?").run(kind, row.key);
    else database.prepare("UPDATE record SET body = ? WHERE kind = ? AND key = ?").run(body, kind, row.key);
  } finally {
    database.close();
  }
}

/** The deployment's secrets by name. */
export function deploymentSecrets(secretsFile) {
  const lines = readFileSync(secretsFile, "utf8").split("\n").filter((line) => /^[A-Z0-9_]+=/.test(line));
  return Object.fromEntries(lines.map((line) => line.split("=", 2).map((part) => part.replace(/^"|"$/g, ""))));
}

/**
 * The data key, share and transport secrets of one holder.
 * @param {string} file its SQLite file
 * @param {string} kekHex
 */
export function openHolder(file, kekHex) {
  const stored = rows(file);
  const one = (kind) => JSON.parse(stored.find(([of]) => of === kind)[2]);
  const { statement, holder } = one("identity");
  const { group, public: created } = JSON.parse(statement.content);
  const renewed = stored.find(([of]) => of === "epoch");
  const facts = renewed ? JSON.parse(renewed[2]).public : created;
  const sealed = one("share");
  const wrapped = base64(sealed.wrapped_dek);
  const kekAad = Buffer.concat([utf8("passport/v1/hsm-simulator/dek"), wrapped.subarray(0, 1), utf8(sealed.kek_id)]);
  const dek = open(hex(kekHex), wrapped.subarray(1, 25), wrapped.subarray(25), kekAad);
  const shareAad = Buffer.concat([utf8("passport/v1/sealed-share"), u32(1), hex(group), u16(holder), u32(facts.epoch)]);
  const share = open(derived(dek, "passport/v1/sealed-share"), hex(sealed.nonce), base64(sealed.ciphertext), shareAad);
  const transports = stored.filter(([kind]) => kind === "transport").map(([, connection, body]) => {
    const { nonce, ciphertext } = JSON.parse(body);
    const label = [u32(1), hex(group), u16(holder), Buffer.from([9]), utf8("transport"), hex(connection)];
    const aad = Buffer.concat([utf8("passport/v1/sealed-bytes"), ...label]);
    return open(derived(dek, "passport/v1/sealed-bytes"), hex(nonce), base64(ciphertext), aad);
  });
  return { dek, share, transports };
}

/** A secret in the forms in which it could have leaked. */
export function forms(secret) {
  const raw = Buffer.from(secret);
  const inside = [0, 1, 2].map((shift) => {
    // Base64 of a longer text shows the secret at one of three alignments; the outer characters mix with neighbours.
    const text = Buffer.concat([Buffer.alloc(shift), raw]).toString("base64");
    return text.slice(Math.ceil((shift * 4) / 3), text.length - 4);
  });
  const texts = [raw.toString("hex"), raw.toString("hex").toUpperCase(), ...inside, ...inside.map(urlSafe)];
  return [raw, ...texts.map(utf8)];
}

function urlSafe(text) {
  return text.replaceAll("+", "-").replaceAll("/", "_");
}

function derived(root, info) {
  return Buffer.from(hkdfSync("sha256", root, Buffer.alloc(0), info, 32));
}

function open(key, nonce, ciphertext, aad) {
  return Buffer.from(xchacha20poly1305(key, nonce, aad).decrypt(ciphertext));
}
