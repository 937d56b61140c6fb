/**
 * Team custody: people with accounts and devices of their own share a key with the server's bunker. As many as they agreed
 * on sign each request, and people come and go while the key stays. Each device is the command-line client.
 */
import { verifyEvent } from "nostr-tools";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ask, expectProblem } from "../support/api.mjs";
import { Home } from "../support/cli-home.mjs";
import { nowS } from "../support/clock.mjs";
import { GoBetween } from "../support/go-between.mjs";
import { Peer } from "../support/peer.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";

const note = (content) => JSON.stringify({ kind: 1, created_at: nowS(), tags: [], content });

// Each command that signs stretches a password, and a test here has several of them.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let server;
/** Three who share a key from the beginning, and two others with accounts. @type {Record<string, Home & {owner: string}>} */
let people;
/** Any two of the first three sign it. */
let key;

beforeAll(async () => {
  server = await startServer({ vars: { EXPORT_DELAY: "1" } });
  people = {};
  for (const name of ["alice", "bob", "carol", "dave", "eve"]) {
    const home = new Home();
    const { owner_pubkey } = await home.passport("register", name, "--server", server.url);
    people[name] = Object.assign(home, { owner: owner_pubkey });
  }
  key = await together("alice", ["bob", "carol"], 2);
});
afterAll(() => server?.stop());

/** Has somebody make a key with others, so many of whom sign. */
async function together(first, others, signers) {
  const named = others.flatMap((name) => ["--with", people[name].owner]);
  const starting = people[first].begin("ceremony", "start", "--signers", String(signers), "--label", "Ours", ...named);
  const [, id] = await starting.told(/passport ceremony join ([0-9a-f]{32})/);
  const joined = others.map((name) => people[name].passport("ceremony", "join", id, "--yes"));
  const [made] = await Promise.all([starting.result(), ...joined]);
  return made;
}

const http = (name, method, path, options = {}) => ask(server, method, `/keys/${key.group}${path}`, { token: people[name].token, ...options });
const waiting = async (name = "alice") => (await http(name, "GET", "/requests")).body.requests;

async function waitingOf(count) {
  await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(count);
  return waiting();
}

/** An app on a new connection of a key. */
async function appOf(name, of, ...access) {
  const { bunker_url, connection } = await people[name].passport("connect", "--key", of.npub, "--label", "Blog", "--no-auth-url", ...access);
  const app = await RawApp.open(bunker_url);
  await app.connect();
  return Object.assign(app, { bunkerUrl: bunker_url, connection });
}

/** Asks without waiting for an answer. */
async function send(app, method, params) {
  const request = app.request(method, params);
  const event = app.event(request);
  app.relay.send(["EVENT", event]);
  expect(await app.relay.ok(event.id)).toEqual({ accepted: true, reason: "" });
  return { app, id: request.id, event };
}

async function answer({ app, id }) {
  const replies = () => app.relay.frames.map((it) => JSON.parse(it)).filter(([type]) => type === "EVENT").map(([, , event]) => app.open(event)).filter((it) => it.id === id);
  await expect.poll(() => replies().length, { timeout: 30_000 }).toBe(1);
  return replies()[0];
}

/** The event that a request gave, which has to be what the shared key signs. */
async function signed(sent, by = key) {
  const reply = await answer(sent);
  expect(reply.error).toBeUndefined();
  const event = JSON.parse(reply.result);
  expect([verifyEvent(event), event.pubkey]).toEqual([true, by.pubkey]);
  return event;
}

/** The app comes back after a server's restart and asks for the same again. */
async function back(sent) {
  const again = await RawApp.open(sent.app.bunkerUrl, sent.app.secretKey);
  again.relay.send(["EVENT", sent.event]);
  return { ...sent, app: Object.assign(again, { bunkerUrl: sent.app.bunkerUrl }) };
}

/** Waits until a request has so many at it. */
const gathered = (count) => expect.poll(async () => (await waiting())[0]?.signers.given.length, { timeout: 60_000 }).toBe(count);

test("the key belongs to who began it, and who shares it finds it", async () => {
  const { body } = await http("bob", "GET", "");
  expect(body).toMatchObject({ owner: people.alice.owner, npub: key.npub, label: "Ours" });
  expect(body.public.holders.map(({ index, role }) => [index, role])).toEqual([[1, "bunker"], [2, "device"], [3, "device"], [4, "device"]]);
  expect(body.public.threshold).toBe(3);
  expect(body.members).toEqual([{ holder: 3, person: people.bob.owner }, { holder: 4, person: people.carol.owner }]);
  const [mine, theirs, none] = await Promise.all(["alice", "carol", "eve"].map((name) => people[name].passport("key", "list")));
  expect(mine.keys.map((it) => it.group)).toEqual([key.group]);
  expect([theirs.keys, theirs.shared.map(({ group, owner }) => [group, owner])]).toEqual([[], [[key.group, people.alice.owner]]]);
  expect(none.keys).toEqual([]);
});

