/**
 * The KEKs are exchanged under a deployment that goes on signing: all data keys are wrapped anew, whatever is cut off
 * meanwhile, and afterwards nothing needs the KEKs of before. `ROTATION_GROUPS=300` makes it so many identities.
 */
import { randomBytes } from "node:crypto";
import { verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Device } from "../support/device.mjs";
import { outcome, setUp, unseal } from "../support/operator.mjs";
import { Participant } from "../support/participant.mjs";
import { Hsm, exchange, namedKeks, previous, quoted } from "../support/peers.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";
import { rows, tamper } from "../support/vault.mjs";

const GROUPS = Number(process.env.ROTATION_GROUPS ?? 12);
/** What one account has at most, less what the tests make later. */
const KEYS_OF_ONE = 50;
const OPERATOR_SETUP_TOKEN = randomBytes(32).toString("hex");
const SCOPES = "read,seal,unseal,operators,rotate";
const KILLS = 3;
/** A rotation goes on by itself, at last by the alarm that the crash left behind. */
const FINISHED = { timeout: 60_000 + GROUPS * 500, interval: 100 };

vi.setConfig({ testTimeout: FINISHED.timeout + 120_000, hookTimeout: 180_000 + GROUPS * 500 });

let server, ops, hsm;
/** @type {Device[]} */
const devices = [];
/** @type {{group: string, pubkey: string, url: string, secretKey: Uint8Array}[]} */
const identities = [];

/** Software KEKs that nobody had before. */
function freshKeks() {
  const [bunker, cosigner] = [randomBytes(32).toString("hex"), randomBytes(32).toString("hex")];
  return { HSM_PROVIDER: "simulator", HSM_SIMULATOR_BUNKER_KEK: bunker, HSM_SIMULATOR_COSIGNER_KEK: cosigner };
}

const [first, second] = [freshKeks(), freshKeks()];

beforeAll(async () => {
  hsm = await Hsm.start("aws");
  // Keys are not left open long: what signs has been unwrapped again.
  server = await startServer({ vars: { DEK_LIFETIME: "1" }, secrets: { OPERATOR_SETUP_TOKEN, ...quoted(first) } });
  ops = await setUp(server, OPERATOR_SETUP_TOKEN, { Ada: SCOPES, Ben: SCOPES }, 2);
  while (identities.length < GROUPS) {
    const device = await Device.signedIn(server);
    devices.push(device);
    for (let n = 0; n < KEYS_OF_ONE && identities.length < GROUPS; n++) identities.push(await made(device));
  }
});
afterAll(async () => {
  await server?.stop();
  await hsm?.stop();
});

/** A new identity with a connection, whose app is not there now. */
async function made(device) {
  const { group, pubkey } = await device.makeKey();
  const grant = device.grant(group, 2);
  const { bunker_url } = (await device.ask("POST", `/keys/${group}/connections`, { json: grant.body })).body;
  const url = `${bunker_url}&secret=${grant.secret}`;
  const app = await RawApp.open(url);
  await app.connect();
  await app.close();
  return { group, pubkey, url, secretKey: app.secretKey };
}

async function restart(...settings) {
  await server.stop();
  exchange(server, Object.assign({}, ...settings));
  await server.start();
}

async function sign({ url, secretKey }) {
  const app = await RawApp.open(url, secretKey);
  const answer = await outcome(app, "sign_event", [note("a note")]);
  await app.close();
  return answer;
}

async function expectAllSign(all = identities) {
  for (const identity of all) {
    const { given, refused } = await sign(identity);
    expect(refused).toBeUndefined();
    const event = JSON.parse(given);
    expect([verifyEvent(event), event.pubkey]).toEqual([true, identity.pubkey]);
  }
}

const status = async () => (await ops.Ada.ask("GET", "/operator/status")).body;
const rotation = async () => (await status()).rotation;

/** Two operators have all keys wrapped anew. */
async function begin() {
  const { proposal } = await ops.Ada.passport("propose", "rotation");
  await ops.Ben.passport("approve", proposal);
}

async function finished() {
  await expect.poll(async () => (await rotation()).finished_at, FINISHED).toBeDefined();
  return rotation();
}

