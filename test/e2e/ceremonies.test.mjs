/** Keys that several devices make together: each participant is the command-line client of an account of its own. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { schnorr } from "@noble/curves/secp256k1.js";
import { nip19 } from "nostr-tools";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cliProgram } from "../../scripts/setup/cli.mjs";
import { ask, expectProblem } from "../support/api.mjs";
import { OUTPUT } from "../support/folders.mjs";
import { startServer } from "../support/server.mjs";

/** Rounds of a ceremony in which nobody is interrupted: deal, share, confirm, prove, accept. */
const ROUNDS = 5;

/** Most sets of holders that prove a key. */
const MAX_SETS = 100;

const ANSWERS = {
  PASSPORT_PASSWORD: "a password for tests only",
  PASSPORT_KIT_PASSPHRASE: "a passphrase for tests only",
};

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

/** One person's device: a folder of its own. */
class Person {
  constructor() {
    mkdirSync(OUTPUT, { recursive: true });
    this.home = mkdtempSync(join(OUTPUT, "member-"));
  }

  /** Starts the client. */
  begin(...args) {
    const env = { ...process.env, ...ANSWERS, PASSPORT_HOME: this.home };
    const child = spawn(cliProgram("debug"), [...args, "--json"], { cwd: this.home, env, stdio: ["ignore", "pipe", "pipe"] });
    return new Run(child, args);
  }

  /** What the client prints as JSON. */
  passport(...args) {
    return this.begin(...args).result();
  }

  /** The access token, as the client keeps it. */
  get token() {
    return JSON.parse(readFileSync(join(this.home, "session.json"), "utf8")).tokens.access_token;
  }

  /** What the server shows this person of a ceremony. */
  async view(id) {
    const { status, body, text } = await ask(server, "GET", `/ceremony/${id}`, { token: this.token });
    expect(status, text).toBe(200);
    return body;
  }

  /** The names of the files in a folder of this device. */
  files(folder) {
    return readdirSync(this.home).includes(folder) ? readdirSync(join(this.home, folder)) : [];
  }

  static async registered(name) {
    const person = new Person();
    const { owner_pubkey } = await person.passport("register", name, "--server", server.url);
    return Object.assign(person, { owner: owner_pubkey });
  }
}

/** A client that runs. */
class Run {
  #out = "";
  #err = "";

  constructor(child, args) {
    this.child = child;
    this.args = args;
    child.stdout.setEncoding("utf8").on("data", (text) => (this.#out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#err += text));
    this.ended = new Promise((resolve, reject) => child.on("error", reject).on("close", (code) => resolve(code)));
  }

  /** What it prints as JSON in the end. */
  async result() {
    const code = await this.ended;
    if (code !== 0) throw new Error(`passport ${this.args.join(" ")}: ${this.#err}`);
    return JSON.parse(this.#out);
  }

  /** The code with which it fails. */
  async refusal() {
    expect([await this.ended, this.#out], this.#err).toEqual([1, ""]);
    return /\[([a-z_]+)(?:; [^\]]*)?\]\s*$/.exec(this.#err)?.[1];
  }

  /** Waits until it tells something to its person. */
  async told(pattern) {
    await Promise.race([
      new Promise((resolve) => {
        const look = () => pattern.test(this.#err) && resolve();
        this.child.stderr.on("data", look);
        look();
      }),
      this.ended.then((code) => expect(this.#err, `ended with ${code}`).toMatch(pattern)),
    ]);
    return pattern.exec(this.#err);
  }

  /** Ends it at once, as a power cut would. */
  async kill9() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

/** Has the first of them start a ceremony with the others. */
async function begin(threshold, [first, ...others]) {
  const run = first.begin("ceremony", "start", "--threshold", String(threshold), ...others.flatMap((it) => ["--with", it.owner]));
  const [, id] = await run.told(/passport ceremony join ([0-9a-f]{32})/);
  return { id, run };
}

/** Everything that can be seen of a key that was made. */
async function expectProven(id, threshold, members, results) {
  const view = await members[0].view(id);
  const { public: group, proof } = view;
  expect([view.status, group.threshold, group.holders.length]).toEqual(["verified", threshold, members.length]);
  const npub = nip19.npubEncode(group.pubkey);
  results.forEach((result, at) => {
    expect(result).toMatchObject({ operation_id: id, group: view.group, pubkey: group.pubkey, npub, index: at + 1 });
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

test.each([
  [2, 2],
  [2, 3],
  [3, 5],
  [7, 10],
])("%i of %i people have a key that nobody ever had whole", async (threshold, size) => {
  const members = people.slice(0, size);
  const { id, run } = await begin(threshold, members);
  const others = members.slice(1).map((member) => member.passport("ceremony", "join", id, "--yes"));
  const results = await Promise.all([run.result(), ...others]);
  const view = await expectProven(id, threshold, members, results);
  // Everybody speaks once in each round.
  const spoken = view.packages.map(({ round, party }) => `${round}/${party}`);
  expect(new Set(spoken).size).toBe(spoken.length);
  expect([spoken.length, Math.max(...view.packages.map(({ round }) => round))]).toEqual([ROUNDS * size, ROUNDS]);
  const { owner_pubkey, ceremonies, shares } = await members[0].passport("ceremony", "list");
  expect(owner_pubkey).toBe(members[0].owner);
  expect(ceremonies).toContainEqual(expect.objectContaining({ operation_id: id, status: "verified", threshold }));
  expect(shares).toContainEqual(results[0]);
  // Once more is no more than once.
  expect(await members[1].passport("ceremony", "join", id)).toEqual(results[1]);
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
  const { packages } = await expectProven(id, 2, members, results);
  expect(Math.max(...packages.map(({ round }) => round))).toBeGreaterThanOrEqual(ROUNDS);
});

test("a stranger can neither see, join, speak in nor end a ceremony", async () => {
  const members = people.slice(0, 2);
  const { id, run } = await begin(2, members);
  const { participants } = await members[1].view(id);
  const join = { keys: [{ number: 2, receiving_key: "01".repeat(32) }] };
  const say = { ceremony: id, party: 2, round: 1, body: "{}", signature: "00".repeat(64) };
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
  expect((await members[1].view(id)).participants.map(({ joined }) => joined)).toEqual([true, false]);

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
