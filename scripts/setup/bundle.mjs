/** The bundle as it would be deployed, and its size. Needs no account and no network. */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { ROOT, inRoot } from "./paths.mjs";
import { run } from "./process.mjs";
import { WRANGLER, WRANGLER_ENV } from "./wrangler.mjs";

/** Where `wrangler deploy --dry-run` writes. */
const BUNDLE = inRoot(".wrangler", "bundle");
/** Written beside the bundle but not uploaded as code. */
const NOT_UPLOADED = /(\.map|README\.md)$/;

/**
 * Bundles the built Worker and measures what would be uploaded.
 * @param {import("./prepare.mjs").Kit} kit
 * @param {string[]} [args] further arguments of `wrangler deploy`
 * @returns {Promise<{raw_bytes: number, gzip_bytes: number}>}
 */
export async function measureBundle(kit, args = []) {
  rmSync(BUNDLE, { recursive: true, force: true });
  const deploy = [WRANGLER, "deploy", "--dry-run", "--outdir", BUNDLE, ...args];
  await run(kit.node, deploy, { cwd: ROOT, env: { ...WRANGLER_ENV, CI: "true" } });
  const files = readdirSync(BUNDLE).filter((name) => !NOT_UPLOADED.test(name));
  const contents = files.map((name) => readFileSync(join(BUNDLE, name)));
  return {
    raw_bytes: sum(contents.map((content) => content.length)),
    gzip_bytes: sum(contents.map((content) => gzipSync(content).length)),
  };
}

/** @param {number} bytes */
export const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