/** What is stored of it; only while the server is stopped. */
function storedRotation() {
  const bodies = server.objectFiles("Deployment").flatMap((file) => rows(file).filter(([kind]) => kind === "rotation"));
  return JSON.parse(bodies[0][2]);
}

/** How many keys each KEK wraps, by `provider:holder`. Only while the server is stopped. */
function wrapped() {
  const counts = {};
  for (const [kek, times] of Object.entries(namedKeks(server))) {
    const place = kek.split(":", 2).join(":");
    counts[place] = [...(counts[place] ?? []), times];
  }
  return counts;
}

describe("from one software KEK to another", () => {
  let former;

  test("with both configured all that was made before signs, and so does what is made now", async () => {
    await server.stop();
    former = Object.keys(namedKeks(server));
    expect(wrapped()).toEqual({ "simulator:bunker": [GROUPS], "simulator:cosigner": [GROUPS] });
    exchange(server, { ...second, ...previous(first) });
    await server.start();
    identities.push(await made(devices.at(-1)));
    await expectAllSign();
  });

  test("taken away too early the former KEKs are missed by name; put back, nothing is lost", async () => {
    await restart(second);
    expect(await sign(identities[0])).toEqual({ refused: expect.stringMatching(/can't be unlocked now/) });
    expect(server.log()).toContain("this key was wrapped by another KEK");
    await expectAllSign(identities.slice(-1));
    await restart(second, previous(first));
    await expectAllSign(identities.slice(0, 1));
  });

  test(`a rotation that is killed ${KILLS} times goes on by itself and finishes, with nothing failed`, async () => {
    await begin();
    let underWay = 0;
    for (let kills = 0; kills < KILLS; kills++) {
      await server.kill9();
      if (storedRotation().finished_at_ms === null) underWay++;
      await server.start();
    }
    expect(underWay).toBeGreaterThan(0);
    expect(await finished()).toMatchObject({ done: GROUPS + 1, total: GROUPS + 1, failed: 0 });
    await expectAllSign();
  });

  test("then no row of any object names the former KEKs, and all sign without them", async () => {
    await server.stop();
    const present = namedKeks(server);
    expect(Object.values(present)).toEqual([GROUPS + 1, GROUPS + 1]);
    for (const kek of former) expect(present).not.toHaveProperty([kek]);
    exchange(server, second);
    await server.start();
    await expectAllSign();
  });
});

describe("from software to a provider", () => {
  beforeAll(() => restart(hsm.settings(), previous(second)));

  test("a rotation that is killed while the provider is slow goes on where it was", async () => {
    hsm.way.delayMs = 150;
    await begin();
    const before = hsm.way.count("wrap");
    for (let kills = 1; kills <= KILLS; kills++) {
      await expect.poll(() => hsm.way.count("wrap"), FINISHED).toBeGreaterThanOrEqual(before + kills * 4);
      await server.kill9();
      expect(storedRotation().finished_at_ms).toBeNull();
      if (kills === KILLS) hsm.way.delayMs = 1_000; // the next tests find it running
      await server.start();
    }
  });

  test("a second one while it runs is refused", async () => {
    expect(await ops.Ada.refused("propose", "rotation")).toBe("rotation_running");
  });

  test("it goes on under a seal of the deployment, for which no key is used", async () => {
    await ops.Ada.passport("seal", "--reason", "in the middle");
    expect((await rotation()).finished_at).toBeUndefined();
    hsm.way.delayMs = 0;
    expect(await finished()).toMatchObject({ done: GROUPS + 1, total: GROUPS + 1, failed: 0 });
    expect(await sign(identities[0])).toEqual({ refused: expect.stringMatching(/sealed/) });
    expect((await status()).sealed).not.toBeNull();
    await unseal([ops.Ada, ops.Ben]);
    await expect.poll(async () => (await sign(identities[0])).refused, FINISHED).toBeUndefined();
  });

  test("then everything is wrapped by the provider, and all sign without the former KEKs", async () => {
    await server.stop();
    expect(namedKeks(server)).toEqual({ [hsm.kekId("bunker")]: GROUPS + 1, [hsm.kekId("cosigner")]: GROUPS + 1 });
    exchange(server, hsm.settings());
    await server.start();
    await expectAllSign();
  });
});

describe("with one identity whose row is damaged", () => {
  const third = freshKeks();
  let damaged;

  beforeAll(async () => {
    await server.stop();
    damaged = identities[1];
    const files = server.objectFiles("Bunker");
    const file = files.find((it) => rows(it).some(([kind, , body]) => kind === "identity" && body.includes(damaged.pubkey)));
    tamper(file, "share", (body) => {
      const share = JSON.parse(body);
      const bytes = Buffer.from(share.wrapped_dek, "base64");
      bytes[bytes.length - 1] ^= 1;
      return JSON.stringify({ ...share, wrapped_dek: bytes.toString("base64") });
    });
    exchange(server, { ...third, ...previous(hsm.settings()) });
    await server.start();
  });

  test("that one counts as failed and is in the log by its code, and every other one is done", async () => {
    const before = server.log().length;
    await begin();
    expect(await finished()).toMatchObject({ done: GROUPS, total: GROUPS + 1, failed: 1 });
    const failures = server.log().slice(before).split("\n").filter((line) => line.includes('"event":"failure"'));
    expect(failures.filter((line) => line.includes('"code":"hsm_unavailable"')).length).toBeGreaterThan(0);
    for (const name of [damaged.pubkey, damaged.group]) expect(failures.join("\n")).not.toContain(name);
    await expectAllSign(identities.filter((it) => it !== damaged));
  });

  test("its data key is where it was, for whoever mends it", async () => {
    await server.stop();
    expect(namedKeks(server)).toMatchObject({ [hsm.kekId("bunker")]: 1 });
    await server.start();
  });

  test("while the former provider is away a rotation fails for what still needs it, and the next one is let begin", async () => {
    hsm.isDown = true;
    await begin();
    expect(await finished()).toMatchObject({ done: GROUPS, total: GROUPS + 1, failed: 1 });
    hsm.isDown = false;
    await expectAllSign(identities.filter((it) => it !== damaged));
  });
});

describe("with ceremonies under way", () => {
  const [third, fourth] = [freshKeks(), freshKeks()];
  /** Who makes a key, and who has the shares of one renewed; both are held in the middle. */
  let maker, renewer, former;

  beforeAll(async () => {
    await server.stop();
    server = await startServer({ vars: { DEK_LIFETIME: "1" }, secrets: { OPERATOR_SETUP_TOKEN, ...quoted(third) } });
    ops = await setUp(server, OPERATOR_SETUP_TOKEN, { Ada: SCOPES, Ben: SCOPES }, 2);
    const person = await Participant.signedIn(server);
    await person.start();
    await person.finish();
    const { group } = await person.create();
    renewer = await held(person, () => person.renew(group));
    const other = await Participant.signedIn(server);
    await other.start();
    maker = await held(other, () => other.finish());
    await server.stop();
    expect(wrapped()).toEqual({ "simulator:bunker": [3], "simulator:cosigner": [3] });
    former = Object.keys(namedKeks(server));
    exchange(server, { ...fourth, ...previous(third) });
    await server.start();
  });

  /** Begins something that takes several steps, and holds it before its second. */
  async function held(person, work) {
    const step = person.step.bind(person);
    let [go, steps] = [null, 0];
    const going = new Promise((resolve) => (go = resolve));
    const there = new Promise((resolve) => {
      person.step = async () => {
        if (++steps === 2) await (resolve(), going);
        return step();
      };
    });
    const done = work();
    await Promise.race([there, done]);
    return { person, finish: () => (go(), done) };
  }

  test("the data keys of a renewal are wrapped anew; those of a key that is being made belong to no identity yet, and stay", async () => {
    await begin();
    expect(await finished()).toMatchObject({ done: 1, total: 1, failed: 0 });
    await server.stop();
    const named = namedKeks(server);
    expect(former.map((kek) => named[kek])).toEqual([1, 1]);
    expect(Object.values(named).sort()).toEqual([1, 1, 2, 2]);
    await server.start();
  });

  test("the key that was being made comes to be while the former KEKs are still there, and then nothing needs them", async () => {
    await maker.finish();
    expect((await maker.person.create()).created.status).toBe(201);
    await server.stop();
    const named = namedKeks(server);
    for (const kek of former) expect(named).not.toHaveProperty([kek]);
    exchange(server, fourth);
    await server.start();
  });

  test("the renewal comes to its end without them", () => renewer.finish());
});
