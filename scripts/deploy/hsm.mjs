/**
 * The variables of each HSM provider, as `src/config/hsm.rs` reads them: which are secrets, and what has to be true of
 * the others. Of secrets only the names can be seen from here.
 *
 * Out of scope: whether a provider lets the principals in. `/readyz` says that once it runs.
 */

/** Set as a production variable to go without an HSM. The Worker asks for the same. */
export const SIMULATOR_OVERRIDE = "DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION";
const SIMULATOR_OVERRIDE_VALUE = "the-keks-are-plain-worker-secrets";

/** What wraps, and what only unwraps until nothing is wrapped by it any more. */
const GENERATIONS = ["", "_PREVIOUS"];
const HOLDERS = ["BUNKER", "COSIGNER"];

/**
 * @typedef {object} Provider names without their generation; `*` stands for the holder
 * @property {string} [key] the variable that names a holder's key
 * @property {RegExp} [form] how a key is named
 * @property {string} [hint] the same for people
 * @property {string[]} secrets
 * @property {string[]} [optionalSecrets]
 * @property {string[]} [vars] further variables that have to be set
 * @property {Record<string, string[]>} [choices] variables with few values; the first one holds when it is not set
 * @property {string[]} [endpoints]
 * @property {string} [principal] the variable that names who may use a holder's key, where it is no secret
 */

/** @type {Record<string, Provider>} */
const PROVIDERS = {
  simulator: { secrets: ["HSM_SIMULATOR_*_KEK"] },
  aws: {
    key: "HSM_AWS_*_KEY_ARN",
    form: /^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:\d{12}:key\/[a-z0-9-]+$/,
    hint: "the key's full ARN, arn:aws:kms:REGION:ACCOUNT:key/ID, no alias",
    secrets: ["HSM_AWS_*_ACCESS_KEY_ID", "HSM_AWS_*_SECRET_ACCESS_KEY"],
    optionalSecrets: ["HSM_AWS_*_SESSION_TOKEN"],
    choices: { HSM_AWS_KEY_STORE: ["kms", "cloudhsm"] },
    endpoints: ["HSM_AWS_ENDPOINT"],
  },
  google: {
    key: "HSM_GOOGLE_*_KEY",
    form: /^projects\/[\w-]+\/locations\/[\w-]+\/keyRings\/[\w-]+\/cryptoKeys\/[\w-]+$/,
    hint: "projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version",
    secrets: ["HSM_GOOGLE_*_ACCOUNT"],
    endpoints: ["HSM_GOOGLE_ENDPOINT", "HSM_GOOGLE_TOKEN_ENDPOINT"],
  },
  azure: {
    key: "HSM_AZURE_*_KEY_ID",
    form: /^https:\/\/[a-z0-9-][a-z0-9.-]*\.[a-z0-9.-]*(:\d{1,5})?\/keys\/[A-Za-z0-9-]+\/[A-Za-z0-9-]+$/,
    hint: "https://VAULT/keys/NAME/VERSION, with its version",
    secrets: ["HSM_AZURE_*_CLIENT_SECRET"],
    vars: ["HSM_AZURE_TENANT_ID", "HSM_AZURE_*_CLIENT_ID"],
    choices: { HSM_AZURE_ALGORITHM: ["rsa-oaep-256", "a256kw"] },
    endpoints: ["HSM_AZURE_AUTHORITY"],
    principal: "HSM_AZURE_*_CLIENT_ID",
  },
};

/** Variables with few values of which none holds by itself. */
const CHOSEN = ["HSM_AZURE_ALGORITHM"];

/** Every name that a secret of an HSM can have. */
export const HSM_SECRET_NAMES = GENERATIONS.flatMap((generation) =>
  Object.values(PROVIDERS).flatMap(({ secrets, optionalSecrets = [] }) => named([...secrets, ...optionalSecrets], generation)),
);

/**
 * The secrets without which the configured HSMs can't be used.
 * @param {Record<string, string>} vars
 */
export function hsmSecrets(vars) {
  return GENERATIONS.flatMap((generation) => named(providerOf(vars, generation)?.secrets ?? [], generation));
}

/**
 * What to change about the HSMs, one sentence each.
 * @param {Record<string, string>} vars
 * @returns {string[]}
 */
