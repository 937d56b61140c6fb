/**
 * Device custody: the server's bunker holds one share, the person's device one, the recovery kit one. The device is the
 * command-line client; the server alone signs nothing, whatever it shows.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, expectProblem } from "../support/api.mjs";
import { nowS } from "../support/clock.mjs";
import { Home } from "../support/cli-home.mjs";
import { point } from "../support/device.mjs";
import { GoBetween } from "../support/go-between.mjs";
import { Peer } from "../support/peer.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { deploymentSecrets, forms, openHolder, rows } from "../support/vault.mjs";

/** Order of secp256k1. */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const note = (content, over = {}) => ({ kind: 1, created_at: nowS(), tags: [], content, ...over });

// Each command that signs stretches a password, and a test here has several of them.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let server, key, holders;
/** Where the key was made, and another device of the same account, which has no share. */
let home, other;
beforeAll(async () => {
  server = await startServer({ vars: { EXPORT_DELAY: "1" } });
  [home, other] = [new Home(), new Home()];
  await home.passport("register", "alice", "--server", server.url);
  key = await home.passport("key", "create", "--custody", "device", "--label", "Mine");
  await other.passport("login", "alice", "--server", server.url);
});
afterAll(() => server?.stop());

const http = (method, path, options = {}) => ask(server, method, `/keys/${key.group}${path}`, { token: home.token, ...options });
const waiting = async () => (await http("GET", "/requests")).body.requests;

/** The requests that wait, once there are so many. */
async function waitingOf(count) {
  await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(count);
  return waiting();
}

/** An app on a new connection. */
async function appWith(...access) {
  const { bunker_url, connection } = await home.passport("connect", "--label", "Blog", ...access);
  const app = await RawApp.open(bunker_url);
  await app.connect();
  return Object.assign(app, { bunkerUrl: bunker_url, connection });
}

/** Asks without waiting for an answer; what was asked is shown by then. */
async function send(app, method, params) {
  const request = app.request(method, params);
  const event = app.event(request);
  app.relay.send(["EVENT", event]);
  expect(await app.relay.ok(event.id)).toEqual({ accepted: true, reason: "" });
  return { app, id: request.id, event };
}
const sendNote = (app, content, over) => send(app, "sign_event", [JSON.stringify(note(content, over))]);

const replies = ({ app, id }) => app.relay.frames.map((it) => JSON.parse(it)).filter(([type]) => type === "EVENT").map(([, , event]) => app.open(event)).filter((it) => it.id === id);

/** The answer to a request, past the address of the page. */
async function answer(sent) {
  await expect.poll(() => replies(sent).filter(({ result }) => result !== "auth_url").length, { timeout: 20_000 }).toBe(1);
  return replies(sent).find(({ result }) => result !== "auth_url");
}

/** The event that a request gave, which has to be what the identity signs. */
async function signed(sent) {
  const reply = await answer(sent);
  expect(reply.error).toBeUndefined();
  const event = JSON.parse(reply.result);
  expect([verifyEvent(event), event.pubkey]).toEqual([true, key.pubkey]);
  return event;
}

/** Answers what a test has left. */
async function clear() {
  for (const { request } of await waiting()) await home.passport("deny", request);
}

test("the key is made by the bunker and this device, whose share is sealed in its files, and the kit opens", async () => {
  const { body } = await http("GET", "");
  ({ holders } = body.public);
  expect(holders.map(({ index, role }) => [index, role])).toEqual([[1, "bunker"], [2, "device"], [3, "recovery"]]);
  expect([body.public.threshold, body.public.pubkey]).toEqual([2, key.pubkey]);
  expect(key.share).toBe(join(home.folder, "shares", `${key.group}.json`));
  expect(statSync(key.share).mode & 0o777).toBe(0o600);
  const kept = JSON.parse(readFileSync(key.share, "utf8"));
  expect([kept.v, kept.ceremony, kept.public.pubkey]).toEqual([1, key.operation_id, key.pubkey]);
  expect(kept.shares.map(({ index }) => index)).toEqual([2]);
  expect((await home.passport("kit", "check", key.recovery_kit)).npub).toBe(key.npub);
  // It is shared with nobody.
  expect((await home.passport("ceremony", "list")).shares).toEqual([]);
});

