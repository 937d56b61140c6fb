/** Keys that several devices make together: each participant is the command-line client of an account of its own. */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { schnorr } from "@noble/curves/secp256k1.js";
import { nip19 } from "nostr-tools";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ask, expectProblem } from "../support/api.mjs";
import { Home } from "../support/cli-home.mjs";
import { startServer } from "../support/server.mjs";

/** Rounds of a ceremony in which nobody is interrupted: deal, share, confirm, prove, accept. */
const ROUNDS = 5;

/** Most sets of holders that prove a key. */
const MAX_SETS = 100;

// Ten people on one machine check a hundred signatures each.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 });

let server;
/** @type {Person[]} */
let people;
/** @type {Person} */
let stranger;

beforeAll(async () => {
  server = await startServer();
  const all = [];
  for (let number = 1; number <= 11; number++) all.push(await Person.registered(`person-${number}`));
  [stranger, ...people] = all;
});
afterAll(() => server?.stop());

/** A person with an account, and a device. */
class Person extends Home {
  /** What the server shows this person of a ceremony. */
  async view(id) {
    const { status, body, text } = await ask(server, "GET", `/ceremony/${id}`, { token: this.token });
    expect(status, text).toBe(200);
    return body;
  }

  static async registered(name) {
    const person = new Person();
    const { owner_pubkey } = await person.passport("register", name, "--server", server.url);
    return Object.assign(person, { owner: owner_pubkey });
  }
}

/** Has the first of them start a ceremony with the others, so many of whom sign together with the server. */
async function begin(signers, [first, ...others]) {
  const named = others.flatMap((it) => ["--with", it.owner]);
  const run = first.begin("ceremony", "start", "--signers", String(signers), "--label", "Ours", ...named);
  const [, id] = await run.told(/passport ceremony join ([0-9a-f]{32})/);
  return { id, run };
}

/** Everything that can be seen of a key that was made. */
async function expectProven(id, threshold, size, members, results) {
  const view = await members[0].view(id);
  const { public: group, proof } = view;
  expect([view.status, group.threshold, group.holders.length]).toEqual(["verified", threshold, size]);
  const npub = nip19.npubEncode(group.pubkey);
  const servers = size - members.length;
  results.forEach((result, at) => {
    expect(result).toMatchObject({ operation_id: id, group: view.group, pubkey: group.pubkey, npub, index: at + 1 + servers });
    expect(members[at].files("ceremonies")).toEqual([]);
    expect(members[at].files("shares")).toContain(`${view.group}.json`);
    expect(statSync(result.share).mode & 0o777).toBe(0o600);
  });
  expectSigned(group, proof);
  return view;
}

/** Every set of holders that can sign has signed, or a hundred of them with everybody in one; says a library that is not ours. */
function expectSigned(group, { message, signatures }) {
  const sets = signatures.map(([set]) => set);
  const all = subsets(group.holders.map((holder) => holder.index), group.threshold);
  expect(all).toEqual(expect.arrayContaining(sets));
  expect(new Set(sets.map(String)).size).toBe(sets.length);
  if (all.length <= MAX_SETS) expect(sets).toHaveLength(all.length);
  else expect(sets.length).toBeGreaterThanOrEqual(MAX_SETS);
  expect(new Set(sets.flat()).size).toBe(group.holders.length);
  const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
  const verifies = (signature, text) => schnorr.verify(bytes(signature), bytes(text), bytes(group.pubkey));
  for (const [set, signature] of signatures) expect(verifies(signature, message), String(set)).toBe(true);
  expect(verifies(signatures[0][1], "00".repeat(32))).toBe(false);
}

function subsets([first, ...rest], size) {
  if (size === 0) return [[]];
  if (first === undefined) return [];
  return [...subsets(rest, size - 1).map((set) => [first, ...set]), ...subsets(rest, size)];
}

/** Everybody speaks once in each round. */
function expectSpoken({ packages }, size) {
  const spoken = packages.map(({ round, party }) => `${round}/${party}`);
  expect(new Set(spoken).size).toBe(spoken.length);
  expect([spoken.length, Math.max(...packages.map(({ round }) => round))]).toEqual([ROUNDS * size, ROUNDS]);
}

test.each([
  [2, 3],
  [3, 5],
  [7, 10],
])("%i of %i, the server's bunker and people, have a key that nobody ever had whole", async (threshold, size) => {
  const members = people.slice(0, size - 1);
  const { id, run } = await begin(threshold - 1, members);
  const others = members.slice(1).map((member) => member.passport("ceremony", "join", id, "--yes"));
  const results = await Promise.all([run.result(), ...others]);
  const view = await expectProven(id, threshold, size, members, results);
  expectSpoken(view, size);
  const { owner_pubkey, ceremonies, shares } = await members[0].passport("ceremony", "list");
  expect(owner_pubkey).toBe(members[0].owner);
  expect(ceremonies).toContainEqual(expect.objectContaining({ operation_id: id, status: "verified", threshold }));
  expect(shares).toContainEqual(results[0]);
  // Once more is no more than once.
  expect(await members[1].passport("ceremony", "join", id)).toEqual(results[1]);
  // The first of them owns it, and the others find it.
  const [mine, theirs] = await Promise.all(members.slice(0, 2).map((member) => member.passport("key", "list")));
  expect(mine.keys).toContainEqual(expect.objectContaining({ group: view.group, label: "Ours", pubkey: view.public.pubkey }));
  expect(theirs.shared).toContainEqual(expect.objectContaining({ group: view.group, label: "Ours", owner: members[0].owner }));
});

