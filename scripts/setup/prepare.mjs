/** All set-up in its order: what every script needs before it can do its own work. */
import { delimiter, dirname } from "node:path";
import { ensureNode } from "./node.mjs";
import { ensureRust } from "./rust.mjs";
import { ensureTools } from "./tools.mjs";
import { TARGET } from "./paths.mjs";

/**
 * @typedef {object} Kit what the other steps work with
 * @property {string} node the Node.js that runs wrangler and vitest
 * @property {Record<string, string>} env environment for cargo and for anything that looks for `node`
 * @property {import("./tools.mjs").Tools} tools
 */

/**
 * Installs whatever is missing; quick and silent when nothing is.
 * @returns {Promise<Kit>}
 */
export async function prepare() {
  const node = await ensureNode();
  const rust = await ensureRust();
  const env = {
    ...rust,
    PATH: `${dirname(node)}${delimiter}${rust.PATH}`,
    CARGO_TARGET_DIR: TARGET,
  };
  return { node, env, tools: await ensureTools(env) };
}
