/**
 * The providers' HSMs as the Worker has them, through the platform's own fetch and cryptography: what a deployment may
 * count on while its provider works, is slow, refuses, or is away. Nothing is ever wrapped or unwrapped elsewhere.
 *
 * AWS is moto, Google and Azure are small servers of ours that their own clients have proven; see `hsm/tests`. Azure's
 * vault is reached under this machine's address, because its keys' names can lead nowhere else here.
 */
import { randomBytes } from "node:crypto";
import { verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectProblem } from "../support/api.mjs";
import { Device } from "../support/device.mjs";
import { outcome } from "../support/operator.mjs";
import { Hsm, exchange, namedKeks, quoted } from "../support/peers.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

const METRICS_TOKEN = randomBytes(32).toString("hex");
/** Data keys are forgotten after one second, so that each test's first request has them unwrapped again. */
const DEK_LIFETIME = "1";
const FORGOTTEN_MS = 1_500;
const UNLOCKED = /can't be unlocked now/;
/** Counts are told every two seconds at most. */
const TOLD = { timeout: 20_000, interval: 500 };

describe.each(["aws", "google", "azure"])("with %s", (name) => {
  let hsm, server, device, identity;

  beforeAll(async () => {
    hsm = await Hsm.start(name);
    server = await startServer({ vars: { DEK_LIFETIME }, secrets: { METRICS_TOKEN, ...quoted(hsm.settings()) } });
    device = await Device.signedIn(server);
  });
  afterAll(async () => {
    await server?.stop();
    await hsm?.stop();
  });

  async function restarted({ crash = false } = {}) {
    await identity.app.close();
    await (crash ? server.kill9() : server.stop());
    await server.start();
    await reopen();
  }

  async function reopen() {
    identity.app = await RawApp.open(identity.url, identity.app.secretKey);
  }

  async function sign() {
    await new Promise((resolve) => setTimeout(resolve, FORGOTTEN_MS));
    return outcome(identity.app, "sign_event", [note("a note")]);
  }

  async function expectSigned() {
    const { given, refused } = await sign();
    expect(refused).toBeUndefined();
    const event = JSON.parse(given);
    expect([verifyEvent(event), event.pubkey]).toEqual([true, identity.pubkey]);
  }

  const readiness = async () => (await ask(server, "GET", "/readyz")).body.checks;

  /** How many of a holder's calls ended so. */
  async function counted(role, operation, end) {
    const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    const series = `passport_hsm_calls_total{role="${role}",operation="${operation}",outcome="${end}"} `;
    const line = (await answer.text()).split("\n").find((it) => it.startsWith(series));
    return Number(line?.slice(series.length) ?? 0);
  }

  /** What is stored names this provider's keys, each holder's its own, and nothing else. */
  function expectNamed() {
    const [bunker, cosigner] = ["bunker", "cosigner"].map((role) => hsm.kekId(role));
    const found = namedKeks(server);
    expect(Object.keys(found).sort()).toEqual([bunker, cosigner].sort());
    return found[bunker] + found[cosigner];
  }

  test("an identity is made and signs, and the server says that it is ready", async () => {
    expect(await readiness()).toMatchObject({ hsm_bunker: "ok", hsm_cosigner: "ok" });
    const { group, pubkey } = await device.makeKey();
    const grant = device.grant(group, 2);
    const { bunker_url } = (await device.ask("POST", `/keys/${group}/connections`, { json: grant.body })).body;
    const url = `${bunker_url}&secret=${grant.secret}`;
    identity = { group, pubkey, url, app: await RawApp.open(url) };
    await identity.app.connect();
    await expectSigned();
    for (const role of ["bunker", "cosigner"]) {
      await expect.poll(() => counted(role, "wrap", "ok"), TOLD).toBeGreaterThan(0);
      await expect.poll(() => counted(role, "unwrap", "ok"), TOLD).toBeGreaterThan(0);
      await expect.poll(() => counted(role, "health", "ok"), TOLD).toBeGreaterThan(0);
    }
  });

  test("after a crash the keys are unwrapped by the provider and sign", async () => {
    const before = hsm.way.count("unwrap");
    await restarted({ crash: true });
    await expectSigned();
    expect(hsm.way.count("unwrap")).toBeGreaterThanOrEqual(before + 2);
  });

  test("what is stored names the provider, the holder and its key", async () => {
    await identity.app.close();
    await server.stop();
    expect(expectNamed()).toBe(2);
    await server.start();
    await reopen();
  });

  test.each([
    ["too many requests", () => hsm.throttleNext("unwrap")],
    ["a failure of the provider", () => (hsm.way.next = { kind: "unwrap", status: 503, body: {} })],
  ])("%s, once, are asked again and nobody notices", async (_, arrange) => {
    await sign();
    const before = hsm.way.count("unwrap");
    arrange();
    await expectSigned();
    expect([hsm.way.next, hsm.way.count("unwrap")]).toEqual([null, before + 3]);
  });

  test("with its KEK disabled a holder that is not open signs nothing and says why; enabled again, all is as it was", async () => {
    await hsm.setState("disabled");
    expect(await sign()).toEqual({ refused: expect.stringMatching(UNLOCKED) });
    await expect.poll(() => counted("bunker", "unwrap", "key_disabled"), TOLD).toBeGreaterThan(0);
    expect(server.log()).toContain("the KEK is disabled or out of its time");
    expectProblem(await device.ask("POST", "/keys", { json: device.keyBody() }), 503, "hsm_unavailable");
    await hsm.setState("enabled");
    await expectSigned();
  });

  test("while the provider is away nothing is signed or made; it comes back, and everything goes on", async () => {
    hsm.isDown = true;
    expect(await sign()).toEqual({ refused: expect.stringMatching(UNLOCKED) });
    const json = device.keyBody();
    expectProblem(await device.ask("POST", "/keys", { json }), 503, "hsm_unavailable");
    expect((await device.ask("GET", "/keys")).status).toBe(200);
    await expect.poll(() => counted("bunker", "unwrap", "unavailable"), TOLD).toBeGreaterThan(0);
    hsm.isDown = false;
    await expectSigned();
    // The same request: the one that failed is not in its way.
    expect((await device.ask("POST", "/keys", { json })).status).toBe(201);
  });

  test("with credentials that are refused the server starts and says so, makes no key and stores nothing; everything else works", async () => {
    await identity.app.close();
    await server.stop();
    const before = expectNamed();
    exchange(server, hsm.settings({ isWrong: true }));
    await server.start();
    const ready = await ask(server, "GET", "/readyz");
    expect([ready.status, ready.body]).toEqual([
      503,
      { ready: false, checks: { database: "ok", hsm_bunker: "failed", hsm_cosigner: "ok", seal: "ok" } },
    ]);
    expect((await device.signIn()).status).toBe(200);
    expect((await device.ask("GET", "/keys")).body.keys.map((it) => it.group)).toContain(identity.group);
    expectProblem(await device.ask("POST", "/keys", { json: device.keyBody() }), 503, "hsm_unavailable");
    await reopen();
    expect(await sign()).toEqual({ refused: expect.stringMatching(UNLOCKED) });
    await expect.poll(() => counted("bunker", "unwrap", "credentials_refused"), TOLD).toBeGreaterThan(0);
    await identity.app.close();
    await server.stop();
    expect(expectNamed()).toBe(before);
    exchange(server, hsm.settings());
    await server.start();
    await reopen();
    await expectSigned();
    expect(await readiness()).toMatchObject({ hsm_bunker: "ok" });
  });

  test("no secret of the provider is in the log", () => {
    const secrets = Object.entries(hsm.settings()).filter(([it]) => /SECRET|ACCOUNT/.test(it));
    expect(secrets).toHaveLength(2);
    const log = server.log();
    for (const [, text] of secrets) {
      const secret = text.startsWith("{") ? JSON.parse(text).private_key.split("\n")[5] : text;
      expect(log).not.toContain(secret);
    }
  });
});
