/**
 * Running other programs, and telling the person at the terminal what goes on.
 *
 * A step prints one line when it begins and one when it ends; a long one says
 * every half minute that it is alive. The output of a step's program is kept
 * back and shown only when the program fails.
 */
import { spawn } from "node:child_process";

/** Output kept of a silent program, in bytes: enough for a compiler's last errors. */
const KEPT_OUTPUT_BYTES = 64 * 1024;
/** Lines of it shown when the program fails. */
const SHOWN_LINES = 60;
/** How often a running step says so, in milliseconds. */
const HEARTBEAT_MS = 30_000;

/** Something is missing that these scripts cannot install; `remedy` says how to get it. */
export class SetupError extends Error {
  /**
   * @param {string} message what is missing or wrong
   * @param {string} remedy what the person can do about it
   */
  constructor(message, remedy) {
    super(message);
    this.name = "SetupError";
    this.remedy = remedy;
  }
}

/** A program ended with a failure. */
export class CommandError extends Error {
  /**
   * @param {string} command the command line, for the message
   * @param {number|null} code exit code; null when a signal ended it or it never started
   * @param {string} output the end of what it printed
   */
  constructor(command, code, output) {
    super(`\`${command}\` ${code === null ? "did not run to its end" : `exited with code ${code}`}`);
    this.name = "CommandError";
    this.code = code;
    this.output = output;
  }
}

/** @param {number} ms duration in milliseconds */
export function seconds(ms) {
  return ms < 100_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** Prints one line of progress. @param {string} line */
export function say(line) {
  process.stdout.write(`${line}\n`);
}

/**
 * Runs `work` as one announced step.
 * @template T
 * @param {string} title what is being done, with the expected time where it is long
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const began = performance.now();
  say(`• ${title} …`);
  const heartbeat = setInterval(() => {
    say(`  … still going after ${Math.round((performance.now() - began) / 1000)} s`);
  }, HEARTBEAT_MS);
  try {
    const result = await work();
    say(`✓ ${title} (${seconds(performance.now() - began)})`);
    return result;
  } finally {
    clearInterval(heartbeat);
  }
}

/**
 * Runs a program to its end and returns what it printed on standard output.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, env?: Record<string, string|undefined>, show?: boolean}} [options]
 *   `env` is laid over this process's; `show` passes the output through instead of keeping it
 * @returns {Promise<string>}
 */
export function run(command, args, { cwd, env = {}, show = false } = {}) {
  const line = [command, ...args].join(" ");
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "pipe"],
    });
    let stdout = "";
    let both = "";
    child.stdout?.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      both = (both + text).slice(-KEPT_OUTPUT_BYTES);
    });
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      both = (both + text).slice(-KEPT_OUTPUT_BYTES);
    });
    child.on("error", (cause) => reject(new CommandError(line, null, String(cause))));
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new CommandError(line, code, both));
    });
  });
}

/**
 * Like {@link run}, but a failure is an answer: null.
 * @param {Parameters<typeof run>} args
 */
export async function probe(...args) {
  try {
    return await run(...args);
  } catch (error) {
    if (error instanceof CommandError) return null;
    throw error;
  }
}

/**
 * Like {@link run}, for what installs something: a failure tells what to do about it.
 * @param {string} remedy
 * @param {Parameters<typeof run>} args
 */
export async function install(remedy, ...args) {
  try {
    return await run(...args);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new SetupError(`${lastLines(error.output)}\n\n  ${error.message}`, remedy);
  }
}

/**
 * The outermost layer of every script: runs it and turns what went wrong into
 * a readable message and an exit code.
 * @param {() => Promise<number|void>} script returns the exit code; nothing means 0
 */
export async function main(script) {
  try {
    process.exitCode = (await script()) ?? 0;
  } catch (error) {
    process.exitCode = 1;
    if (error instanceof SetupError) {
      console.error(`\n✗ ${error.message}\n  ${error.remedy.replaceAll("\n", "\n  ")}`);
    } else if (error instanceof CommandError) {
      console.error(`\n${lastLines(error.output)}\n\n✗ ${error.message}`);
    } else {
      console.error(error);
    }
  }
}

function lastLines(output) {
  return output.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
}
