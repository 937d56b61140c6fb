/**
 * Accounts, logins and tokens that exist to be found: whoever touches one learns nothing, and everybody hears of it who
 * has to.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { ask } from "../support/api.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

const TOKEN = `pop_${randomBytes(32).toString("base64url")}`;
const METRICS_TOKEN = randomBytes(32).toString("hex");
const HEARD = { timeout: 20_000, interval: 200 };

/** Where the operators are told. */
let hook, told;
let server, alice, bait, hers, baits;

beforeAll(async () => {
  told = [];
  hook = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    told.push(JSON.parse(body));
    response.end();
  });
  await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
  server = await startServer({ secrets: { METRICS_TOKEN } });
  [alice, bait] = [await makeAccount(server), await makeAccount(server)];
  const owner = await ownerOf(bait);
  await server.stop();
  const entries = [`owner:${owner}`, `login:${bait.username}`, `token:${createHash("sha256").update(TOKEN).digest("hex")}`];
  server.setVars({ CANARIES: entries.join(","), CANARY_WEBHOOK: `http://127.0.0.1:${hook.address().port}/` });
  await server.start();
  [hers, baits] = await Promise.all([alice, bait].map(async (account) => Object.assign(await RawApp.open(account.bunker_url), {})));
  await Promise.all([hers.connect(), baits.connect()]);
});
afterAll(async () => {
  await server?.stop();
  hook?.close();
});

/** The owner key of an account. */
async function ownerOf(account) {
  const { tokens } = JSON.parse(readFileSync(join(account.home, "session.json"), "utf8"));
  return (await ask(server, "GET", "/account", { token: tokens.access_token })).body.owner_pubkey;
}

const sign = async (app) => (await app.ask("sign_event", [note("a note")])).reply;
const heardOf = (kind) => told.filter((it) => it.kind === kind);

test("who uses what nobody uses gets the same answer, and who has to know is told", async () => {
  const before = heardOf("key").length;
  expect((await sign(baits)).error).toBeUndefined();
  await expect.poll(() => heardOf("key").length, HEARD).toBeGreaterThan(before);
  expect(heardOf("key").at(-1)).toMatchObject({ event: "canary", canary: "owner-1", deployment: server.url });
});

test("a login and a token are canaries, too, and answer like any other that is wrong", async () => {
  const wrong = await ask(server, "POST", "/auth/token", { json: { username: bait.username, password: "0".repeat(32) } });
  expect([wrong.status, wrong.body.code]).toEqual([401, "credentials_invalid"]);
  const other = await ask(server, "GET", "/operator/status", { token: TOKEN });
  expect([other.status, other.body.code]).toEqual([401, "operator_token_invalid"]);
  await expect.poll(() => [heardOf("account").length, heardOf("token").length], HEARD).toEqual([1, 1]);
});

test("nobody else's use is one", async () => {
  const before = told.length;
  expect((await sign(hers)).error).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(told.length).toBe(before);
});

test("each kind is counted", async () => {
  const counted = async (kind) => {
    const text = await (await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } })).text();
    return Number(text.match(new RegExp(`passport_canary_uses_total\\{canary_kind="${kind}"\\} (\\d+)`))[1]);
  };
  for (const kind of ["key", "account", "token"]) await expect.poll(() => counted(kind), HEARD).toBeGreaterThan(0);
});

test("where it is set so, the deployment seals itself before anything is done for whoever touched it", async () => {
  await Promise.all([hers.close(), baits.close()]);
  await server.stop();
  server.setVars({ CANARY_ACTION: "seal" });
  await server.start();
  const [mine, theirs] = [await RawApp.open(alice.bunker_url, hers.secretKey), await RawApp.open(bait.bunker_url, baits.secretKey)];
  expect((await sign(mine)).error).toBeUndefined();
  await expect(sign(theirs)).rejects.toThrow(/sealed/);
  // Leases that were given before are over in three seconds.
  await expect.poll(() => sign(mine).then(() => "signed", (error) => error.message), HEARD).toMatch(/sealed/);
  expect((await ask(server, "GET", "/healthz")).status).toBe(200);
  await Promise.all([mine.close(), theirs.close()]);
});
