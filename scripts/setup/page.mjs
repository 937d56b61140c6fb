/** Building the web front end into `public/dist`: the vault, the API's types, then Vite. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { buildDevice } from "./device.mjs";
import { fingerprint } from "./fingerprint.mjs";
import { ROOT, inRoot } from "./paths.mjs";
import { run, step } from "./process.mjs";

/** What is served. */
export const PAGE = inRoot("public", "dist");

/** What a build reads. Packages are those of the lock file. */
const INPUTS = ["public", "docs/openapi.json", "package-lock.json"];
/** Made by builds. The vault among them counts by its own hash. */
const MADE = ["dist", "generated"];

const GENERATED = inRoot("public", "src", "generated");

/**
 * Builds it, unless its inputs are those of the last time.
 * @param {import("./prepare.mjs").Kit} kit
 * @returns {Promise<string>} the folder that is served
 */
export async function buildPage(kit) {
  const { wasmSha256 } = await buildDevice(kit);
  const stamp = inRoot("public", "src", "generated", "built-from.json");
  const wanted = JSON.stringify({ inputs: fingerprint(INPUTS, { skipped: MADE }), wasmSha256 });
  if (existsSync(inRoot("public", "dist", "index.html")) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) {
    return PAGE;
  }
  await apiTypes(kit);
  const vite = [inRoot("node_modules", "vite", "bin", "vite.js"), "build", "--config", inRoot("public", "vite.config.ts"), "--logLevel", "warn"];
  await step("Building the page (some seconds)", () => run(kit.node, vite, { cwd: ROOT, env: kit.env }));
  writeFileSync(stamp, wanted);
  return PAGE;
}

/** Writes the types of the server's OpenAPI document, which the page's client is typed with. @param {import("./prepare.mjs").Kit} kit */
export async function apiTypes(kit) {
  mkdirSync(GENERATED, { recursive: true });
  const program = inRoot("node_modules", "openapi-typescript", "bin", "cli.js");
  const args = [program, inRoot("docs", "openapi.json"), "--output", inRoot("public", "src", "generated", "api.d.ts")];
  await run(kit.node, args, { cwd: ROOT, env: kit.env });
}
