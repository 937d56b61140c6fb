/** Two clones of one commit, built one after the other, and the hashes of what came out. */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FLAVOURS } from "../setup/build.mjs";
import { run } from "../setup/process.mjs";
import { ROOT } from "../setup/paths.mjs";

/** What is uploaded of the Worker. */
export const PARTS = ["index_bg.wasm", "index.js"];

/** Names of different lengths. */
const CLONES = { first: "a", second: "another-one-in-a-longer-folder" };

/**
 * @param {object} what
 * @param {string} what.commit
 * @param {string} what.folder an empty one; afterwards it has the results, `first` and `second`
 * @param {(clone: string, which: string) => Promise<unknown>} what.build
 * @param {string} [what.repository]
 * @returns {Promise<Record<string, string>[]>} SHA-256 of each part, of both
 */
export async function buildTwice({ commit, folder, build, repository = ROOT }) {
  const outcomes = [];
  for (const [which, name] of Object.entries(CLONES)) {
    const clone = join(folder, name);
    await run("git", ["clone", "--quiet", "--no-checkout", "--no-hardlinks", repository, clone]);
    await run("git", ["checkout", "--quiet", "--detach", commit], { cwd: clone });
    await build(clone, which);
    const kept = join(folder, which);
    mkdirSync(kept);
    for (const part of PARTS) copyFileSync(join(clone, FLAVOURS.product.outDir, part), join(kept, part));
    // A target folder has gigabytes.
    rmSync(clone, { recursive: true, force: true });
    outcomes.push(Object.fromEntries(PARTS.map((part) => [part, sha256(join(kept, part))])));
  }
  return outcomes;
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
