/** Prints the production configuration of wrangler.toml as JSON. Run by deploy.mjs with a Node.js that wrangler accepts. */
import { unstable_readConfig } from "wrangler";
import { inRoot } from "../setup/paths.mjs";

const { name, main, compatibility_date, vars, d1_databases, durable_objects } = unstable_readConfig(
  { config: inRoot("wrangler.toml"), env: "production" },
  { hideWarnings: true },
);
process.stdout.write(JSON.stringify({ name, main, compatibility_date, vars, d1_databases, durable_objects }));
