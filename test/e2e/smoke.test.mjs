/** The built Worker starts with generated configuration and shows what it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { built } from "../../scripts/setup/build.mjs";
import { startServer } from "../support/server.mjs";

let server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

const get = (path, init) => fetch(`${server.url}${path}`, init);

test("a fresh configuration is healthy", async () => {
  const answer = await get("/healthz");
  expect(answer.status).toBe(200);
});

test("/version names exactly the WASM that runs", async () => {
  const version = await (await get("/version")).json();
  expect(version).toMatchObject({ name: "passport", wasm_sha256: built("product").wasmSha256 });
});

test("/holders lists the server's holders with a receiving key each", async () => {
  const { holders } = await (await get("/holders")).json();
  expect(holders.map(({ role, index }) => [role, index])).toEqual([
    ["bunker", 1],
    ["cosigner", 2],
  ]);
  for (const { receiving_key } of holders) expect(receiving_key).toMatch(/^[0-9a-f]{64}$/);
  expect(holders[0].receiving_key).not.toBe(holders[1].receiving_key);
});

test("the OpenAPI document lists the routes", async () => {
  const { openapi, paths } = await (await get("/openapi.json")).json();
  expect(openapi).toMatch(/^3\./);
  for (const path of ["/auth/register", "/auth/token", "/keys", "/keys/{group}/connections", "/relay/{bunker_id}"]) {
    expect(Object.keys(paths)).toContain(path);
  }
});

test("access tokens can be checked with the published key", async () => {
  const { keys } = await (await get("/.well-known/jwks.json")).json();
  expect(keys).toHaveLength(1);
  expect(keys[0]).toMatchObject({ kty: "OKP", crv: "Ed25519", alg: "EdDSA" });
  expect(keys[0]).not.toHaveProperty("d");
});

test("an unknown address is a problem document with a code", async () => {
  const answer = await get("/nowhere");
  expect(answer.status).toBe(404);
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
  expect(await answer.json()).toMatchObject({ status: 404, code: "not_found" });
});

test("the product flavour has no way in for arranged faults", async () => {
  for (const path of ["/fault", "/test/fault", "/internal/fault", "/provision", "/contribute", "/deliver"]) {
    expect((await get(path, { method: "POST", body: '"panic"' })).status).toBe(404);
  }
});

test("no secret of the configuration is printed", () => {
  const log = server.log();
  const values = [...readFileSync(join(server.folder, "secrets.env"), "utf8").matchAll(/=([0-9a-f]{64})$/gm)];
  expect(values).toHaveLength(9);
  for (const [, value] of values) expect(log).not.toContain(value);
});

const WRONG = {
  zero: ["TOKEN_KEY", "0".repeat(64)],
  short: ["JWT_SIGNING_KEY", "abcdef"],
  example: ["ROUTING_KEY", "changeme"],
};

test.each(Object.entries(WRONG))("a secret that is %s refuses every request and names the variable", async (_, [name, value]) => {
  const wrong = await startServer({ secrets: { [name]: value } });
  try {
    const answer = await fetch(`${wrong.url}/holders`);
    expect(answer.status).toBe(503);
    const problem = await answer.json();
    expect(problem).toMatchObject({ code: "configuration_invalid" });
    expect(problem.detail).toContain(name);
    expect(JSON.stringify(problem)).not.toContain(value);
  } finally {
    await wrong.stop();
  }
});
