/** A deployment that is configured wrongly serves nothing, and says by name what to set. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ask, expectProblem, workerLog } from "../support/api.mjs";
import { startServer } from "../support/server.mjs";

const SHARED = randomBytes(32).toString("hex");
const HTTPS = "https://bunker.passport-e2e.dev";
const PRODUCTION = { ENVIRONMENT: "production", PUBLIC_URL: HTTPS, EXPORT_DELAY: "86400" };
const ARN = "arn:aws:kms:eu-central-1:111122223333:key/";
const AWS = { HSM_PROVIDER: "aws", HSM_AWS_BUNKER_KEY_ARN: `${ARN}bunker`, HSM_AWS_COSIGNER_KEY_ARN: `${ARN}cosigner` };
const AWS_CREDENTIALS = Object.fromEntries(
  ["BUNKER", "COSIGNER"].flatMap((it) => [
    [`HSM_AWS_${it}_ACCESS_KEY_ID`, "AKIDEXAMPLE"],
    [`HSM_AWS_${it}_SECRET_ACCESS_KEY`, "none"],
  ]),
);
/** How a person makes a secret. */
const MAKE_ONE = /`openssl rand -hex 32`.*`wrangler secret put NAME`/;

const WRONG = [
  ["a missing secret", "COSIGNER_RECEIVING_KEY", /^COSIGNER_RECEIVING_KEY is not set\./, MAKE_ONE, { secrets: { COSIGNER_RECEIVING_KEY: "" } }],
  ["a secret of zeros", "HSM_SIMULATOR_BUNKER_KEK", /too regular/, MAKE_ONE, { secrets: { HSM_SIMULATOR_BUNKER_KEK: "0".repeat(64) } }],
  ["an example secret", "JWT_SIGNING_KEY", /placeholder/, MAKE_ONE, { secrets: { JWT_SIGNING_KEY: "changeme" } }],
  [
    "one secret for two purposes",
    "HSM_SIMULATOR_COSIGNER_KEK",
    /same value as HSM_SIMULATOR_BUNKER_KEK/,
    MAKE_ONE,
    { secrets: { HSM_SIMULATOR_BUNKER_KEK: SHARED, HSM_SIMULATOR_COSIGNER_KEK: SHARED } },
  ],
  ["an HSM that there is not", "HSM_PROVIDER", /cannot be used/, /`aws`, `google`, `azure`/, { vars: { HSM_PROVIDER: "cloud-hsm" } }],
  ["an HSM without its credentials", "HSM_AWS_BUNKER_ACCESS_KEY_ID", /is not set/, /the one principal/, { vars: AWS }],
  [
    "one KEK for both holders",
    "HSM_AWS_COSIGNER_KEY_ARN",
    /same key as HSM_AWS_BUNKER_KEY_ARN/,
    /one of their own/,
    { vars: { ...AWS, ...AWS_CREDENTIALS, HSM_AWS_COSIGNER_KEY_ARN: AWS.HSM_AWS_BUNKER_KEY_ARN } },
  ],
  ["the simulator in production, as the HSM before", "HSM_PROVIDER_PREVIOUS", /refused in production/, /DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION=\S+/, { vars: { ...PRODUCTION, ...AWS, ...AWS_CREDENTIALS, HSM_PROVIDER_PREVIOUS: "simulator" } }],
  ["the simulator in production", "HSM_PROVIDER", /refused in production/, /DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION=\S+/, { vars: PRODUCTION }],
  ["an export delay too short to notice", "EXPORT_DELAY", /cannot be used/, /3600 to 2592000/, { vars: { ...PRODUCTION, EXPORT_DELAY: "60", DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION: "the-keks-are-plain-worker-secrets" } }],
  ["logins without limits in production", "LOGIN_LIMITS", /cannot be used/, /standard/, { vars: { ...PRODUCTION, LOGIN_LIMITS: "wide", DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION: "the-keks-are-plain-worker-secrets" } }],
  ["plain http in production", "PUBLIC_URL", /cannot be used/, /has to be https/, { vars: { ...PRODUCTION, PUBLIC_URL: "http://bunker.passport-e2e.dev" } }],
];

const ROUTES = [
  ["GET", "/version"],
  ["GET", "/holders"],
  ["GET", "/openapi.json"],
  ["GET", "/.well-known/jwks.json"],
  ["POST", "/auth/register"],
  ["POST", "/auth/params"],
  ["POST", "/auth/token"],
  ["POST", "/auth/refresh"],
  ["POST", "/auth/logout"],
  ["POST", "/keys"],
  ["GET", "/keys"],
  ["GET", `/keys/${"0".repeat(32)}`],
  ["POST", `/keys/${"0".repeat(32)}/connections`],
  ["DELETE", `/keys/${"0".repeat(32)}/connections/${"0".repeat(32)}`],
  ["GET", `/keys/${"0".repeat(32)}/activity`],
  ["GET", `/relay/${"0".repeat(48)}`],
  ["GET", "/nowhere"],
  ["OPTIONS", "/keys"],
  ["POST", "/healthz/x"],
];

async function withServer(options, use) {
  const server = await startServer(options);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/** Every value of the deployment that somebody could have taken for a secret. */
const secretValues = (server) =>
  readFileSync(join(server.folder, "secrets.env"), "utf8")
    .split("\n")
    .map((line) => line.match(/^[A-Z0-9_]+=(.+)$/)?.[1])
    .filter(Boolean);

describe("every route but /healthz answers what is wrong, with", () => {
  test.each(WRONG)("%s", (_, name, what, remedy, options) =>
    withServer(options, async (server) => {
      const health = await ask(server, "GET", "/healthz");
      expect([health.status, health.body]).toEqual([200, { status: "ok" }]);

      const headers = { accept: "application/nostr+json", origin: "https://evil.test" };
      for (const [method, path] of ROUTES) {
        const answer = await ask(server, method, path, { headers, json: method === "POST" ? {} : undefined });
        expectProblem(answer, 503, "configuration_invalid");
        const { detail } = answer.body;
        expect(detail.startsWith(`${name} `), detail).toBe(true);
        expect(detail).toMatch(what);
        expect(detail).toMatch(remedy);
        for (const value of secretValues(server)) expect(answer.text).not.toContain(value);
      }

      await expect.poll(() => workerLog(server)).toContain(`"cause":"${name} `);
      for (const value of secretValues(server)) expect(server.log()).not.toContain(value);
    }),
  );
});

test("production with the simulator starts with the loudly named setting alone, under https for good", () =>
  withServer({ vars: { ...PRODUCTION, DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION: "the-keks-are-plain-worker-secrets" } }, async (server) => {
    const answer = await ask(server, "GET", "/holders");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("strict-transport-security")).toMatch(/^max-age=31536000/);
  }));
