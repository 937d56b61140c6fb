/** Operators of a deployment: each with a token in a file of their own, at the command-line client or over plain HTTP. */
import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ask } from "./api.mjs";
import { Home } from "./cli-home.mjs";
import { nowS } from "./clock.mjs";

export class Operator {
  /** @param {Home} home where the client runs @param {{url: string}} server */
  constructor(home, server, { operator, name, file }) {
    this.home = home;
    this.server = server;
    this.id = operator;
    this.name = name;
    this.file = file;
  }

  /** As it stands in the file. */
  get token() {
    return readFileSync(this.file, "utf8");
  }

  /** What `passport operator …` prints as JSON. */
  passport(...args) {
    return this.home.passport(...this.#args(args));
  }

  /** The code with which it fails. */
  refused(...args) {
    return this.home.refused(this.#args(args));
  }

  /** Asks without the client. */
  ask(method, path, json) {
    return ask(this.server, method, path, { token: this.token, json });
  }

  /** Gives a command without the client; `what` replaces the fresh id and time, too. */
  command(path, what = {}) {
    return this.ask("POST", path, { ...fresh(), ...what });
  }

  #args(args) {
    return ["operator", ...args, "--server", this.server.url, "--token-file", this.file];
  }
}

/** What each command has: an id of its own, and the time. */
export const fresh = () => ({ command: randomBytes(16).toString("hex"), issued_at: nowS() });

/** Runs `passport operator setup`. @param {Record<string, string>} scopes by name, with commas */
export function runSetUp(home, server, token, scopes, threshold, folder = "tokens") {
  const operators = Object.entries(scopes).flatMap(([name, list]) => ["--operator", `${name}:${list}`]);
  const args = ["operator", "setup", "--server", server.url, ...operators, "--unseal-threshold", String(threshold), "--out", folder, "--json"];
  return home.run(args, { answers: { PASSPORT_SETUP_TOKEN: token } });
}

/** Sets the first operators up. @returns {Promise<Record<string, Operator>>} by name */
export async function setUp(server, token, scopes, threshold) {
  const home = new Home();
  const { code, stdout, stderr } = await runSetUp(home, server, token, scopes, threshold);
  if (code !== 0) throw new Error(`passport operator setup: ${stderr}`);
  const made = JSON.parse(stdout).operators.map((it) => new Operator(home, server, { ...it, file: join(home.folder, it.file) }));
  for (const { file, token: text } of made) {
    if ((statSync(file).mode & 0o777) !== 0o600) throw new Error(`others can read ${file}`);
    if (`${stdout}${stderr}`.includes(text)) throw new Error("a token that has a file was printed");
  }
  return Object.fromEntries(made.map((it) => [it.name, it]));
}

/** Has several operators say their word, one after the other. @returns {Promise<any>} what the last one is told */
export async function unseal(operators, ...options) {
  const [first, ...others] = operators;
  let told = await first.passport("unseal", ...options, "--reason", "looked into it");
  const id = told.unsealing;
  for (const it of others) told = await it.passport("unseal", ...options, "--unsealing", id, "--reason", "agreed");
  return told;
}

/**
 * What became of an app's request: what it gave, or why it was refused, by the relay or in the encrypted answer.
 * One request of an app at a time.
 * @param {import("./raw-app.mjs").RawApp} app
 * @returns {Promise<{given?: string, refused?: string}>}
 */
export async function outcome(app, method, params) {
  app.relay.forget();
  const request = app.request(method, params);
  const event = app.event(request);
  app.relay.send(["EVENT", event]);
  const { accepted, reason } = await app.relay.ok(event.id);
  if (!accepted) return { refused: reason };
  const { reply } = await app.reply(request.id);
  return reply.error ? { refused: reply.error } : { given: reply.result };
}
