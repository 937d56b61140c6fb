/** Keys and connections by their owner's signed word: whose counts, which is refused, and that a refusal leaves nothing. */
import { generateSecretKey, getPublicKey, verifyEvent } from "nostr-tools";
import { nsecEncode } from "nostr-tools/nip19";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { comparable, expectProblem, workerLog } from "../support/api.mjs";
import { nowS } from "../support/clock.mjs";
import { Device, freshId } from "../support/device.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";

let server, owner, stranger, key, otherKey;
beforeAll(async () => {
  server = await startServer();
  [owner, stranger] = [await Device.signedIn(server), await Device.signedIn(server)];
  [key, otherKey] = [await owner.makeKey(), await owner.makeKey()];
});
afterAll(() => server?.stop());

/** The next sequence number of a group. */
const next = async (group) => (await owner.ask("GET", `/keys/${group}`)).body.sequence + 1;
const connections = async (group) => (await owner.ask("GET", `/keys/${group}/connections`)).body.connections;

test("a device that is not our client can split a key, grant a connection and have events signed", async () => {
  const { body, secret } = owner.grant(otherKey.group, 2);
  const granted = await owner.ask("POST", `/keys/${otherKey.group}/connections`, { json: body });
  expect(granted.status).toBe(201);
  expect(granted.body.bunker_url).not.toContain("secret");
  const app = await RawApp.open(`${granted.body.bunker_url}&secret=${secret}`);
  await app.connect();
  const template = { kind: 1, created_at: nowS(), tags: [], content: "from a device that is not ours" };
  const { reply } = await app.ask("sign_event", [JSON.stringify(template)]);
  const event = JSON.parse(reply.result);
  expect(event).toMatchObject({ ...template, pubkey: otherKey.pubkey });
  expect(verifyEvent(event)).toBe(true);
  await app.close();
});

describe("a key of somebody else", () => {
  test("looks like one that does not exist, on every route", async () => {
    for (const [method, rest] of [["GET", ""], ["GET", "/activity"], ["GET", "/connections"], ["POST", "/connections"], ["DELETE", "/connections/"]]) {
      const answers = [];
      for (const group of [key.group, freshId(), "nobody", key.group.toUpperCase()]) {
        const connection = freshId();
        const json =
          method === "POST" ? stranger.grant(group, 2).body : method === "DELETE" ? stranger.revocation(group, 2, connection) : undefined;
        answers.push(await stranger.ask(method, `/keys/${group}${rest}${method === "DELETE" ? connection : ""}`, { json }));
      }
      expectProblem(answers[0], 404, "not_found");
      for (const answer of answers.slice(1)) expect(comparable(answer)).toEqual(comparable(answers[0]));
    }
    expect((await stranger.ask("GET", "/keys")).body).toEqual({ keys: [] });
  });

  test("can't be taken over by making it again", async () => {
    const json = stranger.keyBody({ group: key.group });
    expectProblem(await stranger.ask("POST", "/keys", { json }), 409, "group_exists");
    expect((await stranger.ask("GET", "/keys")).body).toEqual({ keys: [] });
    expect((await owner.ask("GET", `/keys/${key.group}`)).body.pubkey).toBe(key.pubkey);
  });
});

