/** A device of a person's on which the command-line client runs: a folder of its own. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { cliProgram } from "../../scripts/setup/cli.mjs";
import { OUTPUT } from "./folders.mjs";

/** What the client is asked for without echo. */
const ANSWERS = {
  PASSPORT_PASSWORD: "a password for tests only",
  PASSPORT_KIT_PASSPHRASE: "a passphrase for tests only",
  PASSPORT_NEW_KIT_PASSPHRASE: "a passphrase for tests only",
};

export class Home {
  constructor() {
    mkdirSync(OUTPUT, { recursive: true });
    this.folder = mkdtempSync(join(OUTPUT, "home-"));
  }

  /** Runs the client, to its end or until it is killed. @returns {Promise<{code: number, stdout: string, stderr: string}>} */
  run(args, { answers = {}, input = "", killWhen = () => false } = {}) {
    return new Promise((resolve, reject) => {
      const env = { ...process.env, ...ANSWERS, ...answers, PASSPORT_HOME: this.folder };
      const child = spawn(cliProgram("debug"), args, { cwd: this.folder, env });
      const [out, err] = [[], []];
      child.stdout.on("data", (bytes) => out.push(bytes));
      child.stderr.on("data", (bytes) => err.push(bytes));
      child.on("error", reject);
      const watching = setInterval(() => killWhen() && child.kill("SIGKILL"), 20);
      child.on("close", (code) => {
        clearInterval(watching);
        resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
      });
      child.stdin.on("error", () => {}); // a program that ends without reading
      child.stdin.end(input);
    });
  }

  /** What the client prints as JSON. */
  async passport(...args) {
    const { code, stdout, stderr } = await this.run([...args, "--json"]);
    if (code !== 0) throw new Error(`passport ${args.join(" ")}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** Starts the client, for who goes on meanwhile. */
  begin(...args) {
    const env = { ...process.env, ...ANSWERS, PASSPORT_HOME: this.folder };
    const child = spawn(cliProgram("debug"), [...args, "--json"], { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    return new Run(child, args);
  }

  /** The code with which the client fails, having printed no result. */
  async refused(args, options) {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    expect([code, stdout], stderr).toEqual([1, ""]);
    return /\[([a-z_]+)(?:;|\])/.exec(stderr)?.[1];
  }

  /** Has the client go by another address to the same server. */
  goesBy(url) {
    const file = join(this.folder, "session.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), server: url }));
  }

  get token() {
    return JSON.parse(readFileSync(join(this.folder, "session.json"), "utf8")).tokens.access_token;
  }

  /** The names of the files in a folder of this device. */
  files(folder) {
    return readdirSync(this.folder).includes(folder) ? readdirSync(join(this.folder, folder)) : [];
  }

  json(...path) {
    return JSON.parse(readFileSync(join(this.folder, ...path), "utf8"));
  }
}

/** A client that runs. */
class Run {
  #out = "";
  #err = "";

  constructor(child, args) {
    this.child = child;
    this.args = args;
    child.stdout.setEncoding("utf8").on("data", (text) => (this.#out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#err += text));
    this.ended = new Promise((resolve, reject) => child.on("error", reject).on("close", (code) => resolve(code)));
  }

  /** What it prints as JSON in the end. */
  async result() {
    const code = await this.ended;
    if (code !== 0) throw new Error(`passport ${this.args.join(" ")}: ${this.#err}`);
    return JSON.parse(this.#out);
  }

  /** The code with which it fails. */
  async refusal() {
    expect([await this.ended, this.#out], this.#err).toEqual([1, ""]);
    return /\[([a-z_]+)(?:; [^\]]*)?\]\s*$/.exec(this.#err)?.[1];
  }

  /** Waits until it tells something to its person. */
  async told(pattern) {
    await Promise.race([
      new Promise((resolve) => {
        const look = () => pattern.test(this.#err) && resolve();
        this.child.stderr.on("data", look);
        look();
      }),
      this.ended.then((code) => expect(this.#err, `ended with ${code}`).toMatch(pattern)),
    ]);
    return pattern.exec(this.#err);
  }

  /** Ends it at once, as a power cut would. */
  async kill9() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}
