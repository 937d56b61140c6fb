/**
 * The few who run a deployment: set up once, they seal at once and unseal together, and what they do is on record.
 * While it is sealed nothing that was made with a key leaves, and everything that needs none goes on.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getPublicKey, verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { ask, expectProblem } from "../support/api.mjs";
import { nowS } from "../support/clock.mjs";
import { Operator, fresh, outcome, runSetUp, setUp, unseal } from "../support/operator.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

const SETUP_TOKEN = randomBytes(32).toString("hex");
const EVERYTHING = "read,seal,unseal,operators,policy,rotate,audit";
/** Three of four open a seal; the fifth may only look. */
const OPERATORS = { Ada: EVERYTHING, Ben: EVERYTHING, Cleo: EVERYTHING, Dan: EVERYTHING, Eve: "read,metrics" };
const THRESHOLD = 3;
const SEALED = /sealed/;
/** Holders hear of an unsealing when they next ask. */
const HEARD = { timeout: 30_000, interval: 500 };

/** An app that was refused asks again a little later. */
const REFUSED_PAUSE_MS = 50;

let server;
/** Two people who know nothing of each other. */
let alice, bob;
/** An app of each. */
let hers, his;
/** @type {Record<string, Operator>} */
let ops;
/** The owner key of Bob's account, as operators see it. */
let ownerOfBob;

beforeAll(async () => {
  server = await startServer({ secrets: { OPERATOR_SETUP_TOKEN: SETUP_TOKEN } });
  [alice, bob] = [await makeAccount(server), await makeAccount(server)];
  [hers, his] = await Promise.all([appOf(alice.bunker_url), appOf(bob.bunker_url)]);
});
afterAll(() => server?.stop());

async function appOf(bunkerUrl) {
  const app = await RawApp.open(bunkerUrl);
  await app.connect();
  return Object.assign(app, { bunkerUrl });
}

const sign = (app) => outcome(app, "sign_event", [note("a note")]);

async function expectSigned(app, account) {
  const { given, refused } = await sign(app);
  expect(refused).toBeUndefined();
  const event = JSON.parse(given);
  expect([verifyEvent(event), event.pubkey]).toEqual([true, account.pubkey]);
}

async function expectSealed(app, method = "sign_event", params = [note("a note")]) {
  const { given, refused } = await outcome(app, method, params);
  expect([given, refused]).toEqual([undefined, expect.stringMatching(SEALED)]);
}

/** Waits until an app gets signatures again. */
const opened = (app) => expect.poll(async () => (await sign(app)).refused, HEARD).toBeUndefined();

const all = () => [ops.Ada, ops.Ben, ops.Cleo];
const status = () => ops.Eve.passport("status");

describe("before there are operators", () => {
  const request = { operators: [{ name: "Mallory", scopes: ["operators", "unseal"] }, { name: "Trudy", scopes: ["operators", "unseal"] }], unseal_threshold: 2 };

  test.each([
    ["without the set-up token", undefined],
    ["with another set-up token", randomBytes(32).toString("hex")],
    ["with an operator's token of their own making", `pop_${randomBytes(32).toString("base64url")}`],
  ])("%s nobody makes themselves one", async (_, token) => {
    expectProblem(await ask(server, "POST", "/operator/setup", { token, json: request }), 401, "setup_token_invalid");
  });

  test("those who could not unseal together are not set up", async () => {
    const setUpAs = (change) => ask(server, "POST", "/operator/setup", { token: SETUP_TOKEN, json: { ...request, ...change } });
    expectProblem(await setUpAs({ unseal_threshold: 1 }), 422, "unseal_threshold_invalid");
    expectProblem(await setUpAs({ unseal_threshold: 3 }), 422, "unseal_threshold_invalid");
    expectProblem(await setUpAs({ operators: request.operators.slice(1) }), 409, "too_few_operators");
  });
});

