/** Prints the production configuration of wrangler.toml as JSON. Run by deploy.mjs with a Node.js that wrangler accepts. */
import { unstable_readConfig } from "wrangler";
import { inRoot } from "../setup/paths.mjs";

const read = (env) => unstable_readConfig({ config: inRoot("wrangler.toml"), env }, { hideWarnings: true });

const { name, main, compatibility_date, vars, d1_databases, r2_buckets, durable_objects, route, routes = [route].filter(Boolean) } = read("production");
const { vars: development_vars, durable_objects: development_objects } = read(undefined);
process.stdout.write(
  JSON.stringify({ name, main, compatibility_date, vars, development_vars, d1_databases, r2_buckets, durable_objects, development_objects, routes }),
);
