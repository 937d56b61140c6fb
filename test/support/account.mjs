/** Accounts made with the real command-line client, each with a folder of its own. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { cliProgram, quickstart } from "../../scripts/setup/cli.mjs";
import { run } from "../../scripts/setup/process.mjs";
import { OUTPUT } from "./folders.mjs";

export class Account {
  #home;
  #server;

  constructor(server, home, made) {
    this.#server = server;
    this.#home = home;
    Object.assign(this, made);
  }

  /** Runs the client in this account's folder and returns what it prints as JSON. */
  async passport(...args) {
    const printed = await run(cliProgram("debug"), [...args, "--json"], { cwd: this.#home, env: { PASSPORT_HOME: this.#home } });
    return JSON.parse(printed);
  }
}

/**
 * Registers an account, splits a key for it, and grants one connection everything.
 * @param {import("./server.mjs").Server} server
 */
export async function makeAccount(server) {
  mkdirSync(OUTPUT, { recursive: true });
  const home = mkdtempSync(join(OUTPUT, "account-"));
  return new Account(server, home, await quickstart(cliProgram("debug"), server.url, home));
}