describe("what an app asks for", () => {
  let app;
  beforeAll(async () => {
    app = await appOf("alice", key, "--allow", "everything");
  });
  afterAll(() => app.close());
  afterEach(async () => {
    for (const { request } of await waiting()) await people.alice.passport("deny", request);
  });

  test("is signed when two of three have contributed, whoever they are", async () => {
    const pairs = [["alice", "bob"], ["carol", "bob"], ["alice", "carol"]];
    for (const [first, second] of pairs) {
      const sent = await send(app, "sign_event", [note(`${first} and ${second}`)]);
      const [shown] = await waitingOf(1);
      expect(shown).toMatchObject({ request: sent.event.id, waits_for: ["device"], signers: { needed: 2, given: [] } });
      const one = people[first].begin("approve", sent.event.id);
      await gathered(1);
      const other = people[second].begin("approve", sent.event.id);
      expect((await signed(sent)).content).toBe(`${first} and ${second}`);
      await Promise.all([one.ended, other.ended]);
      expect(await waiting()).toEqual([]);
    }
  });

  test("is encrypted and decrypted by two together, the owner not among them", async () => {
    const peer = new Peer();
    const sent = await send(app, "nip44_encrypt", [peer.pubkey, "from all of us"]);
    await waitingOf(1);
    const both = ["bob", "carol"].map((name) => people[name].begin("approve", sent.event.id));
    expect(peer.decrypt44(key.pubkey, (await answer(sent)).result)).toBe("from all of us");
    await Promise.all(both.map((it) => it.ended));
    const back = await send(app, "nip44_decrypt", [peer.pubkey, peer.encrypt44(key.pubkey, "to all of you")]);
    await waitingOf(1);
    const two = ["bob", "alice"].map((name) => people[name].begin("approve", back.event.id));
    expect((await answer(back)).result).toBe("to all of you");
    await Promise.all(two.map((it) => it.ended));
  });

  test("is not signed by one of them with the server, and a stranger sees nothing of it", async () => {
    const sent = await send(app, "sign_event", [note("alone")]);
    await waitingOf(1);
    const alone = people.bob.begin("approve", sent.event.id);
    await gathered(1);
    expect((await waiting("carol"))[0].signers).toEqual({ needed: 2, given: [3] });
    expect((await alone.kill9(), await waiting()).length).toBe(1);
    for (const [method, path, json] of [
      ["GET", ""],
      ["GET", "/requests"],
      ["POST", `/requests/${sent.event.id}/offer`],
      ["POST", `/requests/${sent.event.id}/contribution`, { round: 0, reply: { reply: "recorded" } }],
    ]) {
      expectProblem(await http("eve", method, path, { json }), 404, "not_found");
    }
  });

  test("a device that is killed after its commitment begins anew, and the other one signs again", async () => {
    const sent = await send(app, "sign_event", [note("in two goes")]);
    await waitingOf(1);
    const killed = people.alice.begin("approve", sent.event.id);
    await gathered(1);
    await killed.kill9();
    const [other, again] = [people.bob.begin("approve", sent.event.id), people.alice.begin("approve", sent.event.id)];
    expect((await signed(sent)).content).toBe("in two goes");
    await Promise.all([other.ended, again.ended]);
  });

  test("while the server is killed and comes back, goes on with fresh nonces", async () => {
    const sent = await send(app, "sign_event", [note("across a power cut")]);
    await waitingOf(1);
    const waits = people.alice.begin("approve", sent.event.id);
    await gathered(1);
    await server.kill9();
    await server.start();
    // Who waited goes on, with a fresh commitment.
    const again = await back(sent);
    const other = people.carol.begin("approve", sent.event.id);
    expect((await signed(again)).content).toBe("across a power cut");
    expect([await waits.ended, await other.ended]).toEqual([0, 0]);
    app = again.app;
  });

  test("is watched for by all, and answered when two say yes", async () => {
    const both = ["bob", "carol"].map((name) => people[name].begin("watch", "--auto"));
    const sent = await send(app, "sign_event", [note("by who watches")]);
    expect((await signed(sent)).content).toBe("by who watches");
    await Promise.all(both.map((it) => it.kill9()));
  });

  test("is contributed to by each as who they are, with nothing that fits no question", async () => {
    const sent = await send(app, "sign_event", [note("as another")]);
    await waitingOf(1);
    const path = `/requests/${sent.event.id}`;
    expectProblem(await http("bob", "POST", `${path}/offer?holder=4`), 403, "not_your_share");
    const { body } = await http("bob", "POST", `${path}/offer?holder=3`);
    expect(Object.keys(body).sort()).toEqual(["contribution", "evidence", "round"]);
    const point = `02${key.pubkey}`;
    const committed = (index) => ({ round: body.round, reply: { reply: "committed", index, commitment: point + point.replace("02", "03") } });
    expectProblem(await http("bob", "POST", `${path}/contribution`, { json: committed(2) }), 403, "not_your_share");
    expectProblem(await http("bob", "POST", `${path}/contribution`, { json: { round: 0, reply: { reply: "recorded" } } }), 422, "contribution_unfit");
    expect((await waiting())[0].signers.given).toEqual([]);
  });

  test("is denied by the owner alone", async () => {
    const sent = await send(app, "sign_event", [note("not this one")]);
    await waitingOf(1);
    expect(await people.bob.refused(["deny", sent.event.id])).toBe("only_the_owner");
    expect(await waiting()).toHaveLength(1);
    await people.alice.passport("deny", sent.event.id);
    expect((await answer(sent)).error).toMatch(/said no/);
  });

  test("is allowed by the owner alone: a member connects no app", async () => {
    expect((await people.bob.run(["connect", "--key", key.npub, "--label", "Mine", "--allow", "everything", "--json"])).code).not.toBe(0);
    for (const path of ["/connections", "/activity", "/export"]) expectProblem(await http("bob", "GET", path), 404, "not_found");
    expect((await http("alice", "GET", "/connections")).body.connections).toHaveLength(1);
  });

  test("a server that shows one of them another request gets nothing", async () => {
    const sent = await send(app, "sign_event", [note("as asked")]);
    await waitingOf(1);
    const between = await GoBetween.open(server);
    const changed = (answer) => JSON.parse(JSON.stringify(answer).replaceAll("as asked", "as shown"));
    between.after = ({ path }, answer) => (path.endsWith("/requests") ? changed(answer) : answer);
    people.bob.goesBy(between.url);
    try {
      expect(await people.bob.refused(["approve", sent.event.id])).toBe("request_misled");
      expect(between.asked.filter((it) => it.endsWith("/contribution"))).toEqual([]);
    } finally {
      people.bob.goesBy(server.url);
      await between.close();
    }
  });
});

