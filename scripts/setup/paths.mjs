/** Where things are: the repository, what is built in it, and the tools shared between clones. */
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** @param {string[]} parts a path inside the repository */
export const inRoot = (...parts) => join(ROOT, ...parts);

/** Cargo's target folder for native builds. */
export const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR || "target");

/**
 * Cargo's target folder for the Worker. Its own, because the Worker's build sets
 * `RUSTC_BOOTSTRAP`, and sharing would make each build throw away the other's.
 */
export const WORKER_TARGET = join(TARGET, "worker");

/** Cargo's target folder for the page's vault. Its own, so that neither build waits for the other's lock. */
export const DEVICE_TARGET = join(TARGET, "device");

/** Build tools live here, one folder per name and version, so that every clone finds them. */
export const TOOLS = process.env.PASSPORT_TOOLS
  ? resolve(process.env.PASSPORT_TOOLS)
  : join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "passport", "tools");

/** `wrangler dev`'s state of `npm start`: D1 and the Durable Objects' SQLite files. */
export const DEV_STATE = inRoot(".wrangler", "state");

/** The local secrets of `npm start`. */
export const DEV_VARS = inRoot(".dev.vars");
