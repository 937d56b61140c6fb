/** A server of its own for a measurement, on empty storage that is gone afterwards. */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyMigrations } from "../scripts/setup/d1.mjs";
import { startDevServer } from "../scripts/setup/dev-server.mjs";
import { ensureVars } from "../scripts/setup/vars.mjs";
import { freePort } from "../test/support/server.mjs";

/**
 * Runs `work` against a built Worker.
 * @template T
 * @param {{entry: string, wasmSha256: string}} worker
 * @param {(server: import("../scripts/setup/dev-server.mjs").DevServer, folder: string) => Promise<T>} work
 * @param {Record<string, string>} [vars] laid over those of wrangler.toml
 * @returns {Promise<T>}
 */
export async function withServer(worker, work, vars = {}) {
  const folder = mkdtempSync(join(tmpdir(), "passport-bench-"));
  const [state, envFile] = [join(folder, "state"), join(folder, "secrets.env")];
  await applyMigrations(process.execPath, state);
  ensureVars(envFile);
  const output = openSync(join(folder, "server.log"), "a");
  const server = startDevServer({ node: process.execPath, port: await freePort(), worker, state, envFile, vars, output });
  try {
    await server.ready();
    return await work(server, folder);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