test("2 of 2 people make a key without the server's holders", async () => {
  const members = people.slice(0, 2);
  const participants = members.map(({ owner }) => ({ role: "device", owner }));
  const group = randomBytes(16).toString("hex");
  const json = { kind: "keygen", group, threshold: 2, participants };
  const { status, body, text } = await ask(server, "POST", "/ceremony/start", { token: members[0].token, json });
  expect(status, text).toBe(201);
  const joined = members.map((member) => member.passport("ceremony", "join", body.operation_id, "--yes"));
  const view = await expectProven(body.operation_id, 2, 2, members, await Promise.all(joined));
  expectSpoken(view, 2);
});

test("a hosted key is made in six round trips, by the server's holders and the person's device", async () => {
  const [alice] = people;
  const before = server.log().length;
  const key = await alice.passport("key", "create", "--label", "Me");
  // What is being counted is what the server itself logs of each request.
  const requests = () => server.log().slice(before).match(/(GET|POST) \/(ceremony|keys)\S* \d+/g) ?? [];
  await vi.waitFor(() => expect(requests().at(-1)).toMatch(/\/keys 201/));
  const path = `POST /ceremony/${key.operation_id}/round`;
  expect(requests().slice(0, -1)).toEqual(["POST /ceremony/start 201", ...[1, 2, 3, 4, 5].map((round) => `${path}/${round} 200`)]);

  const view = await alice.view(key.operation_id);
  expect([view.status, view.group, view.public.pubkey]).toEqual(["verified", key.group, key.pubkey]);
  expect(view.public.holders.map((holder) => holder.role)).toEqual(["bunker", "cosigner", "recovery"]);
  expect(Math.max(...view.packages.map(({ round }) => round))).toBe(ROUNDS);
  expectSigned(view.public, view.proof);
  expect((await alice.passport("kit", "check", key.recovery_kit)).npub).toBe(key.npub);
});

test("whoever is killed comes back, and the key is made", async () => {
  const members = people.slice(0, 3);
  const [first, , third] = members;
  const { id, run } = await begin(2, members);
  await run.kill9();
  const starting = first.begin("ceremony", "join");
  const second = members[1].passport("ceremony", "join", id, "--yes");
  for (const round of [2, 4]) {
    const killed = third.begin("ceremony", "join", id, "--yes");
    await killed.told(new RegExp(`Round ${round} `));
    await killed.kill9();
  }
  const results = await Promise.all([starting.result(), second, third.passport("ceremony", "join", id)]);
  const { packages } = await expectProven(id, 3, 4, members, results);
  expect(Math.max(...packages.map(({ round }) => round))).toBeGreaterThanOrEqual(ROUNDS);
});

test("a stranger can neither see, join, speak in nor end a ceremony", async () => {
  const members = people.slice(0, 2);
  const { id, run } = await begin(2, members);
  const { participants } = await members[1].view(id);
  const join = { keys: [{ number: 3, receiving_key: "01".repeat(32) }] };
  const say = { ceremony: id, party: 3, round: 1, body: "{}", signature: "00".repeat(64) };
  for (const [method, path, participant_data] of [
    ["GET", ""],
    ["POST", "/round/0", join],
    ["POST", "/round/1", say],
    ["DELETE", ""],
  ]) {
    const json = participant_data && { participant_data };
    expectProblem(await ask(server, method, `/ceremony/${id}${path}`, { token: stranger.token, json }), 404, "not_found");
  }
  expect(await stranger.begin("ceremony", "join", id, "--yes").refusal()).toBe("not_found");
  expect((await stranger.passport("ceremony", "list")).ceremonies).toEqual([]);
  expect((await members[1].view(id)).participants).toEqual(participants);

  // One who is invited, but does not agree, has not joined.
  expect(await members[1].begin("ceremony", "join", id).refusal()).toBe("not_joined");
  expect((await members[1].view(id)).participants.map(({ joined }) => joined)).toEqual([true, true, false]);

  // Any participant can end it, for good.
  expect(await members[1].passport("ceremony", "cancel", id)).toEqual({ operation_id: id, status: "cancelled" });
  expect(await run.refusal()).toBe("ceremony_failed");
  expect(members[0].files("ceremonies")).toEqual([]);
  expect(await members[1].begin("ceremony", "join", id, "--yes").refusal()).toBe("ceremony_over");
  const { token } = members[1];
  const late = await ask(server, "POST", `/ceremony/${id}/round/0`, { token, json: { participant_data: join } });
  expectProblem(late, 409, "ceremony_over");
  expect((await members[0].view(id)).status).toBe("cancelled");
});
