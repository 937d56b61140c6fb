/**
 * The providers of HSMs as workerd reaches them: the peers that the adapters' own tests have, each behind a go-between
 * on this machine that passes everything on and can be told to fail.
 *
 * A peer speaks TLS under its provider's names, which lead elsewhere, with a certificate that workerd does not know.
 * The go-between speaks plain HTTP to the Worker, as an endpoint may in development, and TLS to the peer. Azure has no
 * endpoint to be set, its keys' names are where they are; there the go-between has the peer's certificate, workerd is
 * told its authority, and the vault's name is exchanged for this machine's address on the way.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer, request } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { inRoot } from "../../scripts/setup/paths.mjs";
import { ensurePeers } from "../../scripts/setup/peers.mjs";

const REGION = "eu-central-1";
const VAULT = "passport.vault.azure.net";
const DIRECTORY = "login.microsoftonline.com";

/** What is asked for, in one word for all providers. */
const KINDS = { Encrypt: "wrap", encrypt: "wrap", wrapkey: "wrap", Decrypt: "unwrap", decrypt: "unwrap", unwrapkey: "unwrap", token: "token" };

/** How each says that there were too many requests. */
const THROTTLED = {
  aws: { status: 400, body: { __type: "ThrottlingException", message: "Rate exceeded" } },
  google: { status: 429, body: { error: { code: 429, message: "Quota exceeded", status: "RESOURCE_EXHAUSTED" } } },
  azure: { status: 429, body: { error: { code: "Throttled", message: "too many requests" } } },
};

const PROVIDERS = {
  aws: {
    script: "moto_kms.py",
    names: [`kms.${REGION}.amazonaws.com`],
    key: (peer, role) => peer.keys[role],
    common: (_, [kms]) => ({ HSM_AWS_ENDPOINT: kms.url }),
    ofRole: (peer, role, user, isWrong) => ({
      KEY_ARN: peer.keys[role],
      ACCESS_KEY_ID: peer.users[user].id,
      SECRET_ACCESS_KEY: peer.users[isWrong ? "stranger" : user].secret,
    }),
  },
  google: {
    script: "google_kms.py",
    names: ["cloudkms.googleapis.com", "oauth2.googleapis.com"],
    key: (peer, role) => `${peer.ring}/${role}`,
    common: (_, [kms, tokens]) => ({ HSM_GOOGLE_ENDPOINT: kms.url, HSM_GOOGLE_TOKEN_ENDPOINT: tokens.url }),
    ofRole: (peer, role, user, isWrong) => ({ KEY: `${peer.ring}/${role}`, ACCOUNT: peer.accounts[isWrong ? "wrong" : user] }),
    // Whom a signed word is for is in it.
    begin: (hsm) => hsm.command({ audience: `${hsm.ways[1].url}/token` }),
  },
  azure: {
    script: "azure_keys.py",
    names: [VAULT, DIRECTORY],
    key: (peer, role, [vault]) => peer.keys.vault[role].replace(VAULT, vault.address),
    common: (peer, [, directory]) => ({
      HSM_AZURE_ALGORITHM: "rsa-oaep-256",
      HSM_AZURE_TENANT_ID: peer.tenant,
      HSM_AZURE_AUTHORITY: directory.url,
    }),
    ofRole: (peer, role, user, isWrong, ways) => ({
      KEY_ID: PROVIDERS.azure.key(peer, role, ways),
      CLIENT_ID: peer.applications[user].id,
      CLIENT_SECRET: peer.applications[isWrong ? "stranger" : user].secret,
    }),
    // A vault's token is for the domain above it; above this machine's address there is one only in form.
    rewrite: ([vault, directory]) => [
      [VAULT, vault.address],
      [`https://${DIRECTORY}`, directory.url],
      ["https://vault.azure.net", "https://0.0.1"],
    ],
    isTls: true,
  },
};

/** A provider's HSM for a server under test. */
export class Hsm {
  #provider;
  #child;
  #lines;