describe("with operators", () => {
  beforeAll(async () => {
    ops = await setUp(server, SETUP_TOKEN, OPERATORS, THRESHOLD);
  });

  test("they were set up, each with a token in a file for its owner only, and nobody is sealed", async () => {
    const { set_up, sealed, unseal_threshold, operators } = await status();
    expect([set_up, sealed, unseal_threshold]).toEqual([true, null, THRESHOLD]);
    expect(operators.map(({ name, operator }) => [name, operator]).sort()).toEqual(Object.values(ops).map(({ name, id }) => [name, id]).sort());
    expect(new Set(Object.values(ops).map((it) => it.token)).size).toBe(5);
    await Promise.all([expectSigned(hers, alice), expectSigned(his, bob)]);
  });

  test("they are set up once", async () => {
    const again = await runSetUp(ops.Ada.home, server, SETUP_TOKEN, { Mallory: EVERYTHING, Trudy: EVERYTHING }, 2, "again");
    expect([again.code, again.stdout]).toEqual([1, ""]);
    expect(again.stderr).toContain("[already_set_up]");
    expect((await status()).operators).toHaveLength(5);
  });

  test.each([
    ["GET", "/operator/status"],
    ["GET", "/operator/audit"],
    ["POST", "/operator/seal", { reason: "none" }],
    ["POST", "/operator/seal", { reason: "none", username: "nobody-at-all" }],
    ["POST", "/operator/unseal", { reason: "none" }],
    ["POST", "/operator/proposals", { what: { kind: "begin_rotation" } }],
    ["POST", `/operator/proposals/${"0".repeat(16)}/approve`, {}],
    ["POST", `/operator/operators/${"0".repeat(16)}/remove`, {}],
    ["POST", "/operator/token", {}],
  ])("%s %s needs an operator's token: none, a person's and one that nobody has are refused alike", async (method, path, what) => {
    const json = what && { ...fresh(), ...what };
    const session = JSON.parse(readFileSync(join(alice.home, "session.json"), "utf8")).tokens.access_token;
    for (const token of [undefined, session, SETUP_TOKEN, `pop_${randomBytes(32).toString("base64url")}`]) {
      expectProblem(await ask(server, method, path, { token, json }), 401, "operator_token_invalid");
    }
  });

  test("nobody does what their scopes don't say", async () => {
    const other = ["--reason", "may I?"];
    expect(await ops.Eve.refused("seal", ...other)).toBe("scope_missing");
    expect(await ops.Eve.refused("unseal", ...other)).toBe("scope_missing");
    expect(await ops.Eve.refused("propose", "export-delay", "2d")).toBe("scope_missing");
    expect(await ops.Eve.refused("remove", ops.Ada.id)).toBe("scope_missing");
    expect(await ops.Eve.refused("audit")).toBe("scope_missing");
    expect(await ops.Ada.refused("metrics")).toBe("scope_missing");
    expect(await ops.Eve.passport("metrics")).toMatch(/^# HELP passport_/m);
    expect((await status()).sealed).toBeNull();
    await expectSigned(hers, alice);
  });

  describe("a seal of the deployment", () => {
    let revoked;
    beforeAll(async () => {
      revoked = await alice.connect();
      await expectSigned(hers, alice);
      await ops.Ada.passport("seal", "--reason", "a drill");
    });

    test("stops everybody's signing, and the app is told why", async () => {
      await Promise.all([expectSealed(hers), expectSealed(his)]);
      expect((await status()).sealed).toMatchObject({ by: "Ada", reason: "a drill" });
    });

    test("stops decryption, encryption and new connections as well", async () => {
      const peer = getPublicKey(hers.secretKey);
      await expectSealed(hers, "nip44_encrypt", [peer, "a secret"]);
      await expectSealed(hers, "nip04_encrypt", [peer, "a secret"]);
      await expect(alice.connect()).rejects.toMatchObject({ output: expect.stringMatching(/\[sealed\b/) });
    });

    test("leaves pages, reading and revoking as they are", async () => {
      expect((await fetch(`${server.url}/`)).status).toBe(200);
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      expect((await alice.activity()).length).toBeGreaterThan(2);
      await alice.revoke(revoked);
      expect(JSON.stringify(await alice.passport("apps", "--all"))).toContain('"revoked"');
    });

    test("that is sealed once more is the same seal", async () => {
      const { since } = (await status()).sealed;
      expect(await ops.Ben.passport("seal", "--reason", "to be sure")).toEqual({ sealed_at: since });
      expect((await status()).sealed).toMatchObject({ by: "Ada", since });
    });

    test("outlives a crash of the server", async () => {
      await Promise.all([hers.close(), his.close()]);
      await server.kill9();
      await server.start();
      [hers, his] = await Promise.all([hers, his].map(async (app) => Object.assign(await RawApp.open(app.bunkerUrl, app.secretKey), { bunkerUrl: app.bunkerUrl })));
      await Promise.all([expectSealed(hers), expectSealed(his)]);
    });

    test("is not opened by fewer words than it takes, and one person's words are one", async () => {
      const { unsealing, ...first } = await ops.Ada.passport("unseal", "--reason", "over");
      expect(first).toMatchObject({ words: ["Ada"], needed: THRESHOLD, unsealed: false });
      const word = (who) => who.passport("unseal", "--unsealing", unsealing, "--reason", "over");
      expect((await word(ops.Ada)).words).toEqual(["Ada"]);
      const second = await word(ops.Ben);
      expect([second.words.sort(), second.unsealed]).toEqual([["Ada", "Ben"], false]);
      expect((await word(ops.Ben)).unsealed).toBe(false);
      await expectSealed(hers);
    });

    test("is not opened by words for something else", async () => {
      const [running] = (await status()).unsealings;
      expect(running).toMatchObject({ target: "deployment", needed: THRESHOLD });
      expect(await ops.Cleo.refused("unseal", "--reason", "a new one")).toBe("unsealing_running");
      expect(await ops.Cleo.refused("unseal", "--unsealing", "0".repeat(16), "--reason", "none")).toBe("unsealing_unknown");
      await ops.Ada.passport("seal", "--account", bob.username, "--reason", "his alone");
      const { unsealing: ofBob } = await ops.Ada.passport("unseal", "--account", bob.username, "--reason", "his alone");
      expect(await ops.Cleo.refused("unseal", "--unsealing", ofBob, "--reason", "foreign")).toBe("unsealing_unknown");
      expect(await ops.Cleo.refused("unseal", "--account", bob.username, "--unsealing", running.unsealing, "--reason", "foreign")).toBe("unsealing_unknown");
      await Promise.all([expectSealed(hers), expectSealed(his)]);
    });

    test("is opened by as many as it takes", async () => {
      const { unsealing } = (await status()).unsealings.find((it) => it.target === "deployment");
      expect((await ops.Cleo.passport("unseal", "--unsealing", unsealing, "--reason", "over")).unsealed).toBe(true);
      expect(await ops.Dan.refused("unseal", "--unsealing", unsealing, "--reason", "late")).toBe("unsealing_unknown");
      await opened(hers);
      await expectSigned(hers, alice);
    });
  });

  test("a seal of an account stops that account and no other, until its own is opened", async () => {
    await opened(hers);
    await expectSealed(his);
    const { sealed, sealed_accounts: [account] } = await status();
    expect([sealed, account.by, account.reason]).toEqual([null, "Ada", "his alone"]);
    ownerOfBob = account.owner_pubkey;
    const [{ unsealing }] = (await status()).unsealings;
    // By the owner's key, as the status shows it.
    for (const who of [ops.Ben, ops.Cleo]) await who.passport("unseal", "--owner", ownerOfBob, "--unsealing", unsealing, "--reason", "over");
    await opened(his);
    await Promise.all([expectSigned(hers, alice), expectSigned(his, bob)]);
    expect((await status()).sealed_accounts).toEqual([]);
  });

  test("an account that there is not is not sealed", async () => {
    expectProblem(await ops.Ada.command("/operator/seal", { reason: "who?", username: "nobody-at-all" }), 404, "not_found");
  });

  test("a command works once, whoever sends it again, and only while it is fresh", async () => {
    const once = { ...fresh(), what: { kind: "set_export_delay", seconds: 3600 } };
    expect((await ops.Ada.command("/operator/proposals", once)).status).toBe(201);
    expectProblem(await ops.Ada.command("/operator/proposals", once), 409, "command_replayed");
    expectProblem(await ops.Ben.command("/operator/proposals", once), 409, "command_replayed");
    expectProblem(await ops.Ben.command("/operator/seal", { command: once.command, reason: "the same id" }), 409, "command_replayed");
    expect((await status()).proposals).toHaveLength(1);
    for (const issued_at of [nowS() - 320, nowS() + 90]) {
      expectProblem(await ops.Ben.command("/operator/seal", { issued_at, reason: "at another time" }), 422, "command_stale");
    }
    expect((await status()).sealed).toBeNull();
  });

  test("a change takes two people", async () => {
    const { proposal } = await ops.Ada.passport("propose", "export-delay", "2d");
    expect(await ops.Ada.refused("approve", proposal)).toBe("second_operator_needed");
    expect(await ops.Eve.refused("approve", proposal)).toBe("scope_missing");
    expect((await status()).export_delay_s).toBeNull();
    await ops.Ben.passport("approve", proposal);
    expect((await status()).export_delay_s).toBe(172_800);
    expect(await ops.Cleo.refused("approve", proposal)).toBe("proposal_unknown");
  });

  test("a new operator comes by two people, replaces their token, and is gone when another one says so", async () => {
    const { proposal } = await ops.Ada.passport("propose", "add-operator", "Fay:read,seal");
    const { operator, file, token } = await ops.Ben.passport("approve", proposal, "--out", "fay.token");
    expect(token).toBeUndefined();
    const fay = new Operator(ops.Ada.home, server, { operator, name: "Fay", file: join(ops.Ada.home.folder, file) });
    const first = fay.token;
    const next = await fay.passport("token", "rotate", "--out", "fay-2.token");
    expectProblem(await ask(server, "GET", "/operator/status", { token: first }), 401, "operator_token_invalid");
    fay.file = join(fay.home.folder, next.file);
    expect((await fay.passport("status")).operators.map((it) => it.name)).toContain("Fay");
    expect(await fay.refused("remove", ops.Ada.id)).toBe("scope_missing");
    await ops.Cleo.passport("remove", operator);
    expect(await fay.refused("seal", "--reason", "revenge")).toBe("operator_token_invalid");
    expect((await status()).operators).toHaveLength(5);
  });

  test("under load: after the seal's call has returned not one signature arrives, and unsealing brings all back", async () => {
    const urls = [];
    for (const account of [alice, bob]) for (let n = 0; n < 4; n++) urls.push(await account.connect());
    const clients = await Promise.all(urls.map(async (url) => new Hammering(await appOf(url))));
    try {
      await expect.poll(() => clients.every((it) => it.signatures.length >= 2), HEARD).toBe(true);
      const { status: sealed } = await ops.Ada.command("/operator/seal", { reason: "under load" });
      const returned = performance.now();
      expect(sealed).toBe(200);
      await expect.poll(() => clients.every((it) => it.refusals.filter(({ at }) => at > returned).length >= 3), HEARD).toBe(true);
      const counted = clients.map(({ signatures, refusals }) => ({ signatures: signatures.length, refusals: refusals.length, late: signatures.filter(({ at }) => at > returned).length }));
      expect(counted.map(({ late }) => late), JSON.stringify(counted)).toEqual(clients.map(() => 0));
      for (const { refusals } of clients) for (const { refused } of refusals) expect(refused).toMatch(SEALED);

      const before = clients.map(({ signatures }) => signatures.length);
      expect((await unseal(all())).unsealed).toBe(true);
      await expect.poll(() => clients.every(({ signatures }, n) => signatures.length >= before[n] + 2), HEARD).toBe(true);
    } finally {
      await Promise.all(clients.map((it) => it.stop()));
    }
    for (const { failure } of clients) expect(failure).toBeUndefined();
  });

  describe("the record", () => {
    let file, lines, head;
    beforeAll(async () => {
      file = join(ops.Ada.home.folder, "record.jsonl");
      const told = await ops.Ada.passport("audit", "--all", "--out", file);
      lines = readFileSync(file, "utf8").trimEnd().split("\n");
      head = `${told.head.n}:${told.head.hash}`;
      expect(told).toMatchObject({ chain: "verified", count: lines.length });
    });

    const verify = (changed, ...args) => {
      const name = join(ops.Ada.home.folder, "changed.jsonl");
      writeFileSync(name, `${changed.join("\n")}\n`);
      return ops.Ada.home.run(["audit", "verify", name, "--kind", "deployment", ...args, "--json"]);
    };

    test("verifies without the server, and goes through its end", async () => {
      const { code, stdout } = await verify(lines, "--head", head);
      expect([code, JSON.parse(stdout)]).toMatchObject([0, { chain: "verified", kind: "deployment", first: 1, head: { n: lines.length } }]);
    });

    test("says what was done and by whom, and names no account and no token", async () => {
      const entries = lines.map((line) => JSON.parse(line).entry);
      const did = (what) => entries.filter((it) => it.what === what);
      expect(did("operators_set_up")).toHaveLength(1);
      expect(did("sealed").map(({ by, reason }) => [by, reason])).toEqual([[ops.Ada.id, "a drill"], [ops.Ada.id, "his alone"], [ops.Ada.id, "under load"]]);
      expect(did("unsealed").map(({ words }) => words.length)).toEqual([3, 3, 3]);
      const refused = did("command_refused").map(({ reason }) => reason);
      for (const reason of ["already_set_up", "scope_missing", "command_replayed", "command_stale", "unsealing_unknown", "second_operator_needed"]) {
        expect(refused).toContain(reason);
      }
      const text = lines.join("\n");
      expect(ownerOfBob).toMatch(/^[0-9a-f]{64}$/);
      for (const secret of [ownerOfBob, alice.username, bob.username, alice.pubkey, bob.pubkey, SETUP_TOKEN, ...Object.values(ops).map((it) => it.token)]) {
        expect(text).not.toContain(secret);
      }
    });

    test.each([
      ["an edited record", () => lines.with(2, lines[2].replace(/"at_ms":(\d+)/, (_, at) => `"at_ms":${Number(at) + 1}`)), /record 3 was edited/],
      ["a reason that was changed", () => lines.map((line) => line.replace("a drill", "a fault")), /record \d+ was edited/],
      ["a record that was removed", () => lines.toSpliced(3, 1), /record 4 is missing/],
    ])("%s is found and named", async (_, changed, message) => {
      const { code, stderr } = await verify(changed());
      expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    });

    test("an end that was cut off is found by the end that was noted", async () => {
      const { code, stderr } = await verify(lines.slice(0, -1), "--head", head);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/the chain is cut/)]);
    });

    test("goes on after a position, and a page at a time", async () => {
      const { body } = await ops.Ada.ask("GET", "/operator/audit?after=2&limit=3");
      expect([body.records.map(({ n }) => n), body.next]).toEqual([[3, 4, 5], 5]);
      expect(body.records.map((it) => JSON.stringify(it))).toEqual(lines.slice(2, 5));
      expect((await ops.Ada.passport("audit", "--after", "5")).records[0].n).toBe(6);
    });
  });

  test("no token is in the server's log", () => {
    const log = server.log();
    for (const token of [SETUP_TOKEN, ...Object.values(ops).map((it) => it.token)]) expect(log).not.toContain(token);
  });
});

/** An app that asks for one signature after the other, and notes when each answer arrives. */
class Hammering {
  #isOn = true;

  constructor(app) {
    this.app = app;
    this.signatures = [];
    this.refusals = [];
    this.ended = this.#run().catch((error) => (this.failure = error));
  }

  async #run() {
    while (this.#isOn) {
      const { given, refused } = await sign(this.app);
      const at = performance.now();
      if (given !== undefined) this.signatures.push({ at });
      else {
        this.refusals.push({ at, refused });
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
      }
    }
  }

  async stop() {
    this.#isOn = false;
    await this.ended;
    await this.app.close();
  }
}
