/** The ways out: taking the whole key along, and deleting an identity; each holder keeps to the owner's signed word. */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { getPublicKey } from "nostr-tools";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectProblem } from "../support/api.mjs";
import { Device } from "../support/device.mjs";
import { open } from "../support/hpke.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { rows } from "../support/vault.mjs";

/** Order of secp256k1. */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const DELAY_S = 3;

let server, owner;
beforeAll(async () => {
  server = await startServer({ vars: { EXPORT_DELAY: String(DELAY_S) } });
  owner = await Device.signedIn(server);
});
afterAll(() => server?.stop());

const next = async (key) => (await owner.ask("GET", `/keys/${key.group}`)).body.sequence + 1;
const rawPublic = (pair) => Buffer.from(pair.publicKey.export({ format: "jwk" }).x, "base64url").toString("hex");

async function begin(key, receiver) {
  const statement = owner.sign({ group: key.group, seq: await next(key), verb: "export", receiver });
  return { statement, answer: await owner.ask("POST", `/keys/${key.group}/export`, { json: { statement } }) };
}
const release = (key) => owner.ask("POST", `/keys/${key.group}/export/release`, { json: {} });
const pause = (s) => new Promise((resolve) => setTimeout(resolve, s * 1000));

test("the shares come to the asking device after the delay, and make the whole key there", async () => {
  const key = await owner.makeKey();
  const pair = generateKeyPairSync("x25519");
  expectProblem(await release(key), 409, "no_export");
  const { statement, answer } = await begin(key, rawPublic(pair));
  expect([answer.status, answer.body.state], answer.text).toEqual([200, "waiting"]);
  expectProblem(await release(key), 409, "export_too_early");
  expectProblem((await begin(key, rawPublic(pair))).answer, 409, "export_pending");
  await pause(DELAY_S + 1);
  expect((await owner.ask("GET", `/keys/${key.group}/export`)).body).toMatchObject({ state: "ready", statement: { id: statement.id } });
  const released = await release(key);
  expect(released.status, released.text).toBe(200);
  const share = (index) => {
    const aad = Buffer.concat([Buffer.from(statement.id, "hex"), Buffer.from([0, index])]);
    return BigInt(`0x${open(pair.privateKey, released.body.packages[index], { purpose: "passport/v1/export", aad }).toString("hex")}`);
  };
  // A line through its values at 1 and 2 has at 0 the value 2·f(1) − f(2).
  const whole = (((2n * share(1) - share(2)) % N) + N) % N;
  expect(getPublicKey(Buffer.from(whole.toString(16).padStart(64, "0"), "hex"))).toBe(key.pubkey);
});

test("a cancelled export releases nothing, and says so", async () => {
  const key = await owner.makeKey();
  await begin(key, rawPublic(generateKeyPairSync("x25519")));
  const cancel = owner.sign({ group: key.group, seq: await next(key), verb: "cancel_export" });
  expect((await owner.ask("DELETE", `/keys/${key.group}/export`, { json: { statement: cancel } })).status).toBe(204);
  await pause(DELAY_S + 1);
  expectProblem(await release(key), 409, "no_export");
  expect((await owner.ask("GET", `/keys/${key.group}/export`)).body.state).toBe("none");
});

test("only the owner's statement starts an export, and a stranger sees none", async () => {
  const [key, stranger] = [await owner.makeKey(), await Device.signedIn(server)];
  const receiver = rawPublic(generateKeyPairSync("x25519"));
  const forged = stranger.sign({ group: key.group, seq: 2, verb: "export", receiver });
  expectProblem(await owner.ask("POST", `/keys/${key.group}/export`, { json: { statement: forged } }), 403, "statement_not_by_owner");
  expectProblem(await stranger.ask("POST", `/keys/${key.group}/export`, { json: { statement: forged } }), 404, "not_found");
  expectProblem(await stranger.ask("GET", `/keys/${key.group}/export`), 404, "not_found");
  expectProblem(await stranger.ask("POST", `/keys/${key.group}/export/release`, { json: {} }), 404, "not_found");
});

test("a deleted identity is gone from both holders' storage and does not come back by its old statement", async () => {
  const body = owner.keyBody();
  const made = await owner.ask("POST", "/keys", { json: body });
  const key = made.body;
  const grant = owner.grant(key.group, 2);
  const { bunker_url } = (await owner.ask("POST", `/keys/${key.group}/connections`, { json: grant.body })).body;
  const app = await RawApp.open(`${bunker_url}&secret=${grant.secret}`);
  await app.connect();
  const statement = owner.sign({ group: key.group, seq: 3, verb: "delete_group" });
  expectProblem(await owner.ask("DELETE", `/keys/${key.group}`, { json: { statement: owner.sign({ group: key.group, seq: 2, verb: "delete_group" }) } }), 409, "statement_not_newer");
  expect((await owner.ask("DELETE", `/keys/${key.group}`, { json: { statement } })).status).toBe(204);
  await app.relay.closed;
  expect((await owner.ask("GET", "/keys")).body.keys.map((it) => it.group)).not.toContain(key.group);
  expectProblem(await owner.ask("GET", `/keys/${key.group}`), 404, "not_found");
  await expect(RawApp.open(`${bunker_url}&secret=${grant.secret}`)).rejects.toThrow();
  expectProblem(await owner.ask("POST", "/keys", { json: body }), 410, "group_deleted");
  await server.stop();
  for (const name of ["Bunker", "Cosigner"]) {
    const stored = server.objectFiles(name).map((file) => ({ file, kinds: rows(file).map(([kind]) => kind) }));
    expect(stored.filter(({ kinds }) => kinds.join() === "deleted")).toHaveLength(1);
    for (const { file, kinds } of stored.filter((it) => it.kinds.includes("deleted"))) {
      expect(kinds).toEqual(["deleted"]);
      expect(readFileSync(file).includes("wrapped_dek"), "pages that were freed still hold the share").toBe(false);
    }
  }
  await server.start();
  expectProblem(await owner.ask("POST", "/keys", { json: body }), 410, "group_deleted");
});
