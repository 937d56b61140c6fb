/**
 * With a second place of audit records: everything that is signed stands there before it leaves, and nothing is signed
 * while that place takes none.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { ask } from "../support/api.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

let server, alice, app, connection;

beforeAll(async () => {
  server = await startServer({ flavour: "fault-injection", vars: { AUDIT_SINK: "r2" } });
  alice = await makeAccount(server);
  app = await RawApp.open(alice.bunker_url);
  await app.connect();
  connection = await alice.connect();
});
afterAll(() => server?.stop());

const arrange = (fault) => ask(server, "POST", "/fault", { json: fault });
const sign = async (text) => (await app.ask("sign_event", [note(text)])).reply;
const NOT_KEPT = /record of what this server does can't be kept/;

test("what is signed stands there, and in the log, with nobody's name", async () => {
  expect(JSON.parse((await sign("kept")).result)).toMatchObject({ content: "kept" });
});

test("nothing is signed while it takes none, the app is told why, and revoking works all the same", async () => {
  await arrange("sink_fails");
  expect(await sign("lost?")).toMatchObject({ result: "error", error: expect.stringMatching(NOT_KEPT) });
  await alice.revoke(connection);
  expect(JSON.stringify(await alice.passport("apps", "--all"))).toContain('"revoked"');
  expect(await sign("still")).toMatchObject({ result: "error", error: expect.stringMatching(NOT_KEPT) });
});

test("what happened meanwhile is handed over when it takes records again", async () => {
  await arrange("nothing");
  expect(JSON.parse((await sign("again")).result)).toMatchObject({ content: "again" });
  const shown = await alice.activity();
  await app.close();
  await server.stop();
  const lines = records();
  const of = (chain) => lines.filter((line) => line.chain === chain).map((line) => line.record);
  for (const chain of ["bunker", "cosigner"]) {
    // A batch may be there twice, never not at all.
    const kept = new Map(of(chain).map((record) => [record.n, record]));
    expect([...kept.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: kept.size }, (_, n) => n + 1));
  }
  // The owner's own view and the copy have the same hashes.
  const hashes = new Set(of("bunker").map((record) => record.hash));
  for (const record of shown) expect(hashes).toContain(record.hash);
  const whats = of("deployment").map((record) => record.entry.what);
  expect(whats).toEqual(expect.arrayContaining(["account_created", "login"]));
  const text = JSON.stringify(lines) + auditLinesOf(server.log());
  for (const name of [alice.username, alice.pubkey, alice.group]) expect(text).not.toContain(name);
});

function records() {
  const folder = join(server.folder, "state", "v3", "r2", "passport-audit", "blobs");
  return readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line)));
}

function auditLinesOf(log) {
  const lines = log.split("\n").filter((line) => line.includes('"target":"audit"'));
  expect(lines.length).toBeGreaterThan(5);
  return lines.join("\n");
}