export function hsmFaults(vars) {
  const faults = [];
  if (!vars.HSM_PROVIDER) faults.push(`Set HSM_PROVIDER in [env.production.vars]: ${Object.keys(PROVIDERS).join(", ")}.`);
  for (const generation of GENERATIONS) faults.push(...generationFaults(vars, generation));
  const half = Object.keys(vars).filter((name) => /^HSM_.*_PREVIOUS$/.test(name) && vars[name] && name !== "HSM_PROVIDER_PREVIOUS");
  if (half.length && !vars.HSM_PROVIDER_PREVIOUS) {
    faults.push(`${half.join(", ")}: without HSM_PROVIDER_PREVIOUS nothing reads that, and what the old KEK wrapped does not open.`);
  }
  return [...faults, ...sameKeyFaults(vars)];
}

/**
 * What is allowed, and better otherwise.
 * @param {Record<string, string>} vars
 * @returns {string[]}
 */
export function hsmReminders(vars) {
  const reminders = GENERATIONS.flatMap((generation) => {
    const { principal } = providerOf(vars, generation) ?? {};
    const [bunker, cosigner] = principal ? named([principal], generation) : [];
    const isShared = principal && vars[bunker] && vars[bunker] === vars[cosigner];
    return isShared ? [`${cosigner} is ${bunker}: who has that one can use both keys. Give each holder a principal of its own.`] : [];
  });
  if (vars.HSM_PROVIDER_PREVIOUS) {
    reminders.push(
      "Two KEKs for each holder are configured. Once this runs: `passport operator propose rotation` and another operator's " +
        "approval; the _PREVIOUS names go when `passport operator status` says that all is wrapped anew.",
    );
  }
  return reminders;
}

function generationFaults(vars, generation) {
  const name = `HSM_PROVIDER${generation}`;
  if (!vars[name]) return [];
  const provider = providerOf(vars, generation);
  if (!provider) return [`${name} is ${JSON.stringify(vars[name])}: there are ${Object.keys(PROVIDERS).join(", ")}.`];
  const faults = [];
  if (vars[name] === "simulator" && vars[SIMULATOR_OVERRIDE] !== SIMULATOR_OVERRIDE_VALUE) {
    faults.push(
      `${name} is the simulator, which is software: the keys that wrap shares would be plain Worker secrets. ` +
        `To accept that, set ${SIMULATOR_OVERRIDE} = "${SIMULATOR_OVERRIDE_VALUE}" in [env.production.vars].`,
    );
  }
  const { key, form, hint, vars: further = [], choices = {}, endpoints = [] } = provider;
  for (const it of key ? named([key], generation) : []) if (!form.test(vars[it] ?? "")) faults.push(`Set ${it} to ${hint}.`);
  for (const it of named(further, generation)) if (!/^[!-~]+$/.test(vars[it] ?? "")) faults.push(`Set ${it}: docs/HSM.md says to what.`);
  for (const [it, values] of Object.entries(choices)) {
    const value = vars[it + generation] || (CHOSEN.includes(it) ? "" : values[0]);
    if (!values.includes(value)) faults.push(`Set ${it}${generation} to ${values.join(" or ")}.`);
  }
  for (const it of named(endpoints, generation)) {
    if (vars[it] && !/^https:\/\/[A-Za-z0-9.:-]+$/.test(vars[it])) {
      faults.push(`${it} is https:// and a host, without a path; leave it out for the provider's own.`);
    }
  }
  return faults;
}

/** No key may be the bunker's now and the cosigner's before, either: the old credentials would open for both. */
function sameKeyFaults(vars) {
  const [bunkers, cosigners] = HOLDERS.map((_, at) =>
    GENERATIONS.flatMap((generation) => {
      const { key } = providerOf(vars, generation) ?? {};
      return key ? [named([key], generation)[at]] : [];
    }),
  );
  return bunkers.flatMap((bunker) =>
    cosigners
      .filter((cosigner) => vars[bunker] && vars[bunker] === vars[cosigner])
      .map((cosigner) => `${cosigner} is the same key as ${bunker}: bunker and cosigner each need one of their own.`),
  );
}

function providerOf(vars, generation) {
  const name = vars[`HSM_PROVIDER${generation}`];
  return Object.hasOwn(PROVIDERS, name ?? "") ? PROVIDERS[name] : undefined;
}

/** Names of a generation, for both holders where there is a `*`. */
function named(names, generation) {
  return names.flatMap((name) => (name.includes("*") ? HOLDERS.map((holder) => name.replace("*", holder)) : [name])).map((name) => name + generation);
}
