/** Accounts made with the real command-line client, each with a folder of its own. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { cliProgram, quickstart } from "../../scripts/setup/cli.mjs";
import { run } from "../../scripts/setup/process.mjs";
import { OUTPUT } from "./folders.mjs";

/** What the client would ask a person for. */
const ANSWERS = {
  PASSPORT_PASSWORD: "a password for tests only",
  PASSPORT_KIT_PASSPHRASE: "a passphrase for tests only",
};

/** An account as its owner's device has it; besides, the fields of `passport quickstart --json`. */
export class Account {
  /** Connection ids by bunker URL. */
  #connections = new Map();
  #made = 0;

  constructor(home, made) {
    this.home = home;
    Object.assign(this, made);
  }

  /**
   * Runs the client in this account's folder.
   * @param {string[]} args
   * @returns {Promise<any>} what it prints as JSON
   */
  async passport(...args) {
    return JSON.parse(await run(cliProgram("debug"), [...args, "--json"], { cwd: this.home, env: { ...ANSWERS, PASSPORT_HOME: this.home } }));
  }

  /**
   * Grants a connection: everything, or only these kinds.
   * @param {{kinds?: number[], args?: string[]}} [access] `args` says it in the client's own words
   * @returns {Promise<string>} the bunker URL
   */
  async connect({ kinds, args } = {}) {
    const access = args ?? (kinds ? ["--kinds", kinds.join(",")] : ["--allow", "everything"]);
    const { connection, bunker_url } = await this.passport("connect", "--label", `App ${++this.#made}`, ...access);
    this.#connections.set(bunker_url, connection);
    return bunker_url;
  }

  /** Revokes a connection that {@link connect} made. @param {string} bunkerUrl */
  revoke(bunkerUrl) {
    return this.passport("revoke", this.#connections.get(bunkerUrl));
  }

  /** The audit records, after the client has checked their chain. */
  async activity() {
    const { chain, records } = await this.passport("activity");
    if (chain !== "verified") throw new Error(`the audit chain is ${chain}`);
    return records;
  }
}

/**
 * Registers an account, splits a key for it, and grants one connection everything.
 * @param {{url: string}} server
 */
export async function makeAccount(server) {
  mkdirSync(OUTPUT, { recursive: true });
  const home = mkdtempSync(join(OUTPUT, "account-"));
  return new Account(home, await quickstart(cliProgram("debug"), server.url, home, ANSWERS));
}
