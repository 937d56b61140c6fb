/** What has to be true of the production configuration before anything is uploaded. */
import { SECRET_NAMES } from "../setup/vars.mjs";

/** Set as a production variable to go without an HSM. The Worker asks for the same. */
const SIMULATOR_OVERRIDE = "DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION";
const SIMULATOR_OVERRIDE_VALUE = "the-keks-are-plain-worker-secrets";

/**
 * @param {object} config from read-config.mjs
 * @returns {string[]} what to change, one sentence each; empty when all is well
 */
export function configurationFaults({ vars = {}, d1_databases = [] }) {
  const faults = [];
  if (vars.ENVIRONMENT !== "production") faults.push('Set ENVIRONMENT = "production" in [env.production.vars].');
  faults.push(...urlFaults(vars.PUBLIC_URL));
  if (vars.HSM_PROVIDER === "simulator" && vars[SIMULATOR_OVERRIDE] !== SIMULATOR_OVERRIDE_VALUE) {
    faults.push(
      "HSM_PROVIDER is the simulator, which is software: the keys that wrap shares would be plain Worker secrets. " +
        `To accept that, set ${SIMULATOR_OVERRIDE} = "${SIMULATOR_OVERRIDE_VALUE}" in [env.production.vars].`,
    );
  }
  const secretVars = SECRET_NAMES.filter((name) => name in vars);
  if (secretVars.length) faults.push(`Take ${secretVars.join(", ")} out of wrangler.toml: secrets are set with \`wrangler secret put\`.`);
  const database = d1_databases.find(({ binding }) => binding === "DB");
  if (!database?.database_id || /^[0-]+$/.test(database.database_id)) {
    faults.push("Set the DB's database_id in [[env.production.d1_databases]]: `npx wrangler d1 create passport` prints it.");
  }
  return faults;
}

/**
 * @param {string[]} present names of the secrets that are set
 * @returns {string[]} what to do
 */
export function secretFaults(present) {
  return SECRET_NAMES.filter((name) => !present.includes(name)).map(
    (name) => `The secret ${name} is not set: \`openssl rand -hex 32 | npx wrangler secret put ${name} --env production\`.`,
  );
}

function urlFaults(text) {
  const url = parse(text);
  if (url?.protocol !== "https:") return ["Set PUBLIC_URL in [env.production.vars] to the https:// address that clients will use."];
  if (/(^|\.)example(\.(com|net|org))?$/.test(url.hostname)) {
    return [`PUBLIC_URL is still the example ${text}: set the address that clients will use.`];
  }
  return [];
}

function parse(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
