/**
 * What has to be true of the production configuration before anything is uploaded, and what is worth a reminder. The
 * Worker refuses most of it, too, but only once it is there.
 */
import { SECRET_NAMES } from "../setup/vars.mjs";
import { HSM_SECRET_NAMES, hsmFaults, hsmReminders, hsmSecrets } from "./hsm.mjs";

/** Those that every deployment has, whatever its HSM. */
const ALWAYS = SECRET_NAMES.filter((name) => !HSM_SECRET_NAMES.includes(name));
/** Those that it may have. */
const OPTIONAL = ["CANARY_WEBHOOK", "JWT_SIGNING_KEY_PREVIOUS", "METRICS_TOKEN", "OPERATOR_SETUP_TOKEN"];
/** Variables that are numbers or words: what the Worker takes in production. What has `or` may be left out. */
const VALUES = [
  { name: "EXPORT_DELAY", fits: number(3600, 2_592_000), hint: "a number of seconds from 3600 to 2592000: the time to notice and cancel" },
  { name: "DEK_LIFETIME", fits: number(1, 3600), hint: "a number of seconds from 1 to 3600", or: "300" },
  { name: "LOGIN_LIMITS", fits: (text) => text === "standard", hint: "standard" },
  { name: "MAX_PARTICIPANTS", fits: number(2, 10), hint: "a number from 2 to 10", or: "10" },
  { name: "FROST_THRESHOLD", fits: (text, vars) => number(2, Number(vars.MAX_PARTICIPANTS || 10))(text), hint: "a number from 2 to MAX_PARTICIPANTS", or: "2" },
  { name: "CANARY_ACTION", fits: (text) => ["alarm", "seal"].includes(text), hint: "alarm or seal", or: "alarm" },
];
/** What 32 random bytes, a private key and a service account's file look like. */
const LOOKS_SECRET = /^[0-9a-fA-F]{64}$|-----BEGIN [A-Z ]*PRIVATE KEY|"private_key"/;

/**
 * @param {object} config from read-config.mjs
 * @returns {string[]} what to change, one sentence each; empty when all is well
 */
export function configurationFaults(config) {
  const { vars = {}, development_vars = {}, d1_databases = [], r2_buckets = [] } = config;
  const faults = [];
  if (vars.ENVIRONMENT !== "production") faults.push('Set ENVIRONMENT = "production" in [env.production.vars].');
  faults.push(...urlFaults(vars.PUBLIC_URL), ...hsmFaults(vars));
  const inFile = new Set([...secretsIn(vars), ...secretsIn(development_vars)]);
  if (inFile.size) {
    faults.push(`Take ${[...inFile].join(", ")} out of wrangler.toml: secrets are set with \`wrangler secret put\`. What was committed has to be replaced.`);
  }
  for (const { name, fits, hint, or } of VALUES) {
    if (!fits(vars[name] || or || "", vars)) faults.push(`Set ${name} in [env.production.vars] to ${hint}.`);
  }
  faults.push(...sinkFaults(vars.AUDIT_SINK, r2_buckets), ...objectFaults(config));
  const database = d1_databases.find(({ binding }) => binding === "DB");
  if (!database?.database_id || /^[0-]+$/.test(database.database_id)) {
    faults.push("Set the DB's database_id in [[env.production.d1_databases]]: `npx wrangler d1 create passport` prints it.");
  }
  return faults;
}

/**
 * @param {string[]} present names of the secrets that are set
 * @param {Record<string, string>} vars the production variables, which say which HSM there is
 * @returns {string[]} what to do
 */
export function secretFaults(present, vars) {
  const missing = (name) => !present.includes(name);
  const isRandom = (name) => !HSM_SECRET_NAMES.includes(name) || name.startsWith("HSM_SIMULATOR_");
  return [...ALWAYS, ...hsmSecrets(vars)].filter(missing).map((name) => {
    const put = `npx wrangler secret put ${name} --env production`;
    return isRandom(name)
      ? `The secret ${name} is not set: \`openssl rand -hex 32 | ${put}\`.`
      : `The secret ${name} is not set: \`${put}\`; docs/HSM.md says what it is.`;
  });
}

/**
 * What is right as it is, and easily forgotten.
 * @param {object} config from read-config.mjs
 * @param {string[]|null} present names of the secrets that are set, if they were looked at
 * @returns {string[]}
 */
export function reminders({ vars = {}, routes = [] }, present) {
  const reminders = hsmReminders(vars);
  if (!routes.length) {
    reminders.push("[env.production] has no routes: the Worker is reached at PUBLIC_URL only if its custom domain is set in the dashboard.");
  }
  if ((vars.AUDIT_SINK || "none") === "none") {
    reminders.push('AUDIT_SINK is "none": audit records are in the objects\' own storage and in the log. "r2" keeps a copy in a bucket.');
  }
  if (present === null) return reminders;
  const remove = (name) => `\`npx wrangler secret delete ${name} --env production\``;
  reminders.push(
    present.includes("OPERATOR_SETUP_TOKEN")
      ? `OPERATOR_SETUP_TOKEN is set: it is needed once, for \`passport operator setup\`. Afterwards: ${remove("OPERATOR_SETUP_TOKEN")}.`
      : "OPERATOR_SETUP_TOKEN is not set: right once `passport operator setup` is done, and until then nobody can seal.",
  );
  if (!present.includes("METRICS_TOKEN")) {
    reminders.push("METRICS_TOKEN is not set: /metrics is for operators with the scope `metrics` alone.");
  }
  if (present.includes("JWT_SIGNING_KEY_PREVIOUS")) {
    reminders.push(`JWT_SIGNING_KEY_PREVIOUS is set: 15 minutes after JWT_SIGNING_KEY was replaced, ${remove("JWT_SIGNING_KEY_PREVIOUS")}.`);
  }
  const used = hsmSecrets(vars);
  const idle = present.filter((name) => HSM_SECRET_NAMES.includes(name) && !used.includes(name) && !name.includes("_SESSION_TOKEN"));
  if (idle.length) {
    reminders.push(`${idle.join(", ")}: no configured HSM reads that. Delete it, when it is not for the next exchange of a KEK.`);
  }
  return reminders;
}

function secretsIn(vars) {
  const names = [...ALWAYS, ...OPTIONAL, ...HSM_SECRET_NAMES];
  return Object.entries(vars).flatMap(([name, value]) => (names.includes(name) || LOOKS_SECRET.test(value) ? [name] : []));
}

function sinkFaults(sink, buckets) {
  if (!sink || sink === "none") return [];
  if (sink !== "r2") return [`AUDIT_SINK is ${JSON.stringify(sink)}: there are none and r2.`];
  if (buckets.some(({ binding, bucket_name: bucket }) => binding === "AUDIT_BUCKET" && bucket)) return [];
  return ['AUDIT_SINK is "r2": bind a bucket as AUDIT_BUCKET in [[env.production.r2_buckets]]; without it nothing is signed.'];
}

/** What an environment has it does not inherit: an object that was added for this machine alone would be missing. */
function objectFaults({ durable_objects: production, development_objects: development }) {
  const present = new Set(production?.bindings.map(({ name }) => name));
  const missing = (development?.bindings ?? []).map(({ name }) => name).filter((name) => !present.has(name));
  return missing.map((name) => `Bind ${name} in [[env.production.durable_objects.bindings]], as at the top of wrangler.toml.`);
}

function number(least, most) {
  return (text) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
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