  /** Starts one. @param {"aws"|"google"|"azure"} name */
  static async start(name) {
    const hsm = new Hsm();
    hsm.name = name;
    const provider = (hsm.#provider = PROVIDERS[name]);
    const python = await ensurePeers();
    hsm.#child = spawn(python, ["-B", inRoot("hsm", "tests", "peers", provider.script)], { stdio: ["pipe", "pipe", "inherit"] });
    hsm.#lines = createInterface({ input: hsm.#child.stdout })[Symbol.asyncIterator]();
    hsm.peer = await hsm.#line();
    hsm.ways = [];
    for (const host of provider.names) hsm.ways.push(await Way.open(hsm.peer, host, provider.isTls));
    const exchanged = provider.rewrite?.(hsm.ways) ?? [];
    for (const way of hsm.ways) way.exchanged = exchanged;
    // Read by the server when it starts: whom workerd believes besides the public authorities.
    if (provider.isTls) process.env.NODE_EXTRA_CA_CERTS = hsm.peer.ca_file;
    await provider.begin?.(hsm);
    return hsm;
  }

  /** The way to what wraps; tokens are got on another. */
  get way() {
    return this.ways[0];
  }

  /** What is stored beside a key that a holder wrapped here. */
  kekId(role) {
    return `${this.name}:${role}:${this.#provider.key(this.peer, role, this.ways)}`;
  }

  /**
   * The server's variables.
   * @param {{isWrong?: boolean}} [options] whether the bunker's credentials are somebody else's
   */
  settings({ isWrong = false } = {}) {
    const { common, ofRole } = this.#provider;
    const all = { HSM_PROVIDER: this.name, ...common(this.peer, this.ways) };
    for (const role of ["bunker", "cosigner"]) {
      const names = ofRole(this.peer, role, role, isWrong && role === "bunker", this.ways);
      for (const [name, value] of Object.entries(names)) all[`HSM_${this.name}_${role}_${name}`.toUpperCase()] = value;
    }
    return all;
  }

  /** Tells the peer what to do, and waits until it is done. */
  async command(word) {
    this.#child.stdin.write(`${JSON.stringify(word)}\n`);
    await this.#line();
  }

  /** Switches the bunkers' key. @param {"enabled"|"disabled"} state */
  setState(state) {
    return this.command({ key: "bunker", state });
  }

  /** The next request of a kind is refused for there being too many. */
  throttleNext(kind) {
    this.way.next = { kind, ...THROTTLED[this.name] };
  }

  /** Whether nobody answers. */
  set isDown(isDown) {
    for (const way of this.ways) way.isDown = isDown;
  }

  async stop() {
    await Promise.all(this.ways.map((way) => way.close()));
    if (this.#provider.isTls) delete process.env.NODE_EXTRA_CA_CERTS;
    const ended = once(this.#child, "close");
    this.#child.stdin.end();
    await ended;
  }

  async #line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#provider.script} ended.`);
    return JSON.parse(value);
  }
}

/** The go-between for one of a provider's names. */
class Way {
  /** What was asked for, in order. */
  asked = [];
  /** How the next request of a kind is answered in the peer's place: `{kind, status, body}`. */
  next = null;
  isDown = false;
  /** How long each request takes at least, in milliseconds. */
  delayMs = 0;
  /** Pairs of texts: the peer's and the Worker's. */
  exchanged = [];

  static async open(peer, host, isTls) {
    const way = new Way();
    const certificate = isTls && readFileSync(peer.certificate_file);
    const answer = (incoming, outgoing) => void way.#pass(incoming, outgoing);
    way.server = isTls ? createTlsServer({ cert: certificate, key: certificate }, answer) : createServer(answer);
    way.server.listen(0, "127.0.0.1");
    await once(way.server, "listening");
    way.address = `127.0.0.1:${way.server.address().port}`;
    way.url = `${isTls ? "https" : "http"}://${way.address}`;
    way.peer = { host: "127.0.0.1", port: peer.port, ca: peer.ca, servername: host, agent: false };
    // AWS's signature is over the name that the Worker asked; the others' peers know themselves by theirs.
    way.host = peer.users ? null : host;
    return way;
  }

  /** How often something was asked for. */
  count(kind) {
    return this.asked.filter((it) => it === kind).length;
  }

  async #pass(incoming, outgoing) {
    const body = Buffer.concat(await incoming.toArray());
    const kind = kindOf(incoming);
    this.asked.push(kind);
    if (this.isDown) return incoming.socket.destroy();
    if (this.next?.kind === kind) {
      const { status, body: said } = this.next;
      this.next = null;
      return outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(said));
    }
    if (this.delayMs) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const sent = Buffer.from(this.#inPeersWords(body.toString()));
    const all = { ...onward(incoming.headers), ...(this.host ? { host: this.host } : {}), "content-length": sent.length };
    const asking = request({ ...this.peer, method: incoming.method, path: incoming.url, headers: all });
    asking.on("error", () => incoming.socket.destroy());
    asking.on("response", async (answer) => {
      const text = Buffer.from(this.#inOurWords(Buffer.concat(await answer.toArray()).toString()));
      const heads = Object.entries(onward(answer.headers)).map(([name, value]) => [name, this.#inOurWords(String(value))]);
      outgoing.writeHead(answer.statusCode, { ...Object.fromEntries(heads), "content-length": text.length }).end(text);
    });
    asking.end(sent);
  }

  #inOurWords(text) {
    return this.exchanged.reduce((it, [peers, ours]) => it.replaceAll(peers, ours), text);
  }

  /** Also as a form has it. */
  #inPeersWords(text) {
    const pairs = this.exchanged.flatMap(([peers, ours]) => [[peers, ours], [encodeURIComponent(peers), encodeURIComponent(ours)]]);
    return pairs.reduce((it, [peers, ours]) => it.replaceAll(ours, peers), text);
  }

  async close() {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

/** Without what is between two neighbours only. */
const onward = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !["connection", "keep-alive", "transfer-encoding"].includes(name)));

function kindOf({ method, url, headers }) {
  const path = url.split("?")[0];
  const word = headers["x-amz-target"]?.split(".")[1] ?? path.split(/[:/]/).at(-1);
  return KINDS[word] ?? (method === "GET" || word === "DescribeKey" ? "describe" : word);
}

/** Settings as those of the KEKs that are left. */
export const previous = (settings) => Object.fromEntries(Object.entries(settings).map(([name, value]) => [`${name}_PREVIOUS`, value]));

/** As a file of secrets takes them: a service account is JSON. */
export const quoted = (settings) => Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, `'${value}'`]));

