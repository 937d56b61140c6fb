/**
 * A person's device that is not our client: it splits a key, seals the shares and signs statements
 * with Node's and nostr-tools' cryptography, and can get each of these wrong.
 */
import { createECDH, createHash, randomBytes } from "node:crypto";
import { finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools";
import { ask } from "./api.mjs";
import { nowS } from "./clock.mjs";
import { seal } from "./hpke.mjs";
import { accountProof } from "./proof.mjs";

/** Order of secp256k1. */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** Kind of the owner's statements. */
const STATEMENT = 27433;
/** Who holds which share of a hosted key. */
const ROLES = ["bunker", "cosigner", "recovery"];
const EVERYTHING = { rules: [{ effect: "allow", methods: "all", kinds: "all", peers: "all", uses: null }] };

/** 16 random bytes as hex: a group's or a connection's id. */
export const freshId = () => randomBytes(16).toString("hex");

export class Device {
  ownerSecret = generateSecretKey();
  owner = getPublicKey(this.ownerSecret);
  username = `device-${randomBytes(6).toString("hex")}`;
  /** What a device derives from the password: any 32 bytes as hex. */
  password = randomBytes(32).toString("hex");
  kdf = { salt: freshId(), log_n: 17, r: 8, p: 1 };

  constructor(server) {
    this.server = server;
  }

  /** A device with an account, signed in. */
  static async signedIn(server) {
    const device = new Device(server);
    const made = await device.register();
    if (made.status !== 201) throw new Error(`not registered: ${made.text}`);
    const { body, holders } = { body: (await device.signIn()).body, holders: (await ask(server, "GET", "/holders")).body.holders };
    return Object.assign(device, { token: body.access_token, receivingKeys: holders.map((it) => it.receiving_key) });
  }

  /**
   * `POST /auth/register`.
   * @param {object} [over] replaces fields; the proof is for what is sent then, unless it is replaced itself
   * @param {Uint8Array} [signer] signs the proof in the owner's place
   */
  register(over = {}, signer = this.ownerSecret) {
    const { username, password, owner, kdf } = this;
    const body = { username, password, owner_pubkey: owner, kdf, ...over };
    const proof = accountProof(signer, { verb: "register", origin: this.server.url, body });
    return ask(this.server, "POST", "/auth/register", { json: { proof, ...body } });
  }

  /** `POST /auth/token`. @param {object} [over] replaces fields */
  signIn(over = {}) {
    const { username, password } = this;
    return ask(this.server, "POST", "/auth/token", { json: { username, password, ...over } });
  }

  /** Asks as this account. */
  ask(method, path, options = {}) {
    return ask(this.server, method, path, { token: this.token, ...options });
  }

  /** An owner statement. @param {object} content without version @param {Uint8Array} [secret] signs in the owner's place */
  sign(content, secret = this.ownerSecret) {
    const template = { kind: STATEMENT, created_at: nowS(), tags: [], content: JSON.stringify({ v: 1, ...content }) };
    return finalizeEvent(template, secret);
  }

  /**
   * The body of `POST /keys` for a key that is split here.
   * @param {object} [wrong] what to get wrong
   * @param {(shares: Buffer[]) => Buffer[]} [wrong.sealed] changes the shares before they are sealed, not the statement
   * @param {(facts: object) => object} [wrong.facts] changes the group's public facts before they are signed
   * @param {Uint8Array} [wrong.signer] signs in the owner's place
   * @param {string} [wrong.group]
   */
  keyBody({ sealed = (shares) => shares, facts = (it) => it, signer, group = freshId() } = {}) {
    const { pubkey, shares } = split();
    const holders = shares.map((share, at) => ({ index: at + 1, role: ROLES[at], verifying_share: point(share).toString("hex") }));
    const stated = facts({ group, epoch: 0, threshold: 2, pubkey, holders });
    const statement = this.sign({ group, seq: 1, verb: "create_group", public: stated }, signer);
    return { statement, packages: this.packages(statement, sealed(shares)), label: "A key of a device" };
  }

  /** Seals the bunker's and the cosigner's share to their receiving keys. */
  packages(statement, [bunker, cosigner], receivingKeys = this.receivingKeys) {
    const sealTo = (index, plaintext) => {
      const aad = Buffer.concat([Buffer.from(statement.id, "hex"), Buffer.from([0, index])]);
      return seal(receivingKeys[index - 1], { purpose: "passport/v1/share", aad, plaintext });
    };
    return { 1: sealTo(1, bunker), 2: sealTo(2, cosigner) };
  }

  /** Makes a key. @returns {Promise<{group: string, pubkey: string, relay: string, sequence: number}>} */
  async makeKey() {
    const made = await this.ask("POST", "/keys", { json: this.keyBody() });
    if (made.status !== 201) throw new Error(`no key was made: ${made.text}`);
    return made.body;
  }

  /**
   * The body of a grant of everything, and the connection's secret.
   * @param {string} group
   * @param {number} seq
   * @param {object} [over] replaces what the statement says
   */
  grant(group, seq, over = {}, signer) {
    const [transport, secret] = [generateSecretKey(), freshId()];
    const statement = this.sign(
      {
        group,
        seq,
        verb: "grant",
        connection: freshId(),
        transport_pubkey: getPublicKey(transport),
        secret_sha256: createHash("sha256").update(secret).digest("hex"),
        label: "An app",
        policy: EVERYTHING,
        expires_at: null,
        ...over,
      },
      signer,
    );
    return { secret, connection: JSON.parse(statement.content).connection, body: { statement, transport: this.sealTransport(statement, transport) } };
  }

  sealTransport(statement, transport) {
    const aad = Buffer.from(statement.id, "hex");
    return seal(this.receivingKeys[0], { purpose: "passport/v1/transport", aad, plaintext: Buffer.from(transport) });
  }

  /** The body of a revocation. */
  revocation(group, seq, connection, signer) {
    return { statement: this.sign({ group, seq, verb: "revoke", connection }, signer) };
  }
}

/** A fresh key in three shares, any two of which sign: points of a line whose value at 0 has an even-Y public key. */
function split() {
  let secret = scalar();
  const whole = point(bytes(secret));
  if (whole[0] === 3) secret = N - secret;
  const slope = scalar();
  const shares = [1n, 2n, 3n].map((at) => bytes((secret + slope * at) % N));
  return { pubkey: whole.subarray(1).toString("hex"), shares };
}

/** Compressed public point of a secret. */
export function point(secret) {
  const curve = createECDH("secp256k1");
  curve.setPrivateKey(secret);
  return curve.getPublicKey(null, "compressed");
}

const scalar = () => BigInt(`0x${Buffer.from(generateSecretKey()).toString("hex")}`);
const bytes = (number) => Buffer.from(number.toString(16).padStart(64, "0"), "hex");
