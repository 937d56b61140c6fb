/** The account database on this machine: applies what is new in `migrations/`. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, inRoot } from "./paths.mjs";
import { run, step } from "./process.mjs";
import { WRANGLER, WRANGLER_ENV } from "./wrangler.mjs";

/**
 * @param {string} node the Node.js that runs wrangler
 * @param {string} state folder that `wrangler dev --persist-to` gets
 */
export async function applyMigrations(node, state) {
  const wanted = fingerprint();
  const stamp = join(state, "passport-migrations");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const args = [WRANGLER, "d1", "migrations", "apply", "DB", "--local", "--persist-to", state];
  await step("Applying database migrations", () => run(node, args, { cwd: ROOT, env: { ...WRANGLER_ENV, CI: "true" } }));
  mkdirSync(state, { recursive: true });
  writeFileSync(stamp, wanted);
}

function fingerprint() {
  const hash = createHash("sha256");
  for (const file of readdirSync(inRoot("migrations")).sort()) {
    hash.update(`${file}\0`).update(readFileSync(inRoot("migrations", file)));
  }
  return hash.digest("hex");
}
