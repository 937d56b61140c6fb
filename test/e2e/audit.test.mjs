/** A key's audit chain, taken out of the server and checked without it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

let server, account, lines;
beforeAll(async () => {
  server = await startServer();
  account = await makeAccount(server);
  const app = await RawApp.open(account.bunker_url);
  await app.connect();
  for (const content of ["one", "two", "three"]) await app.ask("sign_event", [note(content)]);
  await app.ask("nonsense");
  await account.passport("activity", "--out", join(account.home, "chain.jsonl"));
  lines = readFileSync(join(account.home, "chain.jsonl"), "utf8").trimEnd().split("\n");
  await server.stop();
});
afterAll(() => server?.stop());

/** Verifies a chain of these lines, the server being gone. */
function verify(changed, ...args) {
  const file = join(account.home, "changed.jsonl");
  writeFileSync(file, `${changed.join("\n")}\n`);
  return account.passport("audit", "verify", file, ...args);
}

const edited = (at, change) => lines.map((line, n) => (n === at ? JSON.stringify(change(JSON.parse(line))) : line));
const without = (at) => lines.filter((_, n) => n !== at);

test("the whole chain verifies, and goes through the end that was noted", async () => {
  const { hash } = JSON.parse(lines.at(-1));
  const end = { n: lines.length, hash };
  expect(await verify(lines)).toEqual({ chain: "verified", kind: "group", first: 1, head: end });
  expect((await verify(lines, "--head", `${end.n}:${hash}`)).head).toEqual(end);
});

test("a chain from the middle verifies, and says from where", async () => {
  expect((await verify(lines.slice(4))).first).toBe(5);
});

test.each([
  ["a record that was edited", () => edited(3, (record) => ({ ...record, at_ms: record.at_ms + 1 })), /record 4 was edited/],
  ["a record that lost a field", () => edited(3, ({ entry: { what }, ...record }) => ({ ...record, entry: { what } })), /record 4 was edited/],
  ["a record that is missing", () => without(4), /record 5 is missing/],
  ["two records in the other order", () => lines.with(2, lines[3]).with(3, lines[2]), /record 3 comes later/],
  ["a record twice", () => [...lines.slice(0, 3), lines[2], ...lines.slice(3)], /record 4 comes later/],
  ["no record at all", () => ["{}"], /no record of an audit chain/],
])("%s is found and named", async (_, changed, message) => {
  await expect(verify(changed())).rejects.toMatchObject({ output: expect.stringMatching(message) });
});

test("a cut at the end is found by the end that was noted", async () => {
  const { n, hash } = JSON.parse(lines.at(-1));
  expect((await verify(lines.slice(0, -1))).head.n).toBe(n - 1);
  await expect(verify(lines.slice(0, -1), "--head", `${n}:${hash}`)).rejects.toMatchObject({ output: expect.stringMatching(/the chain is cut/) });
});