describe("a statement", () => {
  const grantTo = (group, grant) => owner.ask("POST", `/keys/${group}/connections`, { json: grant.body });
  let before, seq;
  beforeEach(async () => {
    before = await connections(key.group);
    seq = await next(key.group);
  });
  /** The refusal changed nothing. */
  async function expectUntouched() {
    expect([await connections(key.group), await next(key.group)]).toEqual([before, seq]);
  }

  test("signed by another key than the owner's is refused, whoever delivers it", async () => {
    const theirs = owner.grant(key.group, seq, {}, stranger.ownerSecret);
    expectProblem(await grantTo(key.group, theirs), 403, "statement_not_by_owner");
    const json = owner.keyBody({ signer: stranger.ownerSecret });
    expectProblem(await owner.ask("POST", "/keys", { json }), 403, "statement_not_by_owner");
    const revocation = owner.revocation(key.group, seq, freshId(), stranger.ownerSecret);
    const answer = await owner.ask("DELETE", `/keys/${key.group}/connections/${freshId()}`, { json: revocation });
    expectProblem(answer, 403, "statement_not_by_owner");
    await expectUntouched();
  });

  test.each([
    ["that only says to be the owner's", (it) => ({ ...owner.sign(it, stranger.ownerSecret), pubkey: owner.owner })],
    ["that was changed after signing", (it) => ((event) => ({ ...event, content: event.content.replace("An app", "An ape") }))(owner.sign(it))],
    ["with another's signature", (it) => ({ ...owner.sign(it), sig: owner.sign({ ...it, label: "x" }).sig })],
    ["of an unknown version", (it) => owner.sign({ ...it, v: 2 })],
    ["of an unknown verb", (it) => owner.sign({ ...it, verb: "grant_everything" })],
    ["with a field too many", (it) => owner.sign({ ...it, admin: true })],
    ["with a field too few", ({ policy: _, ...it }) => owner.sign(it)],
    ["with a policy that can't match", (it) => owner.sign({ ...it, policy: { rules: [{ effect: "deny", methods: [], kinds: "all", peers: "all", uses: null }] } })],
    ["with too long a label", (it) => owner.sign({ ...it, label: "x".repeat(129) })],
  ])("%s is refused", async (_, change) => {
    const grant = owner.grant(key.group, seq);
    const statement = change(JSON.parse(grant.body.statement.content));
    expectProblem(await grantTo(key.group, { body: { ...grant.body, statement } }), 422, "statement_invalid");
    await expectUntouched();
  });

  test("for another group, connection or verb than its address is refused", async () => {
    expectProblem(await grantTo(key.group, owner.grant(otherKey.group, seq)), 422, "statement_misplaced");
    const [one, two] = [freshId(), freshId()];
    const at = `/keys/${key.group}/connections/${one}`;
    expectProblem(await owner.ask("DELETE", at, { json: owner.revocation(key.group, seq, two) }), 422, "statement_misplaced");
    expectProblem(await owner.ask("DELETE", at, { json: owner.revocation(otherKey.group, seq, one) }), 422, "statement_misplaced");
    const { statement } = owner.grant(key.group, seq).body;
    expectProblem(await owner.ask("DELETE", at, { json: { statement } }), 422, "statement_misplaced");
    expectProblem(await owner.ask("DELETE", at, { json: owner.revocation(key.group, seq, one) }), 404, "not_found");
    await expectUntouched();
  });

  test("whose transport key is another's, or sealed for another statement or purpose, is refused", async () => {
    const [good, other] = [owner.grant(key.group, seq), owner.grant(key.group, seq)];
    const swapped = { body: { ...good.body, transport: other.body.transport } };
    expectProblem(await grantTo(key.group, swapped), 422, "package_invalid");
    const foreign = { body: { ...good.body, transport: owner.sealTransport(good.body.statement, generateSecretKey()) } };
    expectProblem(await grantTo(key.group, foreign), 422, "transport_invalid");
    const share = owner.packages(good.body.statement, [Buffer.alloc(32, 1), Buffer.alloc(32, 2)])[1];
    expectProblem(await grantTo(key.group, { body: { ...good.body, transport: share } }), 422, "package_invalid");
    expectProblem(await grantTo(key.group, { body: { ...good.body, transport: "not base64!" } }), 422, "package_invalid");
    await expectUntouched();
  });

  test("that is older is refused, also after what it granted was revoked; the newest may be sent again", async () => {
    const [first, second] = [owner.grant(key.group, seq), owner.grant(key.group, seq + 1)];
    expect((await grantTo(key.group, first)).status).toBe(201);
    const granted = await grantTo(key.group, second);
    expect(granted.status).toBe(201);
    const again = await grantTo(key.group, second);
    expect([again.status, again.text]).toEqual([201, granted.text]);

    expectProblem(await grantTo(key.group, first), 409, "statement_not_newer");
    for (const old of [0, 1, seq, seq + 1]) {
      expectProblem(await grantTo(key.group, owner.grant(key.group, old)), 409, "statement_not_newer");
    }

    const at = `/keys/${key.group}/connections/${first.connection}`;
    const revocation = owner.revocation(key.group, seq + 2, first.connection);
    const revoked = await owner.ask("DELETE", at, { json: revocation });
    expect([revoked.status, revoked.body]).toEqual([200, { connection: first.connection, status: "revoked" }]);
    expectProblem(await grantTo(key.group, first), 409, "statement_not_newer");
    const renewed = owner.grant(key.group, seq + 3, { connection: first.connection });
    expectProblem(await grantTo(key.group, renewed), 409, "connection_exists");

    const standing = (await connections(key.group)).slice(before.length).map(({ connection, status }) => [connection, status]);
    expect(standing).toEqual(expect.arrayContaining([[first.connection, "revoked"], [second.connection, "awaiting_client"]]));
    expect(standing).toHaveLength(2);
  });
});

