/** Ceremonies with the server's own holders, step by step: what is refused, and what an eviction between steps costs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PagesSocket } from "../support/pages-socket.mjs";
import { Participant } from "../support/participant.mjs";
import { startServer } from "../support/server.mjs";

let server, person, stranger;
beforeAll(async () => {
  server = await startServer();
  [person, stranger] = [await Participant.signedIn(server), await Participant.signedIn(server)];
});
afterAll(() => server?.stop());

/** Changes one hex digit. */
const flipped = (text, at = 20) => text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);
const code = ({ status, body }) => [status, body.code];

test("a key is made in six round trips, created from the ceremony, and the same request creates it once", async () => {
  await person.start();
  expect(await person.finish()).toBe(6);
  const { body: view } = await person.ask("GET", person.path);
  expect(view).toMatchObject({ status: "verified", round: 5, culprits: [], reason: null });
  expect(view.proof.signatures).toHaveLength(3);
  const { made, created, group, ceremony } = await person.create();
  expect([created.status, created.body.npub]).toEqual([201, made.npub]);
  const again = await person.ask("POST", "/keys", { json: { statement: made.statement, ceremony, label: "A key made by several" } });
  expect([again.status, again.body.group]).toEqual([201, group]);
  expect((await person.ask("GET", `/keys/${group}`)).body.public).toEqual(view.public);
});

test("a key for device custody is made in eleven round trips", async () => {
  await person.start("device");
  expect(await person.finish()).toBe(11);
  const { created, shares } = await person.create();
  expect([created.status, typeof shares]).toEqual([201, "string"]);
});

test("a participant hears over a socket when there is something to read, and nobody else opens one", async () => {
  await person.start();
  const path = `${person.path}/events`;
  const socket = await PagesSocket.openAt(server, path, person.token);
  const { next } = person.stand;
  await person.step();
  expect((await socket.hint("ceremony")).next).toBeGreaterThan(next);
  socket.socket.send("a participant speaks by POST");
  await person.step();
  await socket.hint("ceremony");
  const closed = new Promise((resolve) => socket.socket.once("close", resolve));
  socket.socket.close(1000);
  await closed;
  await person.finish();
  await expect(PagesSocket.openAt(server, path, stranger.token)).rejects.toMatchObject({ status: 404 });
  await expect(PagesSocket.openAt(server, path, "none")).rejects.toMatchObject({ status: 401 });
});

describe("who may speak", () => {
  test("a stranger neither reads nor joins nor speaks nor ends it, whatever the body says", async () => {
    await person.start();
    const [said] = person.stand.packages;
    const { path } = person;
    const keys = [{ number: 3, receiving_key: "11".repeat(32) }];
    for (const answer of [
      await stranger.ask("GET", path),
      await stranger.ask("POST", `${path}/round/0`, { json: { participant_data: { keys } } }),
      await stranger.ask("POST", `${path}/round/1`, { json: { participant_data: said } }),
      await stranger.ask("DELETE", path),
      await stranger.ask("GET", `/ceremony/${"ab".repeat(16)}`),
      await stranger.ask("GET", "/ceremony/none"),
    ]) {
      expect(code(answer)).toEqual([404, "not_found"]);
    }
    expect((await stranger.ask("GET", "/ceremony")).body.ceremonies).toEqual([]);
    const listed = (await person.ask("GET", "/ceremony")).body.ceremonies.map((it) => `/ceremony/${it.operation_id}`);
    expect(listed).toContain(path);
    await person.finish();
  });

  test("nobody speaks for the server's holders or in another round, and an altered word is refused", async () => {
    await person.start();
    const [said] = person.stand.packages;
    const refused = async (change, round) => code(await person.say({ ...said, ...change }, round));
    expect(await refused({ party: 1 })).toEqual([403, "not_your_place"]);
    expect(await refused({ party: 9 })).toEqual([403, "not_your_place"]);
    expect(await refused({}, 2)).toEqual([422, "package_refused"]);
    expect(await refused({ round: 2 })).toEqual([409, "round_over"]);
    expect(await refused({ ceremony: "00".repeat(16) })).toEqual([422, "package_refused"]);
    expect(await refused({ signature: flipped(said.signature) })).toEqual([422, "package_refused"]);
    expect(await refused({ body: said.body.replace("deal", "lost") })).toEqual([422, "package_refused"]);
    for (const participant_data of [null, 7, "text", {}, [], { keys: [] }]) {
      const answer = await person.ask("POST", `${person.path}/round/1`, { json: { participant_data } });
      expect(code(answer)).toEqual([422, "package_refused"]);
    }
    const taken = await person.say(said);
    expect(taken.status).toBe(200);
    // The same again is taken again; something else in its place is not.
    expect((await person.say(said)).body).toEqual(taken.body);
    expect(await refused({ signature: flipped(said.signature) })).toEqual([409, "package_altered"]);
    person.take(taken.body);
    await person.finish();
    expect(code(await person.say({ ...said, round: 5 }))).toEqual([409, "package_altered"]);
  });
});

