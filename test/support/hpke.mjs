/**
 * HPKE in base mode (RFC 9180) with X25519, HKDF-SHA256 and ChaCha20-Poly1305, one message per key,
 * with Node's cryptography alone: the judge of what the holders open.
 */
import { createCipheriv, createDecipheriv, createHmac, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";

const utf8 = (text) => Buffer.from(text, "utf8");
const u16 = (n) => Buffer.from([n >> 8, n & 255]);

/** RFC 9180 sections 4.1 and 5.1: which KEM, KDF and AEAD. */
const KEM = Buffer.concat([utf8("KEM"), u16(0x0020)]);
const SUITE = Buffer.concat([utf8("HPKE"), u16(0x0020), u16(0x0001), u16(0x0003)]);

/**
 * Seals to a holder's receiving key.
 * @param {string} receivingKey X25519 public key as hex
 * @param {{purpose: string, aad: Buffer, plaintext: Buffer}} message
 * @returns {string} base64 of the encapsulated key and the ciphertext
 */
export function seal(receivingKey, { purpose, aad, plaintext }) {
  const receiver = Buffer.from(receivingKey, "hex");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: receiver.toString("base64url") }, format: "jwk" });
  const own = generateKeyPairSync("x25519");
  const encapsulated = Buffer.from(own.publicKey.export({ format: "jwk" }).x, "base64url");
  const { key, nonce } = schedule(diffieHellman({ privateKey: own.privateKey, publicKey }), encapsulated, receiver, purpose);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([encapsulated, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString("base64");
}

/**
 * Opens what was sealed to an own key.
 * @param {import("node:crypto").KeyObject} privateKey X25519
 * @param {string} packed base64 of the encapsulated key and the ciphertext
 * @param {{purpose: string, aad: Buffer}} message
 * @returns {Buffer}
 */
export function open(privateKey, packed, { purpose, aad }) {
  const bytes = Buffer.from(packed, "base64");
  const [encapsulated, ciphertext, tag] = [bytes.subarray(0, 32), bytes.subarray(32, -16), bytes.subarray(-16)];
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x: encapsulated.toString("base64url") }, format: "jwk" });
  const receiver = Buffer.from(privateKey.export({ format: "jwk" }).x, "base64url");
  const { key, nonce } = schedule(diffieHellman({ privateKey, publicKey }), encapsulated, receiver, purpose);
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad, { plaintextLength: ciphertext.length });
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

/** RFC 9180 sections 4.1 and 5.1: from the shared point to the message's key. */
function schedule(dh, encapsulated, receiver, purpose) {
  const shared = expand(KEM, extract(KEM, "", "eae_prk", dh), "shared_secret", Buffer.concat([encapsulated, receiver]), 32);
  const hashes = [extract(SUITE, "", "psk_id_hash", ""), extract(SUITE, "", "info_hash", purpose)];
  const context = Buffer.concat([Buffer.from([0]), ...hashes]);
  const secret = extract(SUITE, shared, "secret", "");
  return { key: expand(SUITE, secret, "key", context, 32), nonce: expand(SUITE, secret, "base_nonce", context, 12) };
}

function extract(suite, salt, label, input) {
  return hmac(salt, utf8("HPKE-v1"), suite, utf8(label), Buffer.from(input));
}

/** One block of HKDF is enough for everything here. */
function expand(suite, key, label, info, bytes) {
  return hmac(key, u16(bytes), utf8("HPKE-v1"), suite, utf8(label), info, Buffer.from([1])).subarray(0, bytes);
}

function hmac(key, ...parts) {
  return createHmac("sha256", key).update(Buffer.concat(parts)).digest();
}
