/** What `npm run deploy` refuses and reminds of, and that it knows the variables which the Worker reads. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { configurationFaults, reminders, secretFaults } from "../../scripts/deploy/checks.mjs";
import { HSM_SECRET_NAMES } from "../../scripts/deploy/hsm.mjs";
import { inRoot } from "../../scripts/setup/paths.mjs";

const ALWAYS = ["ROUTING_KEY", "TOKEN_KEY", "JWT_SIGNING_KEY", "BUNKER_RECEIVING_KEY", "COSIGNER_RECEIVING_KEY"];
const ARN = "arn:aws:kms:eu-central-1:111122223333:key/";
const RING = "projects/p/locations/europe-west3/keyRings/passport/cryptoKeys/";
const VAULT = "https://vault.vault.azure.net/keys/";

/** A whole configuration of each provider, and its secrets. */
const PROVIDERS = {
  aws: {
    vars: { HSM_PROVIDER: "aws", HSM_AWS_BUNKER_KEY_ARN: `${ARN}b-1`, HSM_AWS_COSIGNER_KEY_ARN: `${ARN}c-1` },
    secrets: ["BUNKER", "COSIGNER"].flatMap((it) => [`HSM_AWS_${it}_ACCESS_KEY_ID`, `HSM_AWS_${it}_SECRET_ACCESS_KEY`]),
  },
  google: {
    vars: { HSM_PROVIDER: "google", HSM_GOOGLE_BUNKER_KEY: `${RING}bunker`, HSM_GOOGLE_COSIGNER_KEY: `${RING}cosigner` },
    secrets: ["HSM_GOOGLE_BUNKER_ACCOUNT", "HSM_GOOGLE_COSIGNER_ACCOUNT"],
  },
  azure: {
    vars: {
      HSM_PROVIDER: "azure",
      HSM_AZURE_BUNKER_KEY_ID: `${VAULT}bunker/0a1b`,
      HSM_AZURE_COSIGNER_KEY_ID: `${VAULT}cosigner/0a1b`,
      HSM_AZURE_ALGORITHM: "rsa-oaep-256",
      HSM_AZURE_TENANT_ID: "tenant",
      HSM_AZURE_BUNKER_CLIENT_ID: "bunker-app",
      HSM_AZURE_COSIGNER_CLIENT_ID: "cosigner-app",
    },
    secrets: ["HSM_AZURE_BUNKER_CLIENT_SECRET", "HSM_AZURE_COSIGNER_CLIENT_SECRET"],
  },
  simulator: {
    vars: { HSM_PROVIDER: "simulator", DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION: "the-keks-are-plain-worker-secrets" },
    secrets: ["HSM_SIMULATOR_BUNKER_KEK", "HSM_SIMULATOR_COSIGNER_KEK"],
  },
};

const NAMES = Object.keys(PROVIDERS);
const isOverride = (name) => name.startsWith("DANGER_");

/** The same HSM as the one that is exchanged; its keys are others. */
function previous({ vars, secrets }) {
  const old = Object.entries(vars).map(([name, value]) =>
    isOverride(name) ? [name, value] : [`${name}_PREVIOUS`, /_KEY(_ARN|_ID)?$/.test(name) ? value.replace(/.$/, "9") : value],
  );
  return { vars: Object.fromEntries(old), secrets: secrets.map((name) => `${name}_PREVIOUS`) };
}

const config = (vars, rest = {}) => ({
  vars: { ENVIRONMENT: "production", PUBLIC_URL: "https://bunker.passport-e2e.dev", EXPORT_DELAY: "86400", LOGIN_LIMITS: "standard", ...PROVIDERS.aws.vars, ...vars },
  d1_databases: [{ binding: "DB", database_id: "0a1b" }],
  ...rest,
});
const faults = (vars, rest) => configurationFaults(config(vars, rest));
/** One fault, which begins like this. */
const expectFault = (found, text) => expect(found).toEqual([expect.stringContaining(text)]);

describe("a deployment has the secrets of the HSM that it names, and no other's:", () => {
  test.each(NAMES)("%s", (name) => {
    const { vars, secrets } = PROVIDERS[name];
    expect(faults({ HSM_AWS_BUNKER_KEY_ARN: undefined, HSM_AWS_COSIGNER_KEY_ARN: undefined, ...vars })).toEqual([]);
    expect(secretFaults([...ALWAYS, ...secrets], vars)).toEqual([]);
    for (const gone of [...ALWAYS, ...secrets]) {
      const present = [...ALWAYS, ...secrets].filter((it) => it !== gone);
      expectFault(secretFaults(present, vars), `The secret ${gone} is not set`);
    }
  });

  test.each(NAMES.flatMap((now) => NAMES.map((before) => [now, before])))("%s, and %s before it was exchanged", (now, before) => {
    const [current, old] = [PROVIDERS[now], previous(PROVIDERS[before])];
    const vars = { HSM_AWS_BUNKER_KEY_ARN: undefined, HSM_AWS_COSIGNER_KEY_ARN: undefined, ...old.vars, ...current.vars };
    expect(faults(vars)).toEqual([]);
    const all = [...ALWAYS, ...current.secrets, ...old.secrets];
    expect(secretFaults(all, vars)).toEqual([]);
    for (const gone of old.secrets) expectFault(secretFaults(all.filter((it) => it !== gone), vars), `The secret ${gone} is not set`);
    expect(reminders({ vars }, all).join("\n")).toContain("passport operator propose rotation");
  });
});