describe("a key is not made, and nothing of it is left,", () => {
  let device, group;
  beforeAll(async () => {
    device = await Device.signedIn(server);
  });
  beforeEach(() => {
    group = freshId();
  });

  const stranger32 = () => Buffer.from(generateSecretKey());
  const flip = (base64, at) => {
    const bytes = Buffer.from(base64, "base64");
    bytes[at] ^= 1;
    return bytes.toString("base64");
  };
  const repacked = (change) => () => {
    const body = device.keyBody({ group });
    return { ...body, packages: change(body.packages, body.statement) };
  };
  const restated = (facts) => () => device.keyBody({ group, facts });
  const holder = (at, over) => (it) => ({ ...it, holders: it.holders.map((holder, index) => (index === at ? { ...holder, ...over(it) } : holder)) });

  test.each([
    ["when the bunker's share is another's", () => device.keyBody({ group, sealed: ([, two]) => [stranger32(), two] }), "share_invalid"],
    ["when the cosigner's share is another's", () => device.keyBody({ group, sealed: ([one]) => [one, stranger32()] }), "share_invalid"],
    ["when each holder is sent the other's share", () => device.keyBody({ group, sealed: ([one, two]) => [two, one] }), "share_invalid"],
    ["when a share is zero", () => device.keyBody({ group, sealed: ([one]) => [one, Buffer.alloc(32)] }), "share_invalid"],
    ["when a share has 31 bytes", () => device.keyBody({ group, sealed: ([one, two]) => [one.subarray(1), two] }), "package_invalid"],
    ["when the packages are swapped", repacked(({ 1: one, 2: two }) => ({ 1: two, 2: one })), "package_invalid"],
    ["when both packages are the bunker's", repacked(({ 1: one }) => ({ 1: one, 2: one })), "package_invalid"],
    ["when each package is sealed to the other holder", repacked((_, it) => device.packages(it, [stranger32(), stranger32()], device.receivingKeys.toReversed())), "package_invalid"],
    ["when the bunker's package was altered", repacked(({ 1: one, 2: two }) => ({ 1: flip(one, 40), 2: two })), "package_invalid"],
    ["when the cosigner's package was altered", repacked(({ 1: one, 2: two }) => ({ 1: one, 2: flip(two, 79) })), "package_invalid"],
    ["when the encapsulated key was altered", repacked(({ 1: one, 2: two }) => ({ 1: one, 2: flip(two, 3) })), "package_invalid"],
    ["when the packages belong to another statement", repacked(() => device.keyBody({ group }).packages), "package_invalid"],
    ["when a package is too long", repacked(({ 1: one }) => ({ 1: one, 2: "A".repeat(257) })), "package_invalid"],
    ["when it is under a stranger's public key", restated((it) => ({ ...it, pubkey: getPublicKey(generateSecretKey()) })), "statement_invalid"],
    ["when a verifying share is a stranger's", restated(holder(2, () => ({ verifying_share: `02${getPublicKey(generateSecretKey())}` }))), "statement_invalid"],
    ["when two verifying shares are the same", restated(holder(2, ({ holders }) => ({ verifying_share: holders[1].verifying_share }))), "statement_invalid"],
    ["when two holders have one index", restated(holder(2, () => ({ index: 2 }))), "statement_invalid"],
    ["when one holder is enough", restated((it) => ({ ...it, threshold: 1 })), "statement_invalid"],
    ["when it takes all three", restated((it) => ({ ...it, threshold: 3 })), "holders_unsupported"],
    ["when the roles are others", restated(holder(2, () => ({ role: "device" }))), "holders_unsupported"],
    ["when bunker and cosigner change places", restated((it) => ({ ...it, holders: it.holders.map((holder, at) => ({ ...holder, role: ["cosigner", "bunker", "recovery"][at] })) })), "holders_unsupported"],
    ["when it begins in a later epoch", restated((it) => ({ ...it, epoch: 1 })), "holders_unsupported"],
    ["when the statement names another group inside", restated((it) => ({ ...it, group: freshId() })), "statement_invalid"],
    ["when the statement is a grant", () => ({ ...device.keyBody({ group }), statement: device.grant(group, 1).body.statement }), "statement_misplaced"],
    ["when it has no label", () => ({ ...device.keyBody({ group }), label: " " }), "label_invalid"],
    ["when its label has a control character", () => ({ ...device.keyBody({ group }), label: "a\u001b[2J" }), "label_invalid"],
    ["when a third package is sent", repacked((packages) => ({ ...packages, 3: packages[1] })), "body_invalid"],
  ])("%s", async (_, make, code) => {
    const answer = await device.ask("POST", "/keys", { json: make() });
    expectProblem(answer, 422, code);
    await expectNothing();
  });

  test("when another owner signed for it", async () => {
    const json = device.keyBody({ group, signer: stranger.ownerSecret });
    expectProblem(await device.ask("POST", "/keys", { json }), 403, "statement_not_by_owner");
    await expectNothing();
  });

  test("and the same request with the right packages makes it", async () => {
    const body = device.keyBody({ group });
    const wrong = { ...body, packages: { ...body.packages, 2: flip(body.packages[2], 50) } };
    expectProblem(await device.ask("POST", "/keys", { json: wrong }), 422, "package_invalid");
    await expectNothing();
    const made = await device.ask("POST", "/keys", { json: body });
    expect(made.status).toBe(201);
    const again = await device.ask("POST", "/keys", { json: body });
    expect([again.status, again.text]).toEqual([201, made.text]);
    expect((await device.ask("GET", "/keys")).body.keys.map((it) => it.group)).toEqual([group]);
    // The device that the other tests look at has none.
    device = await Device.signedIn(server);
  });

  async function expectNothing() {
    expect((await device.ask("GET", "/keys")).body).toEqual({ keys: [] });
    for (const address of [`/keys/${group}`, `/keys/${group}/connections`, `/keys/${group}/activity`]) {
      expectProblem(await device.ask("GET", address), 404, "not_found");
    }
  }
});

