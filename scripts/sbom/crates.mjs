/**
 * The crates that a program is made of, as cargo says it: normal dependencies for WebAssembly with the features that this
 * program asks for, and their checksums from `Cargo.lock`.
 *
 * Out of scope: what a build only runs for itself (build scripts' dependencies, tests, tools).
 */
import { readFileSync } from "node:fs";
import { ROOT, inRoot } from "../setup/paths.mjs";
import { run } from "../setup/process.mjs";

const TARGET = "wasm32-unknown-unknown";
/** Where crates come from that are not the project's own. Only that there is one such place is of interest. */
const REGISTRY = "registry+";

/**
 * @typedef {object} Crate
 * @property {string} name
 * @property {string} version
 * @property {string} licence SPDX expression
 * @property {string|null} sha256 of the packed crate; null for the project's own
 * @property {boolean} isOwn
 * @property {boolean} isShipped false for what only runs in the compiler: macros, and what they are made of
 * @property {string[]} needs names with versions, `name@version`
 */

/**
 * @param {string} root package of the workspace
 * @param {Record<string, string>} env from `ensureRust`
 * @returns {Promise<Map<string, Crate>>} by `name@version`; the root is among them
 */
export async function cratesOf(root, env) {
  const metadata = JSON.parse(await cargo(["metadata", "--format-version", "1", "--filter-platform", TARGET], env));
  const packages = new Map(metadata.packages.map((it) => [it.id, it]));
  const nodes = new Map(metadata.resolve.nodes.map((it) => [it.id, it]));
  const used = await usedBy(root, env);
  const sums = checksums(readFileSync(inRoot("Cargo.lock"), "utf8"));

  // The metadata have the features of the whole workspace together; what this program does not use is left out.
  const needs = (id) =>
    nodes
      .get(id)
      .deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind === null))
      .map(({ pkg }) => pkg)
      .filter((pkg) => used.has(key(packages.get(pkg))));
  const start = metadata.packages.find(({ name, source }) => name === root && source === null);
  if (!start) throw new Error(`The workspace has no package ${root}.`);
  const all = reach(start.id, needs);
  const shipped = reach(start.id, (id) => (isMacro(packages.get(id)) ? [] : needs(id)));
  for (const id of shipped) if (isMacro(packages.get(id))) shipped.delete(id);

  const crates = [...all].map((id) => {
    const it = packages.get(id);
    return [key(it), { ...described(it, sums), isShipped: shipped.has(id), needs: needs(id).map((pkg) => key(packages.get(pkg))).sort() }];
  });
  return new Map(crates);
}

/** @param {string} lock text of `Cargo.lock` @returns {Map<string, string>} SHA-256 by `name@version` */
export function checksums(lock) {
  const blocks = lock.split("[[package]]").slice(1);
  const field = (block, name) => new RegExp(`^${name} = "([^"]+)"`, "m").exec(block)?.[1];
  const found = blocks.map((block) => [`${field(block, "name")}@${field(block, "version")}`, field(block, "checksum")]);
  return new Map(found.filter(([, sum]) => sum));
}

function described({ name, version, license, source }, sums) {
  const isOwn = source === null;
  if (!isOwn && !source.startsWith(REGISTRY)) throw new Error(`${name} comes from elsewhere than a registry.`);
  const sha256 = isOwn ? null : sums.get(`${name}@${version}`);
  if (sha256 === undefined) throw new Error(`Cargo.lock has no checksum of ${name} ${version}.`);
  if (!license) throw new Error(`${name} ${version} names no licence.`);
  // The older spelling of "or".
  return { name, version, licence: license.replaceAll(/\s*\/\s*/g, " OR "), sha256, isOwn };
}

/** What cargo would compile for one program alone. */
async function usedBy(root, env) {
  const listed = await cargo(["tree", "-p", root, "--target", TARGET, "-e", "normal", "--prefix", "none", "--format", "{p}"], env);
  const lines = listed.split("\n").map((line) => /^(\S+) v(\S+)/.exec(line));
  return new Set(lines.filter(Boolean).map(([, name, version]) => `${name}@${version}`));
}

function reach(start, needs) {
  const found = new Set();
  const waiting = [start];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    waiting.push(...needs(id));
  }
  return found;
}

const key = ({ name, version }) => `${name}@${version}`;
const isMacro = ({ targets }) => targets.some(({ kind }) => kind.includes("proc-macro"));
const cargo = (args, env) => run("cargo", [args[0], "--locked", ...args.slice(1)], { cwd: ROOT, env: { ...env, CARGO_TERM_COLOR: "never" } });