describe("what an app asks for", () => {
  let app;
  beforeAll(async () => {
    app = await appWith("--kinds", "1", "--ask-kinds", "0");
  });
  afterAll(() => app.close());
  afterEach(clear);

  test("waits although the rules allow it, and is signed once this device has contributed", async () => {
    const sent = await sendNote(app, "from my own device", { tags: [["t", "custody"]] });
    const [shown] = await waitingOf(1);
    expect(shown).toMatchObject({ request: sent.event.id, waits_for: ["device"], connection: app.connection });
    expect(replies(sent)).toEqual([{ id: sent.id, result: "auth_url", error: `${server.url}/approve/${sent.event.id}` }]);
    const listed = await home.run(["requests"]);
    expect(listed.stdout).toMatch(/waits +for a device with your share; the app's rules allow it/);
    expect(await home.passport("approve")).toEqual({ request: sent.event.id, status: "approved" });
    expect(await signed(sent)).toMatchObject({ content: "from my own device", tags: [["t", "custody"]] });
    expect(await waiting()).toEqual([]);
    expect(await home.refused(["approve", sent.event.id])).toBe("no_such_request");
    // What this device saw of the app, it remembers.
    const memory = { connection: app.connection, client: app.pubkey, seq: 0 };
    expect(home.json("devices", `${key.group}.json`)).toEqual({ v: 1, connections: [memory] });
    expect(statSync(join(home.folder, "devices", `${key.group}.json`)).mode & 0o777).toBe(0o600);
  });

  test("is offered in a form that only the owner key opens", async () => {
    const sent = await sendNote(app, "for nobody with a stolen token");
    await waitingOf(1);
    const { body } = await http("POST", `/requests/${sent.event.id}/offer`);
    const told = JSON.stringify(body);
    expect(Object.keys(body).sort()).toEqual(["contribution", "evidence", "round"]);
    for (const secret of [app.conversationKey, Buffer.from("for nobody with")].flatMap(forms)) expect(told).not.toContain(secret.toString("latin1"));
    expect(told).not.toContain(sent.event.sig);
  });

  test("needs the owner's word first where the rules ask, and then the device", async () => {
    const sent = await sendNote(app, "{}", { kind: 0 });
    const [shown] = await waitingOf(1);
    expect(shown.waits_for).toEqual(["approval", "device"]);
    expectProblem(await http("POST", `/requests/${shown.request}/offer`), 409, "approval_needed");
    await home.passport("approve");
    expect((await signed(sent)).kind).toBe(0);
  });

  test("is refused when it is denied, and does not wait when no rule allows it", async () => {
    const sent = await sendNote(app, "{}", { kind: 0 });
    await waitingOf(1);
    expect(await home.passport("deny", sent.event.id)).toEqual({ request: sent.event.id, status: "denied" });
    expect(await answer(sent)).toMatchObject({ result: "error", error: expect.stringMatching(/owner/) });
    const never = await sendNote(app, "", { kind: 5 });
    expect(await answer(never)).toMatchObject({ result: "error" });
  });

  test("is refused when it is denied although the rules allow it", async () => {
    const sent = await sendNote(app, "not this one");
    await waitingOf(1);
    expect(await home.passport("deny", sent.event.id)).toEqual({ request: sent.event.id, status: "denied" });
    expect(await answer(sent)).toMatchObject({ result: "error", error: expect.stringMatching(/owner/) });
    expect(await waiting()).toEqual([]);
  });

  test("is answered without asking while the client watches for it, and the rest is left to its owner", async () => {
    const allowed = [await sendNote(app, "one"), await sendNote(app, "two"), await sendNote(app, "three")];
    const asked = await sendNote(app, "{}", { kind: 0 });
    await waitingOf(4);
    const watched = await home.run(["watch", "--auto", "--once"]);
    expect([watched.code, watched.stdout], watched.stderr).toEqual([0, "Blog: approved\n".repeat(3)]);
    expect(watched.stderr).toContain(`passport approve ${asked.event.id}`);
    for (const sent of allowed) await signed(sent);
    expect((await waiting()).map(({ request }) => request)).toEqual([asked.event.id]);
  });

  test("is shown and asked about while the client watches without that", async () => {
    const [one, two] = [await sendNote(app, "this"), await sendNote(app, "not now")];
    await waitingOf(2);
    const watched = await home.run(["watch", "--once"], { input: "y\ns\n" });
    expect([watched.code, watched.stdout], watched.stderr).toEqual([0, "Blog: approved\n"]);
    for (const shown of [/text +this/, /text +not now/]) expect(watched.stderr).toMatch(shown);
    expect(watched.stderr.match(/\[y\]es, \[d\]eny, \[s\]kip\?/g)).toHaveLength(2);
    const [left] = await waitingOf(1);
    expect([one, two].map((it) => it.event.id)).toContain(left.request);
    const again = await home.run(["watch", "--once"], { input: "d\n" });
    expect([again.code, again.stdout], again.stderr).toEqual([0, "Blog: denied\n"]);
    expect(await waiting()).toEqual([]);
  });

  test("can't be answered by a device without a share, until it gets a copy", async () => {
    const sent = await sendNote(app, "elsewhere");
    await waitingOf(1);
    const refused = await other.run(["approve"]);
    expect([refused.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toMatch(/no share.*device that has one.*key refresh.*\[share_not_here\]/s);
    const watched = await other.run(["watch", "--auto", "--once"]);
    expect([watched.code, watched.stdout]).toEqual([0, ""]);
    expect(watched.stderr).toContain("[share_not_here]");
    expect((await waiting()).map(({ request }) => request)).toEqual([sent.event.id]);

    mkdirSync(join(other.folder, "shares"));
    const copy = join(other.folder, "shares", basename(key.share));
    copyFileSync(key.share, copy);
    await other.passport("approve");
    expect((await signed(sent)).content).toBe("elsewhere");

    // A share opens for its own account alone.
    const stranger = new Home();
    await stranger.passport("register", "mallory", "--server", server.url);
    await stranger.passport("key", "create", "--custody", "device", "--kit-dir", stranger.folder);
    const [theirs] = readdirSync(join(stranger.folder, "shares"));
    copyFileSync(join(stranger.folder, "shares", theirs), copy);
    const again = await sendNote(app, "with another's share");
    await waitingOf(1);
    expect(await other.refused(["approve"])).toBe("share_does_not_open");
    expect(replies(again).map(({ result }) => result)).toEqual(["auth_url"]);
  });
});

test("messages are encrypted and decrypted with this device, as their other party sees them", async () => {
  const app = await appWith("--allow", "everything", "--no-auth-url");
  const peer = new Peer();
  const words = "only for the two of us";
  const encrypting = await send(app, "nip44_encrypt", [peer.pubkey, words]);
  expect((await waitingOf(1))[0]).toMatchObject({ waits_for: ["device"], peer: peer.pubkey, plaintext: words });
  await home.passport("approve");
  expect(peer.decrypt44(key.pubkey, (await answer(encrypting)).result)).toBe(words);

  const ciphertexts = { nip44_decrypt: peer.encrypt44(key.pubkey, words), nip04_decrypt: await peer.encrypt04(key.pubkey, words) };
  const decrypting = [];
  for (const [method, text] of Object.entries(ciphertexts)) decrypting.push(await send(app, method, [peer.pubkey, text]));
  await waitingOf(2);
  await home.run(["watch", "--auto", "--once"]);
  for (const sent of decrypting) expect((await answer(sent)).result).toBe(words);
  await app.close();
});

describe("between the offer and the contribution", () => {
  let app, between;
  beforeEach(async () => {
    app = await appWith("--kinds", "1", "--no-auth-url");
    between = await GoBetween.open(server);
  });
  afterEach(async () => {
    home.goesBy(server.url);
    await between.close();
    await app.close();
  });

  const contributions = () => between.asked.filter((it) => it.endsWith("/contribution")).length;
  const once = (work) => {
    let is_done = false;
    return ({ path }) => (path.endsWith("/contribution") && !is_done ? ((is_done = true), work()) : true);
  };
  /** The app comes back and asks for the same again. */
  async function back(sent) {
    const again = await RawApp.open(app.bunkerUrl, app.secretKey);
    app = Object.assign(again, { bunkerUrl: app.bunkerUrl });
    again.relay.send(["EVENT", sent.event]);
    return { ...sent, app: again };
  }

  test("the server is killed and comes back: another offer is taken at once", async () => {
    const sent = await sendNote(app, "across a power cut");
    await waitingOf(1);
    between.before = once(async () => {
      await server.kill9();
      await server.start();
    });
    home.goesBy(between.url);
    await home.passport("approve");
    expect(contributions()).toBe(2);
    expect((await signed(await back(sent))).content).toBe("across a power cut");
  });

  test("the server is killed and stays away: the client says so, and approving again completes it", async () => {
    const sent = await sendNote(app, "in two goes");
    await waitingOf(1);
    between.before = once(async () => {
      await server.kill9();
      return false;
    });
    home.goesBy(between.url);
    expect(await home.refused(["approve"])).toBe("server_unreachable");
    await server.start();
    expect((await waiting()).map(({ request, waits_for }) => [request, waits_for])).toEqual([[sent.event.id, ["device"]]]);
    await home.passport("approve");
    expect((await signed(await back(sent))).content).toBe("in two goes");
  });

  test("an offer that is gone for good is given up after three", async () => {
    const sent = await sendNote(app, "never mind");
    await waitingOf(1);
    // Another device takes an offer of its own each time.
    between.before = async ({ path }) => {
      if (path.endsWith("/contribution")) {
        await server.kill9();
        await server.start();
      }
    };
    home.goesBy(between.url);
    expect(await home.refused(["approve"])).toBe("offer_gone");
    expect(contributions()).toBe(3);
    home.goesBy(server.url);
    await home.passport("deny", sent.event.id);
  });
});

describe("a server that lies gets nothing:", () => {
  let app, between;
  beforeAll(async () => {
    app = await appWith("--kinds", "1", "--no-auth-url");
    between = await GoBetween.open(server);
  });
  beforeEach(() => home.goesBy(between.url));
  afterEach(async () => {
    home.goesBy(server.url);
    between.after = (_, answer) => answer;
    await clear();
  });
  afterAll(async () => {
    await between.close();
    await app.close();
  });

  /** Has the client approve what a changed answer shows; no contribution may leave it. */
  async function expectMisled(sent, suffix, change) {
    await expect.poll(async () => (await waiting()).map(({ request }) => request), { timeout: 20_000 }).toContain(sent.event.id);
    between.asked.length = 0;
    between.after = ({ path }, answer) => (path.split("?")[0].endsWith(suffix) ? change(answer) : answer);
    expect(await home.refused(["approve", sent.event.id])).toBe("request_misled");
    expect(between.asked.filter((it) => it.endsWith("/contribution"))).toEqual([]);
    expect(replies(sent)).toEqual([]);
  }
  const showing = (over) => ({ requests }) => ({ requests: requests.map((it) => ({ ...it, ...over(it) })) });

  test.each([
    ["another text", (it) => ({ template: { ...it.template, content: "harmless" } })],
    ["another tag", (it) => ({ template: { ...it.template, tags: [["t", "harmless"]] } })],
    ["another date", (it) => ({ template: { ...it.template, created_at: it.template.created_at + 1 } })],
    ["another app", () => ({ label: "A trusted app" })],
    ["another connection", () => ({ connection: "0123456789abcdef".repeat(2) })],
    ["another method", (it) => ({ method: "nip44_encrypt", peer: key.pubkey, plaintext: it.template.content })],
  ])("it shows %s", async (_, over) => {
    const sent = await sendNote(app, "what the app asked for");
    await expectMisled(sent, "/requests", showing(over));
  });

  test("it offers another request than it shows", async () => {
    const sent = await sendNote(app, "the one that is shown");
    await waitingOf(1);
    const hidden = await sendNote(app, "the one behind it");
    await waitingOf(2);
    const { body } = await http("POST", `/requests/${hidden.event.id}/offer`);
    await expectMisled(sent, "/offer", () => body);
  });

  test("it shows wider rules than the owner signed", async () => {
    const sent = await sendNote(app, "widened");
    await expectMisled(sent, "/offer", (offer) => {
      const { grant } = offer.evidence.connection;
      grant.content = grant.content.replace('"kinds":[1]', '"kinds":"all"');
      return offer;
    });
  });

  test("it shows rules from before those that this device has seen", async () => {
    await sendNote(app, "under the old rules");
    const [{ request }] = await waitingOf(1);
    const old = (await http("POST", `/requests/${request}/offer`)).body.evidence.connection;
    await home.passport("approve");
    await home.passport("edit", app.connection, "--kinds", "1,7");
    const seen = await sendNote(app, "under the new rules");
    await waitingOf(1);
    await home.passport("approve");
    await signed(seen);
    const sent = await sendNote(app, "under the old rules again");
    await expectMisled(sent, "/offer", (offer) => ({ ...offer, evidence: { ...offer.evidence, connection: old } }));
  });
});

describe("leaving with the whole key", () => {
  const npubOf = (nsec) => nip19.npubEncode(getPublicKey(nip19.decode(nsec).data));

  test("takes this device's share and the kit, and no server", async () => {
    for (const args of [["begin"], ["finish", "--reveal"]]) expect(await home.refused(["export", ...args])).toBe("kit_needed");
    await server.stop();
    const { npub, nsec } = await home.passport("export", "finish", "--kit", key.recovery_kit, "--reveal");
    expect([npub, npubOf(nsec)]).toEqual([key.npub, key.npub]);
    expect(await home.passport("export", "finish", "--kit", key.recovery_kit, "--out", "key.txt")).toEqual({ npub, file: "key.txt" });
    expect(readFileSync(join(home.folder, "key.txt"), "utf8")).toBe(`${nsec}\n`);
    expect(statSync(join(home.folder, "key.txt")).mode & 0o777).toBe(0o600);
  });

  test("is not possible with the share or the kit alone", async () => {
    const finish = ["export", "finish", "--kit", key.recovery_kit, "--reveal"];
    expect(await home.refused(finish, { answers: { PASSPORT_KIT_PASSPHRASE: "not the passphrase" } })).toBe("wrong_passphrase");
    expect(await new Home().refused(finish)).toBe("not_signed_in");
    expect(await home.refused(["export", "finish", "--reveal"])).toBe("server_unreachable");
    expect((await home.run(["export", "finish", "--kit", key.recovery_kit])).code).toBe(2);
    await server.start();
  });

  test("takes the kit and the server's share, after the delay, when the device is lost", async () => {
    const found = new Home();
    await found.passport("login", "alice", "--server", server.url);
    const finish = ["export", "finish", "--reveal"];
    expect(await found.refused([...finish, "--kit", key.recovery_kit])).toBe("no_export");
    expect((await found.passport("export", "begin")).state).toBe("waiting");
    await expect.poll(async () => (await found.passport("export", "status")).state, { timeout: 20_000 }).toBe("ready");
    // The server has one share, whatever it is asked for.
    expect(await found.refused(finish)).toBe("kit_needed");
    const { npub, nsec } = await found.passport(...finish, "--kit", key.recovery_kit);
    expect([npub, npubOf(nsec)]).toEqual([key.npub, key.npub]);
    await found.passport("export", "cancel");
    expect(await found.refused([...finish, "--kit", key.recovery_kit])).toBe("no_export");

    const stranger = new Home();
    await stranger.passport("register", "eve", "--server", server.url);
    expect(await stranger.refused([...finish, "--kit", key.recovery_kit])).toBe("share_not_here");
  });
});

/** Every file under a folder. */
function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytesOf = (scalar) => Buffer.from((((scalar % N) + N) % N).toString(16).padStart(64, "0"), "hex");

test("the server alone can't sign: with all that it stores and all its secrets it has one share of two", async () => {
  const { nsec } = await home.passport("export", "finish", "--kit", key.recovery_kit, "--reveal");
  await server.stop();
  const deployment = deploymentSecrets(join(server.folder, "secrets.env"));
  const file = server.objectFiles("Bunker").find((it) => rows(it).some(([kind, , body]) => kind === "identity" && body.includes(key.pubkey)));
  const bunker = openHolder(file, deployment.HSM_SIMULATOR_BUNKER_KEK);

  // What it finds is the share with number 1: neither the key nor anybody else's.
  const verifying = (secret) => point(secret).toString("hex");
  expect(verifying(bunker.share)).toBe(holders[0].verifying_share);
  expect(verifying(bunker.share).slice(2)).not.toBe(key.pubkey);
  // And that is all that is sealed there, beside the connections' own keys.
  const sealed = rows(file).filter(([, , body]) => body.includes("ciphertext")).map(([kind]) => kind);
  expect(sealed.filter((kind) => kind !== "transport")).toEqual(["share"]);
  expect(bunker.transports).toHaveLength(sealed.length - 1);
  // No cosigner was ever woken for anybody here.
  const objects = join(server.folder, "state", "v3", "do");
  expect(existsSync(join(objects, "passport-Cosigner")) ? server.objectFiles("Cosigner") : []).toEqual([]);

  // The others lie on the line through the key at 0 and this share at 1; they are not on the server in any form.
  const whole = nip19.decode(nsec).data;
  const at = (index) => bytesOf(number(whole) + BigInt(index) * (number(bunker.share) - number(whole)));
  const [device, recovery] = [at(2), at(3)];
  expect([device, recovery].map(verifying)).toEqual(holders.slice(1).map((it) => it.verifying_share));
  const secrets = [whole, bunker.share, device, recovery].flatMap(forms);
  const stored = [...files(join(server.folder, "state")), server.logFile, join(server.folder, "secrets.env")];
  for (const path of stored) {
    const content = readFileSync(path);
    expect([path, secrets.filter((form) => content.includes(form)).length]).toEqual([path, 0]);
  }
  expect(stored.filter((path) => readFileSync(path).includes(Buffer.from(key.pubkey))), "the search finds what is there").not.toEqual([]);
  expect(stored.filter((path) => path.includes("passport-Ceremony")), "the ceremony's object was searched").not.toEqual([]);
  await server.start();
});
