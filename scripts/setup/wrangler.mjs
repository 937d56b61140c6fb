/** How wrangler is called: offline, silent about itself, and without a shell or npx between. */
import { inRoot } from "./paths.mjs";

/** wrangler's own file; started directly, because killing an `npx` or `sh` parent orphans workerd. */
export const WRANGLER = inRoot("node_modules", "wrangler", "bin", "wrangler.js");

/** Keeps wrangler from calling home and from asking. */
export const WRANGLER_ENV = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_LOG_PATH: inRoot(".wrangler", "logs"),
  NO_COLOR: "1",
};

/**
 * Arguments of `wrangler dev` for a server on this machine.
 * @param {object} server
 * @param {number} server.port
 * @param {import("./build.mjs").Built} server.worker
 * @param {string} server.state folder of D1 and the Durable Objects
 * @param {string} [server.envFile] secrets; `.dev.vars` when absent
 * @param {Record<string, string>} [server.vars] laid over those of wrangler.toml
 */
export function devArgs({ port, worker, state, envFile, vars = {} }) {
  const all = { PUBLIC_URL: `http://127.0.0.1:${port}`, WASM_SHA256: worker.wasmSha256, ...vars };
  return [
    WRANGLER,
    "dev",
    worker.entry,
    "--local",
    ...["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"],
    ...["--persist-to", state],
    "--show-interactive-dev-session=false",
    ...(envFile ? ["--env-file", envFile] : []),
    ...Object.entries(all).flatMap(([name, value]) => ["--var", `${name}:${value}`]),
  ];
}
