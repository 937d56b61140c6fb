/**
 * A software authenticator for passkeys, made with Node's cryptography: ES256 over P-256, discoverable, verifies its
 * user, counts its uses. It can get each of these wrong.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const FLAG = { present: 0x01, verified: 0x04, credential: 0x40 };
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const sha256 = (data) => createHash("sha256").update(data).digest();

export class Authenticator {
  #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  id = randomBytes(32);
  /** The account's handle, known after {@link create}. */
  user = null;
  count = 0;
  /** Whether it counts its uses at all. */
  counts = true;

  /** @param {string} origin of the page that asks */
  constructor(origin) {
    this.origin = origin;
  }

  /**
   * What `navigator.credentials.create` would give, by `toJSON()`.
   * @param {object} options the server's `public_key`
   * @param {object} [wrong] see {@link get}
   */
  create(options, wrong = {}) {
    this.user = options.user.id;
    const { x, y } = this.#keys.publicKey.export({ format: "jwk" });
    const cose = cborMap([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, "base64url")], [-3, Buffer.from(y, "base64url")]]);
    const credential = Buffer.concat([Buffer.alloc(16), u16(this.id.length), this.id, cose]);
    const { data, clientData } = this.#said("webauthn.create", options.challenge, options.rp.id, credential, wrong);
    const attestation = cborMap([["fmt", "none"], ["attStmt", new Map()], ["authData", data]]);
    const response = { clientDataJSON: base64url(clientData), attestationObject: base64url(attestation), transports: ["internal"] };
    return this.#credential(response, wrong);
  }

  /**
   * What `navigator.credentials.get` would give, by `toJSON()`.
   * @param {object} options the server's `public_key`
   * @param {object} [wrong] what to get wrong
   * @param {string} [wrong.origin]
   * @param {string} [wrong.rpId]
   * @param {number} [wrong.flags]
   * @param {object} [wrong.clientData] replaces fields of the client data
   * @param {string|null} [wrong.userHandle]
   * @param {object} [wrong.extensions] what extensions answered
   * @param {(signature: Buffer) => Buffer} [wrong.signature]
   */
  get(options, wrong = {}) {
    if (this.counts) this.count += 1;
    const { data, clientData } = this.#said("webauthn.get", options.challenge, options.rpId, Buffer.alloc(0), wrong);
    const signature = sign("sha256", Buffer.concat([data, sha256(clientData)]), this.#keys.privateKey);
    const response = {
      clientDataJSON: base64url(clientData),
      authenticatorData: base64url(data),
      signature: base64url(wrong.signature?.(signature) ?? signature),
      userHandle: wrong.userHandle === undefined ? this.user : wrong.userHandle,
    };
    return this.#credential(response, wrong);
  }

  #said(type, challenge, rpId, credential, wrong) {
    const flags = (wrong.flags ?? FLAG.present | FLAG.verified) | (credential.length ? FLAG.credential : 0);
    const data = Buffer.concat([sha256(wrong.rpId ?? rpId), Buffer.from([flags]), u32(this.count), credential]);
    const client = { type, challenge, origin: wrong.origin ?? this.origin, crossOrigin: false, ...wrong.clientData };
    return { data, clientData: Buffer.from(JSON.stringify(client)) };
  }

  #credential(response, { extensions = {} }) {
    const id = base64url(this.id);
    return { id, rawId: id, type: "public-key", authenticatorAttachment: "platform", response, clientExtensionResults: extensions };
  }
}

/** CBOR (RFC 8949) of a map of small integers, texts, bytes and empty maps. */
function cborMap(entries) {
  return Buffer.concat([head(5, entries.length), ...entries.flat().map(cbor)]);
}

function cbor(value) {
  if (value instanceof Map) return cborMap([...value]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  if (typeof value === "string") return Buffer.concat([head(3, value.length), Buffer.from(value)]);
  return value < 0 ? head(1, -1 - value) : head(0, value);
}

function head(major, n) {
  if (n < 24) return Buffer.from([(major << 5) | n]);
  if (n < 256) return Buffer.from([(major << 5) | 24, n]);
  return Buffer.concat([Buffer.from([(major << 5) | 25]), u16(n)]);
}