test("the names are those that the Worker reads", () => {
  const source = readFileSync(inRoot("src/config/hsm.rs"), "utf8");
  const perHolder = [...source.matchAll(/concat!\("(HSM_\w+_)", \$role, "(\w+)", \$suffix\)/g)].map(([, head, tail]) => [head, tail]);
  const alone = [...source.matchAll(/concat!\("(HSM_\w+)", \$suffix\)/g)].map(([, name]) => name);
  expect(perHolder.length).toBe(10);
  expect(alone.length).toBe(8);
  const read = ["", "_PREVIOUS"].flatMap((generation) => [
    ...alone.map((name) => name + generation),
    ...["BUNKER", "COSIGNER"].flatMap((holder) => perHolder.map(([head, tail]) => head + holder + tail + generation)),
  ]);
  const used = NAMES.flatMap((name) => [PROVIDERS[name], previous(PROVIDERS[name])]).flatMap(({ vars, secrets }) => [...Object.keys(vars), ...secrets]);
  for (const name of [...used, ...HSM_SECRET_NAMES].filter((name) => !isOverride(name))) expect(read).toContain(name);
});

describe("one key for both holders is refused:", () => {
  test.each([
    ["now", { HSM_AWS_COSIGNER_KEY_ARN: `${ARN}b-1` }],
    ["before", { HSM_PROVIDER_PREVIOUS: "aws", HSM_AWS_BUNKER_KEY_ARN_PREVIOUS: `${ARN}x`, HSM_AWS_COSIGNER_KEY_ARN_PREVIOUS: `${ARN}x` }],
    ["the one's now, the other's before", { HSM_PROVIDER_PREVIOUS: "aws", HSM_AWS_BUNKER_KEY_ARN_PREVIOUS: `${ARN}x`, HSM_AWS_COSIGNER_KEY_ARN_PREVIOUS: `${ARN}b-1` }],
  ])("%s", (_, vars) => expectFault(faults(vars), "is the same key as HSM_AWS_BUNKER_KEY_ARN"));

  test("and one principal is pointed out", () => {
    const vars = { ...PROVIDERS.azure.vars, HSM_AZURE_COSIGNER_CLIENT_ID: "bunker-app" };
    expect(reminders({ vars }, null).join("\n")).toContain("HSM_AZURE_COSIGNER_CLIENT_ID is HSM_AZURE_BUNKER_CLIENT_ID");
    expect(reminders({ vars: PROVIDERS.azure.vars }, null).join("\n")).not.toContain("CLIENT_ID");
  });
});

describe("a secret in wrangler.toml is refused:", () => {
  const value = randomBytes(32).toString("hex");
  const secrets = [...ALWAYS, ...HSM_SECRET_NAMES.filter((name) => !name.endsWith("_PREVIOUS"))];
  test.each([...secrets, "CANARY_WEBHOOK", "JWT_SIGNING_KEY_PREVIOUS", "METRICS_TOKEN", "OPERATOR_SETUP_TOKEN"])("%s", (name) => {
    // Also one that does not look like it.
    for (const secret of [value, value.slice(1)]) {
      const said = [faults({ [name]: secret }), faults({}, { development_vars: { [name]: secret } })];
      for (const found of said) expectFault(found, `Take ${name} out of wrangler.toml`);
      expect(said.join("\n")).not.toContain(secret);
    }
  });

  test("by what it looks like, under any name", () => {
    for (const text of [value, "-----BEGIN RSA PRIVATE KEY-----\n", '{"type": "service_account", "private_key": ""}']) {
      expectFault(faults({ NOTE: text }), "Take NOTE out");
    }
  });
});