describe("a whole key is refused", () => {
  const secretKey = generateSecretKey();
  const nsec = nsecEncode(secretKey);
  const hex = Buffer.from(secretKey).toString("hex");
  const setAt = (body, fields, value) => {
    const copy = structuredClone(body);
    const last = fields.at(-1);
    fields.slice(0, -1).reduce((inner, field) => inner[field], copy)[last] = value;
    return copy;
  };
  /** Refused as a mistake of the caller, without being repeated or kept. */
  async function expectRefused(answer) {
    expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expectProblem(answer, answer.status, answer.body.code);
    for (const form of [nsec, hex]) expect(answer.text).not.toContain(form);
  }

  test.each([
    [["username"]],
    [["password"]],
    [["owner_pubkey"]],
    [["owner_blob"]],
    [["kdf"]],
    [["kdf", "salt"]],
    [["nsec"]],
    [["secret_key"]],
    [["kdf", "nsec"]],
  ])("in %j of POST /auth/register", async (fields) => {
    const device = new Device(server);
    await expectRefused(await device.register(setAt({ kdf: device.kdf }, fields, nsec)));
    expectProblem(await device.signIn(), 401, "credentials_invalid");
  });

  test.each([
    [["label"]],
    [["packages"]],
    [["packages", "1"]],
    [["packages", "2"]],
    [["statement"]],
    [["statement", "id"]],
    [["statement", "pubkey"]],
    [["statement", "content"]],
    [["statement", "sig"]],
    [["statement", "tags"]],
    [["nsec"]],
    [["secret_key"]],
    [["packages", "nsec"]],
    [["statement", "nsec"]],
  ])("in %j of POST /keys", async (fields) => {
    const before = (await stranger.ask("GET", "/keys")).body;
    await expectRefused(await stranger.ask("POST", "/keys", { json: setAt(stranger.keyBody(), fields, nsec) }));
    expect((await stranger.ask("GET", "/keys")).body).toEqual(before);
  });

  test("as a package that is not sealed", async () => {
    for (const bare of [hex, Buffer.from(secretKey).toString("base64")]) {
      const body = setAt(stranger.keyBody(), ["packages", "1"], bare);
      const answer = await stranger.ask("POST", "/keys", { json: body });
      expectProblem(answer, 422, "package_invalid");
      await expectRefused(answer);
    }
  });

  test("and is not in the Worker's log", async () => {
    await expect.poll(() => workerLog(server)).toContain('"route":"/keys"');
    for (const form of [nsec, hex]) expect(workerLog(server)).not.toContain(form);
  });
});
