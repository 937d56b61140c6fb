/**
 * The npm packages whose code the page carries: what its sources import, and what that imports in turn, as a bundler
 * for browsers resolves it. The rest of `package-lock.json` are tools.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { inRoot } from "../setup/paths.mjs";

const SOURCES = inRoot("public", "src");
/** What the compiler of `.svelte` files writes into what it makes. */
const BY_THE_COMPILER = ["svelte/internal/client", "svelte/internal/disclose-version"];

/**
 * @typedef {object} Package
 * @property {string} name
 * @property {string} version
 * @property {string} licence SPDX expression
 * @property {string} sha512 of the packed package, lowercase hex
 * @property {string[]} needs names of others
 */

/** @returns {Promise<Map<string, Package>>} by name */
export async function packagesOfThePage() {
  const lock = JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8")).packages;
  const reached = await bundled([...BY_THE_COMPILER, ...importsOf(SOURCES)]);
  return new Map([...reached].map(([name, needs]) => [name, described(name, lock[`node_modules/${name}`], needs)]));
}

/** What the sources below a folder import from packages, types aside. @param {string} folder */
export function importsOf(folder) {
  const found = new Set();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !/\.(ts|svelte)$/.test(entry.name) || /\.(test|d)\.ts$/.test(entry.name)) continue;
    for (const name of importsIn(readFileSync(join(entry.parentPath ?? entry.path, entry.name), "utf8"))) found.add(name);
  }
  return [...found].sort();
}

/** @param {string} source @returns {string[]} */
export function importsIn(source) {
  const statements = source.matchAll(/^\s*(?:import|export)\s+(?!type\b)(?:[\w*{}\s,$]*?\bfrom\s*)?"([^"]+)"/gm);
  const calls = source.matchAll(/\bimport\("([^"]+)"\)/g);
  return [...statements, ...calls].map(([, name]) => name).filter((name) => !/^[./$]/.test(name));
}

/** Which packages a bundle of these modules has code of, and which of the others each of them imports. */
async function bundled(modules) {
  const { build } = await import("esbuild");
  const contents = modules.map((name) => `export * as ${`m${modules.indexOf(name)}`} from ${JSON.stringify(name)};`).join("\n");
  const { metafile } = await build({
    stdin: { contents, resolveDir: inRoot() },
    absWorkingDir: inRoot(),
    bundle: true,
    conditions: ["browser", "production"],
    format: "esm",
    logLevel: "silent",
    metafile: true,
    // A name is a place below node_modules, also where that folder is a link.
    preserveSymlinks: true,
    write: false,
  });
  const found = new Map();
  for (const [file, { imports }] of Object.entries(metafile.inputs)) {
    if (file === "<stdin>") continue;
    const name = packageOf(file);
    if (!name) throw new Error("The page imports something that is in no npm package.");
    const needs = found.get(name) ?? new Set();
    for (const { path } of imports) if (packageOf(path) && packageOf(path) !== name) needs.add(packageOf(path));
    found.set(name, needs);
  }
  return found;
}

/** The package that a file belongs to. */
const packageOf = (file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];

function described(name, locked, needs) {
  if (!locked?.integrity?.startsWith("sha512-")) throw new Error(`package-lock.json has no SHA-512 of ${name}.`);
  if (!locked.license) throw new Error(`package-lock.json has no licence of ${name}.`);
  const sha512 = Buffer.from(locked.integrity.slice("sha512-".length), "base64").toString("hex");
  return { name, version: locked.version, licence: locked.license, sha512, needs: [...needs].sort() };
}
