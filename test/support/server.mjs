/**
 * A server of its own for a test: wrangler dev with the built Worker on a free
 * port, fresh secrets, its own storage, and its log in a file.
 */
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { built } from "../../scripts/setup/build.mjs";
import { startDevServer } from "../../scripts/setup/dev-server.mjs";
import { ensureVars } from "../../scripts/setup/vars.mjs";
import { OUTPUT, TEMPLATE_STATE } from "./folders.mjs";

/** A running server; `await server.stop()` when the test file is done. */
export class Server {
  /** @type {import("../../scripts/setup/dev-server.mjs").DevServer} */
  #process;
  #flavour;
  #vars;

  constructor(folder, port, flavour, vars) {
    this.folder = folder;
    this.port = port;
    this.#flavour = flavour;
    this.#vars = vars;
  }

  /** `http://127.0.0.1:PORT` */
  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get logFile() {
    return join(this.folder, "server.log");
  }

  /** All that the server printed so far. */
  log() {
    return readFileSync(this.logFile, "utf8");
  }

  /** Starts it on its storage and port: the first time, or again after {@link stop} or {@link kill9}. */
  async start() {
    const output = openSync(this.logFile, "a");
    try {
      this.#process = startDevServer({
        node: process.execPath,
        port: this.port,
        worker: built(this.#flavour),
        state: join(this.folder, "state"),
        envFile: join(this.folder, "secrets.env"),
        vars: this.#vars,
        output,
      });
    } finally {
      closeSync(output);
    }
    try {
      await this.#process.ready();
    } catch (error) {
      await this.#process.kill();
      throw new Error(`${error.message}\n${this.log().split("\n").slice(-40).join("\n")}`);
    }
  }

  /** Lays further vars over those that it has, from the next {@link start} on. @param {Record<string, string>} vars */
  setVars(vars) {
    this.#vars = { ...this.#vars, ...vars };
  }

  /** Ends it in order. */
  stop() {
    return this.#process.stop();
  }

  /** Ends wrangler and workerd at once, as a power cut would. */
  kill9() {
    return this.#process.kill();
  }

  /**
   * The SQLite files of the objects of one class, one per object. Open them
   * only while the server is stopped.
   * @param {"Bunker"|"Cosigner"} className
   */
  objectFiles(className) {
    return sqliteFiles(join(this.folder, "state", "v3", "do", `passport-${className}`));
  }

  /** The SQLite file of D1. Open it only while the server is stopped. */
  databaseFile() {
    return sqliteFiles(join(this.folder, "state", "v3", "d1", "miniflare-D1DatabaseObject"))[0];
  }
}

/**
 * Starts a server with empty storage and the migrations applied.
 * @param {{flavour?: "product"|"fault-injection", vars?: Record<string, string>, secrets?: Record<string, string>}} [options]
 *   `vars` are laid over those of wrangler.toml; `secrets` are used instead of fresh ones
 */
export async function startServer({ flavour = "product", vars = {}, secrets = {} } = {}) {
  mkdirSync(OUTPUT, { recursive: true });
  const folder = mkdtempSync(join(OUTPUT, "server-"));
  cpSync(TEMPLATE_STATE, join(folder, "state"), { recursive: true });
  const secretsFile = join(folder, "secrets.env");
  writeFileSync(secretsFile, Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(""));
  ensureVars(secretsFile);
  // Hundreds of people sign in from one address here. Production has no such room, and refuses it.
  const limits = vars.ENVIRONMENT === "production" ? {} : { LOGIN_LIMITS: "wide" };
  const server = new Server(folder, await freePort(), flavour, { ...limits, ...vars });
  await server.start();
  return server;
}

/** A port that nobody listens on now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function sqliteFiles(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite")
    .map((name) => join(folder, name));
}