describe("people come and go:", () => {
  /** The owner begins new shares, and these come. */
  async function change(name, of, options, others) {
    const beginning = people[name].begin("key", "people", "--key", of.npub, "--yes", ...options);
    const [, id] = await beginning.told(/passport ceremony join ([0-9a-f]{32})/);
    const joined = others.map((other) => people[other].passport("ceremony", "join", id, "--yes"));
    const [changed] = await Promise.all([beginning.result(), ...joined]);
    return changed;
  }

  test("one is replaced under the same npub, and its share does nothing more", async () => {
    const app = await appOf("alice", key, "--allow", "everything");
    const { carol, dave, bob } = people;
    const changed = await change("alice", key, ["--remove", carol.owner, "--add", dave.owner], ["bob", "dave"]);
    expect(changed).toMatchObject({ group: key.group, pubkey: key.pubkey, epoch: 1 });
    const { body } = await http("dave", "GET", "");
    expect(body.members.map(({ person }) => person)).toEqual([bob.owner, dave.owner]);
    const sent = await send(app, "sign_event", [note("with the new one")]);
    await waitingOf(1);
    // Who left has no way in any more.
    expectProblem(await http("carol", "GET", "/requests"), 404, "not_found");
    expectProblem(await http("carol", "POST", `/requests/${sent.event.id}/offer`), 404, "not_found");
    const both = [dave, bob].map((it) => it.begin("approve", sent.event.id));
    expect((await signed(sent)).content).toBe("with the new one");
    await Promise.all(both.map((it) => it.ended));
    await app.close();
  });

  test("an owner shares a key of their own, after the delay of an export, and does not take it back alone", async () => {
    const { alice, bob, eve } = people;
    const own = await eve.passport("key", "create", "--label", "Mine");
    const app = await appOf("eve", own, "--allow", "everything");
    const options = ["--add", bob.owner, "--signers", "1"];
    expect(await eve.refused(["key", "people", "--key", own.npub, "--yes", ...options])).toBe("export_needed");
    await eve.passport("export", "begin", "--key", own.npub);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const changed = await change("eve", own, options, ["bob"]);
    expect(changed).toMatchObject({ group: own.group, pubkey: own.pubkey, epoch: 1 });
    // The server alone, which could sign until now, does not any more.
    const sent = await send(app, "sign_event", [note("ours now")]);
    const list = await bob.passport("requests", "--key", own.npub);
    expect(list.requests.map(({ request }) => request)).toEqual([sent.event.id]);
    await bob.passport("approve", sent.event.id);
    expect((await signed(sent, own)).content).toBe("ours now");
    expect(await eve.refused(["key", "refresh", "--key", own.npub])).toBe("key_is_shared");
    expect((await alice.passport("key", "list")).shared ?? []).toEqual([]);
    await app.close();
  });
});