/** Exchanges what a server knows of HSMs, from its next start on. @param {Record<string, string>} settings */
export function exchange(server, settings) {
  const file = join(server.folder, "secrets.env");
  const others = readFileSync(file, "utf8").split("\n").filter((line) => line && !line.startsWith("HSM_"));
  const lines = Object.entries(quoted(settings)).map(([name, value]) => `${name}=${value}`);
  writeFileSync(file, `${[...others, ...lines].join("\n")}\n`);
}

/**
 * The KEKs that any row of any object names, with how many times: those of shares, and of ceremonies under way. Only
 * while the server is stopped.
 * @returns {Record<string, number>}
 */
export function namedKeks(server) {
  const found = {};
  for (const file of ["Bunker", "Cosigner"].flatMap((name) => server.objectFiles(name))) {
    for (const text of texts(file)) {
      for (const { groups } of text.matchAll(/"kek_id":"(?<kek>[^"]+)"/g)) found[groups.kek] = (found[groups.kek] ?? 0) + 1;
    }
  }
  return found;
}

/** Every text that is stored in a file. */
function texts(file) {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const all = tables.flatMap(({ name }) => {
      const everything = database.prepare(`SELECT * FROM "${name}"`);
      everything.setReadBigInts(true); // workerd's own times
      return everything.all();
    });
    return all.flatMap((row) => Object.values(row).map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : String(value))));
  } finally {
    database.close();
  }
}