describe("an HSM that is not set up whole is refused:", () => {
  const { azure, google } = PROVIDERS;
  test.each([
    ["none", { HSM_PROVIDER: undefined }, "Set HSM_PROVIDER"],
    ["one that there is not", { HSM_PROVIDER: "toString" }, 'HSM_PROVIDER is "toString"'],
    ["an alias", { HSM_AWS_BUNKER_KEY_ARN: "arn:aws:kms:eu-central-1:111122223333:alias/bunker" }, "Set HSM_AWS_BUNKER_KEY_ARN to"],
    ["a key that is left out", { HSM_AWS_COSIGNER_KEY_ARN: "" }, "Set HSM_AWS_COSIGNER_KEY_ARN to"],
    ["a key store that there is not", { HSM_AWS_KEY_STORE: "external" }, "Set HSM_AWS_KEY_STORE to kms or cloudhsm"],
    ["an endpoint without TLS", { HSM_AWS_ENDPOINT: "http://kms.internal" }, "HSM_AWS_ENDPOINT is https://"],
    ["a version of a key at Google", { ...google.vars, HSM_GOOGLE_BUNKER_KEY: `${RING}bunker/cryptoKeyVersions/1` }, "without a version"],
    ["no version at Azure", { ...azure.vars, HSM_AZURE_BUNKER_KEY_ID: `${VAULT}bunker` }, "with its version"],
    ["no algorithm", { ...azure.vars, HSM_AZURE_ALGORITHM: "" }, "Set HSM_AZURE_ALGORITHM to rsa-oaep-256 or a256kw"],
    ["no directory", { ...azure.vars, HSM_AZURE_TENANT_ID: "" }, "Set HSM_AZURE_TENANT_ID"],
    ["the simulator", { HSM_PROVIDER: "simulator" }, "HSM_PROVIDER is the simulator"],
    ["the simulator, before", { HSM_PROVIDER_PREVIOUS: "simulator" }, "HSM_PROVIDER_PREVIOUS is the simulator"],
    ["an old KEK without its provider", { HSM_AWS_BUNKER_KEY_ARN_PREVIOUS: `${ARN}x` }, "without HSM_PROVIDER_PREVIOUS"],
  ])("%s", (_, vars, text) => expectFault(faults(vars), text));
});

describe("what the Worker would refuse once it is there is refused before:", () => {
  test.each([
    ["EXPORT_DELAY", [undefined, "60", "1h", "2592001", "-1"], ["3600", "2592000"]],
    ["DEK_LIFETIME", ["0", "3601", "5m"], [undefined, "1", "3600"]],
    ["LOGIN_LIMITS", [undefined, "wide"], ["standard"]],
    ["MAX_PARTICIPANTS", ["11", "100"], [undefined, "2", "10"]],
    ["FROST_THRESHOLD", ["1", "11", "two"], [undefined, "2", "10"]],
    ["CANARY_ACTION", ["delete"], [undefined, "alarm", "seal"]],
  ])("%s", (name, wrong, right) => {
    for (const value of wrong) expectFault(faults({ [name]: value }), `Set ${name} in`);
    for (const value of right) expect(faults({ [name]: value })).toEqual([]);
  });

  test("a threshold that nobody can reach", () => expectFault(faults({ FROST_THRESHOLD: "4", MAX_PARTICIPANTS: "3" }), "Set FROST_THRESHOLD in"));

  test("an object that production does not have", () => {
    const bound = (...names) => ({ bindings: names.map((name) => ({ name })) });
    const [all, few] = [bound("BUNKER", "DEPLOYMENT"), bound("BUNKER")];
    expect(faults({}, { durable_objects: all, development_objects: all })).toEqual([]);
    expectFault(faults({}, { durable_objects: few, development_objects: all }), "Bind DEPLOYMENT in");
  });
});

test("the configuration of this repository lacks nothing but what is each deployment's own", () => {
  const found = configurationFaults(JSON.parse(execFileSync(process.execPath, [inRoot("scripts/deploy/read-config.mjs")], { encoding: "utf8" })));
  expect(found).toEqual(["PUBLIC_URL is still", "HSM_PROVIDER is the simulator", "Set the DB's database_id"].map((text) => expect.stringContaining(text)));
});

test("a sink of records has its bucket, or the deployment is refused", () => {
  expect(faults({ AUDIT_SINK: "none" })).toEqual([]);
  expectFault(faults({ AUDIT_SINK: "r2" }), "AUDIT_BUCKET");
  expectFault(faults({ AUDIT_SINK: "r2" }, { r2_buckets: [{ binding: "OTHER", bucket_name: "x" }] }), "AUDIT_BUCKET");
  expect(faults({ AUDIT_SINK: "r2" }, { r2_buckets: [{ binding: "AUDIT_BUCKET", bucket_name: "x" }] })).toEqual([]);
  expectFault(faults({ AUDIT_SINK: "s3" }), 'AUDIT_SINK is "s3"');
});

test("what a deployment may do without is reminded of, and never refused", () => {
  const { vars, secrets } = PROVIDERS.aws;
  const said = (...more) => reminders({ vars, routes: ["x"] }, [...ALWAYS, ...secrets, ...more]).join("\n");
  expect(said()).toMatch(/OPERATOR_SETUP_TOKEN is not set[^]*METRICS_TOKEN is not set/);
  const all = said("OPERATOR_SETUP_TOKEN", "METRICS_TOKEN", "JWT_SIGNING_KEY_PREVIOUS", "HSM_SIMULATOR_BUNKER_KEK");
  expect(all).toContain("`npx wrangler secret delete OPERATOR_SETUP_TOKEN --env production`");
  expect(all).toContain("JWT_SIGNING_KEY_PREVIOUS is set");
  expect(all).toContain("HSM_SIMULATOR_BUNKER_KEK: no configured HSM reads that");
  expect(all).not.toMatch(/METRICS_TOKEN|routes/);
  // A look at the file alone says nothing of secrets.
  expect(reminders({ vars }, null).join("\n")).not.toMatch(/TOKEN/);
});
