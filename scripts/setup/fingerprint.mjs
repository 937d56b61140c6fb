/** Whether a build's inputs are those of the last time: one hash over names and contents of the files it reads. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { ROOT, inRoot } from "./paths.mjs";

/** Folders that no build reads, though they are inside of what it reads. */
const SKIPPED = ["tests", "benches", "target"];

/**
 * @param {string[]} inputs files and folders, from the root; one that is not there counts as absent
 * @param {object} [options]
 * @param {string[]} [options.extra] further files
 * @param {string[]} [options.skipped] names of folders that are not read
 */
export function fingerprint(inputs, { extra = [], skipped = SKIPPED } = {}) {
  const hash = createHash("sha256");
  const files = new Set(extra);
  for (const input of inputs) if (existsSync(inRoot(input))) collect(input, files, skipped);
  for (const file of [...files].sort()) {
    hash.update(`${file}\0`);
    hash.update(existsSync(inRoot(file)) ? readFileSync(inRoot(file)) : "absent");
  }
  return hash.digest("hex");
}

/**
 * The files inside the repository that rustc says it read for the last build, such as `include_str!` ones.
 * @param {string} folder where cargo wrote the library
 */
export function compilerInputs(folder) {
  const files = new Set();
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".d"))) {
    const text = readFileSync(join(folder, name), "utf8").replace(/^[^:]*: ?/, "");
    for (const file of text.split(/(?<!\\)\s+/).filter(Boolean)) {
      const path = relative(ROOT, resolve(ROOT, file.replaceAll("\\ ", " ")));
      if (!path.startsWith("..")) files.add(path);
    }
  }
  return [...files].sort();
}

function collect(path, files, skipped) {
  const entries = readdirSync(inRoot(dirname(path)), { withFileTypes: true });
  const own = entries.find((entry) => entry.name === path.split("/").at(-1));
  if (own?.isFile()) files.add(path);
  if (!own?.isDirectory()) return;
  for (const entry of readdirSync(inRoot(path), { withFileTypes: true })) {
    if (skipped.includes(entry.name)) continue;
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) collect(inner, files, skipped);
    else files.add(inner);
  }
}
