/**
 * What is compiled names its own sources in panics and errors. Here those names lose the folders of this machine, so that
 * the same commit gives the same bytes wherever it is built, and says nothing of who built it.
 */
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./process.mjs";
import { ROOT } from "./paths.mjs";

/**
 * Flags for the compiler, to stand in `RUSTFLAGS`. The crates' sources are fetched first: their folders have names of the
 * registry's.
 * @param {Record<string, string>} env environment for cargo
 * @param {string} target cargo's target folder of this build
 * @returns {Promise<string[]>}
 */
export async function remapFlags(env, target) {
  await run("cargo", ["fetch", "--locked"], { cwd: ROOT, env });
  const sysroot = (await run("rustc", ["--print", "sysroot"], { cwd: ROOT, env })).trim();
  const folders = [
    ...registries(env).map((folder) => [folder, "/cargo"]),
    [join(sysroot, "lib", "rustlib", "src", "rust"), "/rust"],
    [target, "/target"],
    [ROOT, "/passport"],
  ];
  // RUSTFLAGS has no way to write a space.
  return folders.filter(([from]) => !/\s/.test(from)).map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
}

function registries({ CARGO_HOME = join(homedir(), ".cargo") }) {
  const sources = join(CARGO_HOME, "registry", "src");
  return existsSync(sources) ? readdirSync(sources).map((name) => join(sources, name)) : [];
}
