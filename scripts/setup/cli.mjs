/** The `passport` command-line client: building it, and its one-command account. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT, TARGET } from "./paths.mjs";
import { run, step } from "./process.mjs";

/**
 * Where the client is when it was built.
 * @param {"debug"|"release"} profile
 */
export const cliProgram = (profile) => join(TARGET, profile, process.platform === "win32" ? "passport.exe" : "passport");

/**
 * Builds the client; cargo finds out itself whether there is anything to do.
 * @param {import("./prepare.mjs").Kit} kit
 * @returns {Promise<string>} the program
 */
export async function buildCli(kit) {
  const program = cliProgram("release");
  const build = () =>
    run("cargo", ["build", "--locked", "--release", "-p", "passport-cli"], { cwd: ROOT, env: kit.env });
  if (existsSync(program)) await build();
  else await step("Building the command-line client (about 2 minutes, once)", build);
  return program;
}

/**
 * @typedef {object} Account what `passport quickstart --json` prints
 * @property {string} username
 * @property {string} pubkey the identity's key, 64 hex digits
 * @property {string} npub
 * @property {string} bunker_url with the connection's secret
 * @property {string} recovery_kit path of the file
 */

/**
 * Makes an account, a key and a connection that allows everything.
 * @param {string} program from {@link buildCli}
 * @param {string} url the server
 * @param {string} folder where the client may keep its files
 * @param {Record<string, string>} [answers] environment that answers what it would ask; made up when absent
 * @returns {Promise<Account>}
 */
export async function quickstart(program, url, folder, answers = {}) {
  const args = ["quickstart", "--server", url, "--json"];
  return JSON.parse(await run(program, args, { cwd: folder, env: { ...answers, PASSPORT_HOME: folder } }));
}
