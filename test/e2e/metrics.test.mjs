/** What those who run a deployment look at: its metrics behind their token, and whether it is ready. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { ask } from "../support/api.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

const TOKEN = randomBytes(32).toString("hex");
/** Counts are told every two seconds at most. */
const TOLD_MS = 20_000;
/** A comment, or a name with its labels and a number: Prometheus' text format 0.0.4. */
const LINE = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z0-9_]+="(\\.|[^"\\])*"(,[a-z0-9_]+="(\\.|[^"\\])*")*\})? [0-9.e+]+)$/;

let server, account, app;
beforeAll(async () => {
  server = await startServer({ secrets: { METRICS_TOKEN: TOKEN } });
  account = await makeAccount(server);
  app = await RawApp.open(account.bunker_url);
  await app.connect();
});
afterAll(() => server?.stop());

async function metrics(token = TOKEN) {
  const answer = await fetch(`${server.url}/metrics`, { headers: token === null ? {} : { authorization: `Bearer ${token}` } });
  return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
}

/** The value of a series, once there is one that satisfies `wanted`. */
async function value(series, wanted = () => true) {
  const until = Date.now() + TOLD_MS;
  for (;;) {
    const line = (await metrics()).text.split("\n").find((it) => it.startsWith(`${series} `));
    const found = line === undefined ? undefined : Number(line.slice(series.length + 1));
    if ((found !== undefined && wanted(found)) || Date.now() > until) return found;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

test("a signature that left is in the count, and so is a refusal with its reason", async () => {
  const signed = 'passport_sign_requests_total{method="sign_event",outcome="answered"}';
  expect((await app.ask("sign_event", [note("counted")])).reply.error ?? "").toBe("");
  expect(await value(signed, (now) => now > 0)).toBe(1);
  await app.ask("nonsense");
  expect(await value('passport_refusals_total{reason="unknown_method"}', (now) => now > 0)).toBe(1);
});

test("apps' open sockets are counted, those that come and those that go", async () => {
  const open = "passport_relay_sockets";
  expect(await value(open, (now) => now === 1)).toBe(1);
  const more = [await RawApp.open(account.bunker_url), await RawApp.open(account.bunker_url)];
  expect(await value(open, (now) => now === 3)).toBe(3);
  await more[0].close();
  expect(await value(open, (now) => now === 2)).toBe(2);
  await more[1].close();
  expect(await value(open, (now) => now === 1)).toBe(1);
});

test("the text has the form that Prometheus reads, and nobody's key, name or address in it", async () => {
  const { status, type, text } = await metrics();
  expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.trimEnd().split("\n")) expect(line).toMatch(LINE);
  const ofThePeople = text.split("\n").filter((line) => !line.startsWith("passport_build_info{")).join("\n");
  expect(ofThePeople).not.toMatch(/[0-9a-f]{32}|npub1|127\.0\.0\.1/);
});

test.each([
  ["without a token", null],
  ["with another token", randomBytes(32).toString("hex")],
  ["with an empty one", ""],
])("%s nobody reads them", async (_, token) => {
  const { status, text } = await metrics(token);
  expect([status, JSON.parse(text).code]).toEqual([401, "metrics_token_invalid"]);
});

test("it says that it is ready, and what it looked at", async () => {
  const { status, body } = await ask(server, "GET", "/readyz");
  expect([status, body]).toEqual([200, { ready: true, checks: { database: "ok", hsm_bunker: "ok", hsm_cosigner: "ok", seal: "ok" } }]);
});