describe("what is started", () => {
  const started = async (change) => {
    const request = await person.startRequest();
    change(request);
    return code(await person.ask("POST", "/ceremony/start", { json: request }));
  };

  test.each([
    ["one holder that signs alone", (it) => (it.threshold = 1)],
    ["more signers than holders", (it) => (it.threshold = 4)],
    ["one participant", (it) => it.participants.splice(0, 2)],
    ["two bunkers", (it) => (it.participants[1].role = "bunker")],
    ["a person without an owner key", (it) => delete it.participants[2].owner],
    ["the server's holder with a person's key", (it) => (it.participants[0].owner = person.owner)],
    ["the server's holder with a key of the caller's", (it) => (it.participants[0].receiving_key = "11".repeat(32))],
    ["somebody else's receiving key", (it) => (it.participants[2].owner = stranger.owner)],
    ["nobody who is the caller", (it) => Object.assign(it.participants[2], { owner: stranger.owner, receiving_key: null })],
    ["rounds of no time", (it) => (it.round_seconds = 1)],
    ["eleven", (it) => it.participants.push(...Array(8).fill({ role: "device", owner: stranger.owner }))],
  ])("is refused with %s", async (_, change) => {
    expect(await started(change)).toEqual([422, "ceremony_invalid"]);
  });

  test("is refused where a key lives or is being made, and that one is left alone", async () => {
    await person.start();
    const { group } = (await person.ask("GET", person.path)).body;
    const request = { ...(await person.startRequest()), group };
    const { body: second } = await person.ask("POST", "/ceremony/start", { json: request });
    expect(second).toMatchObject({ status: "cancelled", reason: "cancelled" });
    const first = (await person.ask("GET", person.path)).body;
    expect(first).toMatchObject({ status: "running", round: 1 });
  });
});

describe("the end", () => {
  test("of a cancelled ceremony is final, and no identity comes of it", async () => {
    await person.start();
    const [said] = person.stand.packages;
    expect((await person.ask("DELETE", person.path)).body).toMatchObject({ status: "cancelled", culprits: [3] });
    expect((await person.ask("DELETE", person.path)).body.status).toBe("cancelled");
    expect(code(await person.say(said))).toEqual([409, "ceremony_over"]);
  });

  test("is needed before an identity is created, by somebody who took part and for the group that came out", async () => {
    await person.start();
    while (person.stand.round < 4) await person.step();
    const device = await Participant.signedIn(server);
    await device.start();
    await device.finish();
    const other = await device.create();
    const ceremony = person.path.slice("/ceremony/".length);
    const create = (who, fields) =>
      who.ask("POST", "/keys", { json: { statement: other.made.statement, label: "x", ...fields } }).then(code);
    expect(await create(device, { ceremony })).toEqual([404, "not_found"]);
    expect(await create(device, {})).toEqual([422, "body_invalid"]);
    await person.finish();
    const made = person.vault.call("finish_keygen", Math.floor(Date.now() / 1000));
    expect(await create(person, { statement: made.statement, ceremony: other.ceremony })).toEqual([404, "not_found"]);
    // Another identity's ceremony, by one who took part in both.
    await person.start();
    await person.finish();
    const foreign = person.path.slice("/ceremony/".length);
    expect(await create(person, { statement: made.statement, ceremony: foreign })).toEqual([422, "ceremony_invalid"]);
    expect(await create(person, { statement: made.statement, ceremony })).toEqual([201, undefined]);
  });
});

test("killed before every step, a ceremony completes; only the proof is made anew for the nonces that were lost", async () => {
  await person.start();
  const evicted = [];
  while (!person.stand.verified) {
    const step = person.stand.packages[0] && JSON.parse(person.stand.packages[0].body).says;
    if (!evicted.includes(step)) {
      evicted.push(step);
      await server.kill9();
      await server.start();
    }
    await person.step();
  }
  expect(evicted).toEqual(expect.arrayContaining(["deal", "share", "confirm", "prove", "accept"]));
  const { body: view } = await person.ask("GET", person.path);
  expect(view.status).toBe("verified");
  expect(view.round).toBeGreaterThan(5);
  await server.kill9();
  await server.start();
  const { created } = await person.create();
  expect(created.status).toBe(201);
  // Nothing of the way there is left with the holders.
  await server.kill9();
  await server.start();
  expect((await person.ask("GET", `/keys/${created.body.group}`)).status).toBe(200);
});
