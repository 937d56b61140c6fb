/** Account proofs as a device that is not our client makes them. */
import { createHash } from "node:crypto";
import { finalizeEvent } from "nostr-tools";
import { nowS } from "./clock.mjs";

/** Kind of account proofs. */
const PROOF = 27434;

/**
 * The owner key's word for one request.
 * @param {Uint8Array} secret the owner secret
 * @param {object} what
 * @param {"register"|"recover"} what.verb
 * @param {string} what.origin the server's public address
 * @param {string|null} [what.challenge]
 * @param {object} what.body the request's body
 * @param {object} [what.event] replaces fields of the event before it is signed
 * @param {object} [what.content] replaces fields of its content
 */
export function accountProof(secret, { verb, origin, challenge = null, body, event = {}, content = {} }) {
  const said = { v: 1, verb, origin, challenge, body: digest(body), ...content };
  return finalizeEvent({ kind: PROOF, created_at: nowS(), tags: [], content: JSON.stringify(said), ...event }, secret);
}

/** SHA-256 over the parts of a body, each behind its length. */
function digest({ username = "", password, owner_pubkey, owner_blob, kdf }) {
  const costs = kdf ? [kdf.salt, kdf.log_n, kdf.r, kdf.p].join(":") : "";
  const hash = createHash("sha256");
  for (const part of [username, password, owner_pubkey, owner_blob ?? "", costs]) {
    const bytes = Buffer.from(String(part), "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest("hex");
}
