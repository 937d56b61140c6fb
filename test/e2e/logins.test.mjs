/** Attacks on logins, over the line: who guesses, replays, confuses, forges or counts, and what it gets. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { generateSecretKey, getPublicKey } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, comparable, expectProblem } from "../support/api.mjs";
import { Authenticator } from "../support/authenticator.mjs";
import { nowS } from "../support/clock.mjs";
import { Device, freshId } from "../support/device.mjs";
import { accountProof } from "../support/proof.mjs";
import { probabilityGreater, quantile } from "../support/rank.mjs";
import { startServer } from "../support/server.mjs";
import { pause } from "../../scripts/setup/dev-server.mjs";
import { deploymentSecrets } from "../support/vault.mjs";

const fresh32 = () => randomBytes(32).toString("hex");
/** A kind of address that only documentation has (RFC 5737), so that nobody shares a test's bucket. */
const from = (host) => ({ "cf-connecting-ip": `203.0.113.${host}` });

let server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

const post = (path, json, options = {}) => ask(server, "POST", path, { json, ...options });
const access = (token) => ask(server, "GET", "/account", { token });

async function expectAccess(token) {
  expect((await access(token)).status).toBe(200);
}

async function expectNoAccess(token) {
  expectProblem(await access(token), 401, "access_token_invalid");
}

/** A device with an account and one session of it. */
async function person() {
  const device = new Device(server);
  expect((await device.register({ owner_blob: "sealed at first" })).status).toBe(201);
  const { body } = await device.signIn({ device: "Anna's phone" });
  return Object.assign(device, { token: body.access_token, signedIn: body });
}

/** Changes the account database, as only the clock or the operator could. */
async function withDatabase(change) {
  await server.stop();
  const database = new DatabaseSync(server.databaseFile());
  try {
    change(database);
  } finally {
    database.close();
  }
  await server.start();
}

describe("attack 22: a stranger does not learn who has an account", () => {
  /** Of each kind. `TRIES=200` takes five minutes and sees smaller differences. */
  const TRIES = Number(process.env.TRIES ?? 40);
  /** How far from one half the ranks may lie: four standard deviations of samples that do not differ, and not below 0.15. */
  const MARGIN = Math.max(0.15, 4 * Math.sqrt((2 * TRIES + 1) / (12 * TRIES * TRIES)));

  /** How long each of two kinds of tries took, in milliseconds, in random order. */
  async function measured(known, unknown) {
    const order = [...Array(TRIES).fill(known), ...Array(TRIES).fill(unknown)];
    for (let at = order.length - 1; at > 0; at -= 1) {
      const other = randomBytes(4).readUInt32BE() % (at + 1);
      [order[at], order[other]] = [order[other], order[at]];
    }
    const times = new Map([[known, []], [unknown, []]]);
    for (const username of order) {
      const began = performance.now();
      const answer = await post("/auth/token", { username, password: fresh32() });
      times.get(username).push(performance.now() - began);
      expect(answer.body.code).toBe("credentials_invalid");
    }
    return [times.get(known), times.get(unknown)];
  }

  test(
    `by time: ${TRIES} wrong passwords and ${TRIES} unknown names take as long`,
    async () => {
      const device = await person();
      const unknown = new Device(server).username;
      // Both names' counters are awake before anything is measured.
      for (const username of [device.username, unknown]) await post("/auth/token", { username, password: fresh32() });
      let auc;
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        const [wrong, nobody] = await measured(device.username, unknown);
        auc = probabilityGreater(wrong, nobody);
        const figures = (sample) => [0.1, 0.5, 0.9].map((part) => `${quantile(sample, part).toFixed(1)} ms`).join(" / ");
        console.log(`wrong password: ${figures(wrong)} · unknown name: ${figures(nobody)} (10 / 50 / 90 %) · AUC ${auc.toFixed(3)}`);
        if (Math.abs(auc - 0.5) < MARGIN) break;
      }
      // Time is what this promise is about. Ranks and not means: a busy machine delays both kinds alike.
      expect(Math.abs(auc - 0.5)).toBeLessThan(MARGIN);
    },
    900_000,
  );

  test("by recovery: an owner key that nobody has gets a challenge of the same form, and the same refusal", async () => {
    const device = await person();
    const challenge = async (owner_pubkey) => (await post("/auth/recover/challenge", { owner_pubkey })).body;
    const stranger = getPublicKey(generateSecretKey());
    const [known, unknown] = [await challenge(device.owner), await challenge(stranger)];
    expect([unknown.expires_in, unknown.challenge.length]).toEqual([known.expires_in, known.challenge.length]);
    const nobody = new Device(server);
    const refused = await recover(nobody, { challenge: (await challenge(nobody.owner)).challenge });
    expectProblem(refused, 401, "recovery_refused");
    expect(comparable(await recover(device, { challenge: "prc_guess" }))).toEqual(comparable(refused));
  });
});

describe("attacks 20 and 21: counting", () => {
  let limited, owner;
  beforeAll(async () => {
    limited = await startServer({ vars: { LOGIN_LIMITS: "standard" } });
    owner = new Device(limited);
    expect((await owner.register()).status).toBe(201);
  });
  afterAll(() => limited?.stop());

  const tryIn = (host, username, password, more = {}) =>
    ask(limited, "POST", "/auth/token", { json: { username, password, ...more }, headers: from(host) });
  const codes = (answers) => answers.map(({ body }) => body.code);

  /** Guesses until the strangers' bucket is empty and stays so for a while. @returns {Promise<number>} the wait it tells, in seconds */
  async function empty({ username }) {
    for (let host = 1; ; host = (host % 60) + 1) {
      const answer = await tryIn(host, username, fresh32());
      const wait = answer.status === 429 ? Number(answer.headers.get("retry-after")) : 0;
      if (wait > 30) return wait; // a refill comes each minute: on a busy machine it may come in between
      if (wait > 0) await pause(wait * 1000);
    }
  }

  test("strangers who guess are stopped, and never the owner on a device that signed in before", async () => {
    const { device_token } = (await tryIn(70, owner.username, owner.password)).body;
    const wait = await empty(owner);
    expect(wait).toBeLessThanOrEqual(60);

    const refused = await tryIn(71, owner.username, owner.password);
    expectProblem(refused, 429, "too_many_attempts");
    // Being refused costs nothing: the wait only gets shorter.
    const later = Number((await tryIn(72, owner.username, fresh32())).headers.get("retry-after"));
    expect(later).toBeLessThanOrEqual(wait);
    // A token that is made up, or another account's, is a stranger's.
    const other = new Device(limited);
    await other.register();
    const theirs = (await tryIn(73, other.username, other.password)).body.device_token;
    await empty(owner);
    for (const device_token of [theirs, `pdt_${"A".repeat(64)}`, "", "x".repeat(10_000)]) {
      expectProblem(await tryIn(74, owner.username, owner.password, { device_token }), 429, "too_many_attempts");
    }
    const known = await tryIn(75, owner.username, owner.password, { device_token });
    expect([known.status, known.body.device_token]).toEqual([200, device_token]);
  });

  test("guesses that come together are counted like guesses one by one, whether or not anybody has the name", async () => {
    const [somebody, nobody] = [new Device(limited), new Device(limited)];
    await somebody.register();
    const together = async ({ username }, host) => {
      const began = performance.now();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => tryIn(host + n, username, fresh32())));
      const refills = Math.ceil((performance.now() - began) / 60_000);
      const checked = answers.filter(({ body }) => body.code === "credentials_invalid").length;
      expect(checked).toBeGreaterThanOrEqual(10);
      expect(checked).toBeLessThanOrEqual(10 + refills);
      const refused = answers.filter(({ status }) => status === 429);
      expect(checked + refused.length).toBe(20);
      return refused[0];
    };
    const [wrong, unknown] = [await together(somebody, 80), await together(nobody, 110)];
    const told = (answer) => ({ ...comparable(answer), rest: { ...answer.body, detail: 0, request_id: 0 } });
    expect(told(unknown)).toEqual(told(wrong));
  });

  /** Asks, 20 at a time, until one is refused: a bucket fills up meanwhile, so on a busy machine it takes more than its burst. */
  async function passedUntilStopped(asked, burst) {
    for (let passed = 0; passed < burst * 10; ) {
      const answers = await Promise.all(Array.from({ length: 20 }, asked));
      passed += answers.filter(({ status }) => status !== 429).length;
      const stopped = answers.find(({ status }) => status === 429);
      if (stopped) {
        expectProblem(stopped, 429, "too_many_attempts");
        expect(Number(stopped.headers.get("retry-after"))).toBeGreaterThan(0);
        return passed;
      }
    }
    throw new Error("nobody was stopped");
  }

  test("one address is stopped at the door of sign-in, and no other is", async () => {
    const credential = new Authenticator(limited.url).get({ challenge: "none", rpId: "127.0.0.1" });
    const knock = (host) =>
      ask(limited, "POST", "/auth/passkeys/token", { json: { challenge: "none", credential }, headers: from(host) });
    expect(await passedUntilStopped(() => knock(140), 60)).toBeGreaterThanOrEqual(60);
    expectProblem(await knock(141), 401, "passkey_refused");
  });

  test.each([
    ["registrations", "/auth/register", 30, { username: "A", password: fresh32(), owner_pubkey: "" }],
    ["recoveries", "/auth/recover/challenge", 20, { owner_pubkey: "" }],
    ["passkey challenges", "/auth/passkeys/challenge", 60, {}],
    ["questions for parameters", "/auth/params", 120, { username: "A" }],
  ])("%s of one address have an end", async (_, path, burst, body) => {
    const proof = accountProof(generateSecretKey(), { verb: "register", origin: limited.url, body });
    const json = path === "/auth/register" ? { ...body, proof } : body;
    const asked = () => ask(limited, "POST", path, { json, headers: from(150) });
    expect(await passedUntilStopped(asked, burst)).toBeGreaterThanOrEqual(burst);
  });
});

describe("attack 17: sessions", () => {
  const list = async (token) => (await ask(server, "GET", "/auth/sessions", { token })).body.sessions;

  test("are listed with what the device called itself, and each is ended by its owner", async () => {
    const device = await person();
    const laptop = (await device.signIn({ device: "Laptop" })).body;
    const sessions = await list(device.token);
    expect(sessions.map(({ device, current }) => [device, current])).toEqual([
      ["Laptop", false],
      ["Anna's phone", true],
    ]);
    expect(Object.keys(sessions[0]).sort()).toEqual(["created_at", "current", "device", "last_used_at", "session"]);
    const ended = await ask(server, "DELETE", `/auth/sessions/${laptop.session}`, { token: device.token });
    expect([ended.status, ended.text]).toEqual([204, ""]);
    await expectNoAccess(laptop.access_token);
    expectProblem(await ask(server, "POST", "/auth/refresh", { token: laptop.refresh_token }), 401, "refresh_token_invalid");
    expect((await list(device.token)).length).toBe(1);
  });

  test("of others can't be seen or ended", async () => {
    const [anna, eve] = [await person(), await person()];
    const answer = await ask(server, "DELETE", `/auth/sessions/${anna.signedIn.session}`, { token: eve.token });
    expectProblem(answer, 404, "not_found");
    await expectAccess(anna.token);
    expect((await list(eve.token)).map(({ session }) => session)).not.toContain(anna.signedIn.session);
    for (const bad of ["0", "0".repeat(32), "..%2f", anna.signedIn.session.toUpperCase()]) {
      expectProblem(await ask(server, "DELETE", `/auth/sessions/${bad}`, { token: eve.token }), 404, "not_found");
    }
  });

  test("all end at once, the one that asks too", async () => {
    const device = await person();
    const other = (await device.signIn()).body;
    expect((await ask(server, "DELETE", "/auth/sessions", { token: device.token })).status).toBe(204);
    for (const token of [device.token, other.access_token]) await expectNoAccess(token);
    for (const token of [device.signedIn.refresh_token, other.refresh_token]) {
      expectProblem(await ask(server, "POST", "/auth/refresh", { token }), 401, "refresh_token_invalid");
    }
  });

  test("are never taken over from a caller: no id, token or cookie that is brought along becomes the new one", async () => {
    const [anna, eve] = [await person(), await person()];
    const planted = { authorization: `Bearer ${eve.token}`, cookie: `session=${eve.signedIn.session}` };
    const json = { username: anna.username, password: anna.password };
    const { body } = await ask(server, "POST", "/auth/token", { json, headers: planted });
    expect([anna.signedIn.session, eve.signedIn.session]).not.toContain(body.session);
    expectProblem(await post("/auth/token", { ...json, session: eve.signedIn.session }), 422, "body_invalid");
    expect((await access(eve.token)).body.username).toBe(eve.username);
    expect((await access(body.access_token)).body.username).toBe(anna.username);
  });

  test("have names that fit a list", async () => {
    const device = await person();
    for (const label of ["", " ", "x".repeat(65), "a\nb", "\u0000"]) {
      expectProblem(await device.signIn({ device: label }), 422, "label_invalid");
    }
    expect((await device.signIn({ device: "ü".repeat(64) })).status).toBe(200);
  });
});

describe("what is sensitive", () => {
  const LATE_MS = 10 * 60 * 1000;

  test("asks for the password or a passkey again after ten minutes, and a refresh does not count", async () => {
    const device = await person();
    const key = await addPasskey(device);
    await withDatabase((database) => database.prepare("UPDATE sessions SET authenticated_at_ms = authenticated_at_ms - ?").run(LATE_MS));
    const { access_token: token } = (await ask(server, "POST", "/auth/refresh", { token: device.signedIn.refresh_token })).body;
    await expectAccess(token);
    const options = () => ask(server, "POST", "/auth/passkeys/options", { token, json: {} });
    for (const answer of [await options(), await ask(server, "DELETE", "/account", { token })]) {
      expectProblem(answer, 403, "reauthentication_required");
    }
    expectProblem(await ask(server, "DELETE", `/auth/passkeys/${key.passkey}`, { token }), 403, "reauthentication_required");

    const again = (json) => post("/auth/reauthenticate", json, { token });
    expectProblem(await again({ password: fresh32() }), 403, "credentials_invalid");
    expectProblem(await options(), 403, "reauthentication_required");
    for (const json of [{}, { password: device.password, challenge: "x" }, { challenge: "x" }, { password: "" }]) {
      expectProblem(await again(json), 422, "body_invalid");
    }
    expect((await again({ password: device.password })).status).toBe(204);
    expect((await options()).status).toBe(200);

    await withDatabase((database) => database.prepare("UPDATE sessions SET authenticated_at_ms = authenticated_at_ms - ?").run(LATE_MS));
    expectProblem(await options(), 403, "reauthentication_required");
    expect((await again(await key.use())).status).toBe(204);
    expect((await options()).status).toBe(200);
  });

  test("a passkey of somebody else authenticates nobody here", async () => {
    const [anna, eve] = [await person(), await person()];
    const key = await addPasskey(eve);
    expectProblem(await post("/auth/reauthenticate", await key.use(), { token: anna.token }), 403, "passkey_refused");
  });
});

describe("a password", () => {
  const change = (device, over = {}) => {
    const json = { current: device.password, password: fresh32(), owner_blob: "sealed anew", kdf: { ...device.kdf, salt: freshId() }, ...over };
    return { json, answer: post("/auth/password", json, { token: device.token }) };
  };

  test("is replaced by who knows the present one, and every other session ends", async () => {
    const device = await person();
    const other = (await device.signIn()).body;
    const { json, answer } = change(device);
    expect((await answer).status).toBe(204);
    await expectAccess(device.token);
    await expectNoAccess(other.access_token);
    expectProblem(await device.signIn(), 401, "credentials_invalid");
    const again = await device.signIn({ password: json.password });
    expect([again.status, again.body.owner_blob]).toEqual([200, "sealed anew"]);
    expect((await post("/auth/params", { username: device.username })).body.kdf).toEqual(json.kdf);
  });

  test("stays when the present one is wrong or the new one can't be used", async () => {
    const device = await person();
    expectProblem(await change(device, { current: fresh32() }).answer, 403, "credentials_invalid");
    expectProblem(await change(device, { owner_blob: "" }).answer, 422, "owner_blob_invalid");
    expectProblem(await change(device, { kdf: { ...device.kdf, log_n: 16 } }).answer, 422, "kdf_invalid");
    expectProblem(await change(device, { password: "short" }).answer, 422, "body_invalid");
    expectProblem(await change(device, { kdf: undefined }).answer, 422, "body_invalid");
    expect((await device.signIn()).body.owner_blob).toBe("sealed at first");
  });

  test("changed by two at once is changed by one", async () => {
    const device = await person();
    const both = [change(device), change(device)];
    const answers = await Promise.all(both.map(({ answer }) => answer));
    const [done, late] = answers.toSorted((a, b) => a.status - b.status);
    expect(done.status).toBe(204);
    expect(["password_changed", "credentials_invalid"]).toContain(late.body.code);
    for (const [n, { json }] of both.entries()) {
      expect((await device.signIn({ password: json.password })).status).toBe(answers[n] === done ? 200 : 401);
    }
  });
});

describe("attack 19: the owner key's word", () => {
  let claimed;
  beforeAll(() => {
    claimed = new Device(server);
  });

  const register = (device, { said = {}, body = {}, signer = device.ownerSecret, ...proof } = {}) => {
    const real = { username: device.username, password: device.password, owner_pubkey: device.owner, kdf: device.kdf, ...body };
    const made = accountProof(signer, { verb: "register", origin: server.url, body: { ...real, ...said }, ...proof });
    return post("/auth/register", { ...real, proof: made });
  };

  test.each([
    ["another name", { said: { username: "mallory" } }],
    ["another password", { said: { password: fresh32() } }],
    ["another owner blob", { said: { owner_blob: "another" } }],
    ["another key derivation", { said: { kdf: undefined } }],
    ["another server", { origin: "https://passport.test" }],
    ["another purpose", { verb: "recover" }],
    ["a challenge", { challenge: "prc_x" }],
    ["another key", { signer: generateSecretKey() }],
    ["another time, past", { event: { created_at: nowS() - 3600 } }],
    ["another time, to come", { event: { created_at: nowS() + 3600 } }],
    ["an owner statement", { event: { kind: 27433 } }],
    ["with tags", { event: { tags: [["u", "x"]] } }],
    ["of another version", { content: { v: 2 } }],
    ["with a field too many", { content: { admin: true } }],
  ])("for %s makes no account", async (_, wrong) => {
    expectProblem(await register(claimed, wrong), 422, "proof_invalid");
  });

  test("that does not hold leaves name and key to their owner", async () => {
    expect((await register(claimed)).status).toBe(201);
  });

  test("is not done without", async () => {
    const device = new Device(server);
    for (const proof of [undefined, null, {}, "proof", []]) expectProblem(await device.register({ proof }), 422, "body_invalid");
  });

  test("for one request does not work a second time, nor for another body", async () => {
    const device = new Device(server);
    const body = { username: device.username, password: device.password, owner_pubkey: device.owner, kdf: device.kdf };
    const proof = accountProof(device.ownerSecret, { verb: "register", origin: server.url, body });
    expect((await post("/auth/register", { ...body, proof })).status).toBe(201);
    expectProblem(await post("/auth/register", { ...body, proof }), 409, "username_taken");
    expectProblem(await post("/auth/register", { ...body, username: `${device.username}2`, proof }), 422, "proof_invalid");
  });
});

/** `POST /auth/recover` with a challenge of its own unless one is given. */
async function recover(device, { challenge, over = {}, signer = device.ownerSecret, said = {}, ...proof } = {}) {
  const owner_pubkey = device.owner;
  const given = challenge ?? (await post("/auth/recover/challenge", { owner_pubkey })).body.challenge;
  const body = { owner_pubkey, password: fresh32(), owner_blob: "sealed anew", kdf: device.kdf, ...over };
  const made = accountProof(signer, { verb: "recover", origin: server.url, challenge: given, body: { ...body, ...said }, ...proof });
  const answer = await post("/auth/recover", { ...body, challenge: given, proof: made });
  return Object.assign(answer, { sent: { ...body, challenge: given, proof: made } });
}

describe("recovery with the owner key", () => {
  let standing;
  beforeAll(async () => {
    standing = await person();
  });

  test("gives new credentials, ends every session and removes the passkeys", async () => {
    const device = await person();
    const key = await addPasskey(device);
    const answer = await recover(device);
    expect([answer.status, answer.body]).toEqual([200, { username: device.username }]);
    await expectNoAccess(device.token);
    expectProblem(await device.signIn(), 401, "credentials_invalid");
    expectProblem(await post("/auth/passkeys/token", await key.use()), 401, "passkey_refused");
    const signedIn = await device.signIn({ password: answer.sent.password });
    expect([signedIn.status, signedIn.body.owner_blob]).toEqual([200, "sealed anew"]);
  });

  test("does not work twice, nor with a challenge from before a new password", async () => {
    const device = await person();
    const { challenge: early } = (await post("/auth/recover/challenge", { owner_pubkey: device.owner })).body;
    const { sent } = await recover(device);
    expectProblem(await post("/auth/recover", sent), 401, "recovery_refused");
    expectProblem(await recover(device, { challenge: early }), 401, "recovery_refused");
    expect((await device.signIn({ password: sent.password })).status).toBe(200);
  });

  test.each([
    ["a stranger's word", { signer: generateSecretKey() }],
    ["the word for another password", { said: { password: fresh32() } }],
    ["the word for another owner blob", { said: { owner_blob: "another" } }],
    ["the word for a registration", { verb: "register" }],
    ["the word for another server", { origin: "https://passport.test" }],
    ["an old word", { event: { created_at: nowS() - 660 } }],
    ["a made-up challenge", { challenge: `prc_${"A".repeat(54)}` }],
    ["no challenge", { challenge: "" }],
    ["an endless challenge", { challenge: `prc_${"A".repeat(10_000)}` }],
  ])("is refused for %s, in the same words", async (_, wrong) => {
    const refused = await recover(standing, wrong);
    expectProblem(refused, 401, "recovery_refused");
    await expectAccess(standing.token);
    const nobody = new Device(server);
    expect(comparable(await recover(nobody, wrong))).toEqual(comparable(refused));
  });

  test("takes no other account's challenge", async () => {
    const eve = await person();
    const { challenge } = (await post("/auth/recover/challenge", { owner_pubkey: standing.owner })).body;
    expectProblem(await recover(eve, { challenge }), 401, "recovery_refused");
    await expectAccess(standing.token);
  });

  test("that was refused changed nothing", async () => {
    expect((await standing.signIn()).body.owner_blob).toBe("sealed at first");
  });
});

/** Adds a passkey to a signed-in device's account. */
async function addPasskey(device, more = {}) {
  const key = new Authenticator(server.url);
  const { challenge, public_key } = (await post("/auth/passkeys/options", {}, { token: device.token })).body;
  const json = { challenge, credential: key.create(public_key), label: "Phone", ...more };
  const made = await post("/auth/passkeys", json, { token: device.token });
  expect(made.status, made.text).toBe(201);
  return {
    key,
    passkey: made.body.passkey,
    /** A challenge and the answer to it. */
    async use(wrong) {
      const asked = (await post("/auth/passkeys/challenge", {})).body;
      return { challenge: asked.challenge, credential: key.get(asked.public_key, wrong) };
    },
  };
}

describe("a passkey", () => {
  const passkeys = async ({ token }) => (await ask(server, "GET", "/auth/passkeys", { token })).body.passkeys;
  const enter = async (key, wrong) => post("/auth/passkeys/token", await key.use(wrong));
  let holder;
  beforeAll(async () => {
    holder = await person();
  });

  test("is made, listed, used without a name, given its blob, and removed", async () => {
    const device = await person();
    const options = (await post("/auth/passkeys/options", {}, { token: device.token })).body;
    expect(options.public_key).toEqual({
      rp: { id: "127.0.0.1", name: "Passport" },
      user: { id: expect.stringMatching(/^[\w-]{22}$/), name: device.username, displayName: device.username },
      challenge: options.challenge,
      pubKeyCredParams: [-7, -8].map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: [],
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      timeout: 300_000,
      extensions: { credProps: true, prf: { eval: { first: expect.stringMatching(/^[\w-]{43}$/) } } },
    });

    const key = await addPasskey(device);
    const view = { passkey: key.passkey, label: "Phone", created_at: expect.any(Number), last_used_at: null, unlocks: false };
    expect(await passkeys(device)).toEqual([view]);
    expect((await access(device.token)).body.passkeys).toBe(1);
    const known = (await post("/auth/passkeys/options", {}, { token: device.token })).body.public_key.excludeCredentials;
    expect(known).toEqual([{ type: "public-key", id: key.key.id.toString("base64url") }]);

    const first = await enter(key);
    expect([first.status, first.body.username, first.body.owner_blob, first.body.passkey]).toEqual([200, device.username, null, key.passkey]);
    expect(Object.keys(first.body).sort()).toEqual([...Object.keys(device.signedIn), "passkey"].sort());
    await expectAccess(first.body.access_token);

    const put = (token, passkey, owner_blob) => ask(server, "PUT", `/auth/passkeys/${passkey}/owner_blob`, { token, json: { owner_blob } });
    expect((await put(device.token, key.passkey, "sealed under the passkey")).status).toBe(204);
    expect((await enter(key)).body.owner_blob).toBe("sealed under the passkey");
    expect((await passkeys(device))[0]).toEqual({ ...view, last_used_at: expect.any(Number), unlocks: true });
    expectProblem(await put(device.token, key.passkey, ""), 422, "owner_blob_invalid");

    const eve = await person();
    expectProblem(await put(eve.token, key.passkey, "eve's"), 404, "not_found");
    expectProblem(await ask(server, "DELETE", `/auth/passkeys/${key.passkey}`, { token: eve.token }), 404, "not_found");
    expect((await ask(server, "DELETE", `/auth/passkeys/${key.passkey}`, { token: device.token })).status).toBe(204);
    expectProblem(await enter(key), 401, "passkey_refused");
    expect(await passkeys(device)).toEqual([]);
  });

  test("answers each challenge once, and a stranger's guess uses up nobody's (attack 20)", async () => {
    const key = await addPasskey(holder);
    const asked = (await post("/auth/passkeys/challenge", {})).body;
    const stranger = new Authenticator(server.url);
    for (const challenge of ["", "A".repeat(43), asked.challenge.slice(1), `${asked.challenge} `]) {
      const credential = stranger.get({ ...asked.public_key, challenge });
      expectProblem(await post("/auth/passkeys/token", { challenge, credential }), 401, "passkey_refused");
    }
    const json = { challenge: asked.challenge, credential: key.key.get(asked.public_key) };
    expect((await post("/auth/passkeys/token", json)).status).toBe(200);
    expectProblem(await post("/auth/passkeys/token", json), 401, "passkey_refused");
  });

  test.each([
    ["another origin", { origin: "https://evil.test" }],
    ["a page inside another", { clientData: { crossOrigin: true } }],
    ["another host", { rpId: "evil.test" }],
    ["another challenge", { clientData: { challenge: "A".repeat(43) } }],
    ["a registration", { clientData: { type: "webauthn.create" } }],
    ["nobody present", { flags: 0x04 }],
    ["nobody verified", { flags: 0x01 }],
    ["a broken signature", { signature: (it) => Buffer.concat([it.subarray(0, -1), Buffer.from([it.at(-1) ^ 1])]) }],
    ["no signature", { signature: () => Buffer.alloc(0) }],
    ["another account", { userHandle: Buffer.alloc(16).toString("base64url") }],
    ["no account", { userHandle: null }],
  ])("opens nothing with %s, and says no more", async (_, wrong) => {
    const key = await addPasskey(holder);
    const refused = await enter(key, wrong);
    expectProblem(refused, 401, "passkey_refused");
    expect(refused.body.detail).not.toMatch(/origin|signature|counter|verified/);
    expect((await enter(key)).status).toBe(200);
    await ask(server, "DELETE", `/auth/passkeys/${key.passkey}`, { token: holder.token });
  });

  test("that was copied is noticed by its counter", async () => {
    const key = await addPasskey(holder);
    for (let n = 0; n < 3; n += 1) expect((await enter(key)).status).toBe(200);
    key.key.count = 1;
    expectProblem(await enter(key), 401, "passkey_refused");
    key.key.count = 3;
    expect((await enter(key)).status).toBe(200);
  });

  test("that does not count is used any number of times", async () => {
    const key = await addPasskey(holder);
    key.key.counts = false;
    for (let n = 0; n < 3; n += 1) expect((await enter(key)).status).toBe(200);
  });

  test("is made for the account that asked, once, by an authenticator that checks its user", async () => {
    const [anna, eve] = [await person(), await person()];
    const begin = async ({ token }) => (await post("/auth/passkeys/options", {}, { token })).body;
    const finish = ({ token }, { challenge, public_key }, key, wrong) =>
      post("/auth/passkeys", { challenge, credential: key.create(public_key, wrong), label: "Phone" }, { token });
    const key = new Authenticator(server.url);
    expectProblem(await finish(eve, await begin(anna), key), 403, "passkey_refused");
    for (const wrong of [{ flags: 0x01 }, { origin: "https://evil.test" }, { rpId: "evil.test" }, { clientData: { type: "webauthn.get" } }]) {
      expectProblem(await finish(anna, await begin(anna), key, wrong), 403, "passkey_refused");
    }
    // A challenge for signing in makes no passkey.
    const { challenge } = (await post("/auth/passkeys/challenge", {})).body;
    const { public_key } = await begin(anna);
    expectProblem(await finish(anna, { challenge, public_key: { ...public_key, challenge } }, key), 403, "passkey_refused");
    const asked = await begin(anna);
    expect((await finish(anna, asked, key)).status).toBe(201);
    expectProblem(await finish(anna, asked, key), 403, "passkey_refused");
    expectProblem(await finish(eve, await begin(eve), key), 409, "passkey_exists");
    expect((await passkeys(eve)).length).toBe(0);
  });

  test("never brings its PRF output along: whoever forgets to take it out is told", async () => {
    const device = holder;
    const extensions = { prf: { results: { first: randomBytes(32).toString("base64url") } } };
    const key = await addPasskey(device);
    expectProblem(await enter(key, { extensions }), 422, "prf_output_refused");
    const { challenge, public_key } = (await post("/auth/passkeys/options", {}, { token: device.token })).body;
    const credential = new Authenticator(server.url).create(public_key, { extensions });
    expectProblem(await post("/auth/passkeys", { challenge, credential, label: "Phone" }, { token: device.token }), 422, "prf_output_refused");
    expect((await enter(key, { extensions: { prf: { enabled: true } } })).status).toBe(200);
  });
});

describe("an account", () => {
  test("is shown to its owner and deleted by them, and its name is free again", async () => {
    const device = await person();
    await addPasskey(device);
    const { body } = await access(device.token);
    expect(body).toEqual({
      username: device.username,
      owner_pubkey: device.owner,
      owner_blob: "sealed at first",
      kdf: device.kdf,
      created_at: expect.any(Number),
      passkeys: 1,
    });
    expect((await ask(server, "DELETE", "/account", { token: device.token })).status).toBe(204);
    await expectNoAccess(device.token);
    expectProblem(await ask(server, "POST", "/auth/refresh", { token: device.signedIn.refresh_token }), 401, "refresh_token_invalid");
    expectProblem(await device.signIn(), 401, "credentials_invalid");
    expect((await device.register()).status).toBe(201);
  });

  test("with an identity stays until the identity is deleted", async () => {
    const device = await Device.signedIn(server);
    const { group, sequence } = await device.makeKey();
    expectProblem(await device.ask("DELETE", "/account"), 409, "account_has_keys");
    const statement = device.sign({ group, seq: sequence + 1, verb: "delete_group" });
    expect((await device.ask("DELETE", `/keys/${group}`, { json: { statement } })).status).toBe(204);
    expect((await device.ask("DELETE", "/account")).status).toBe(204);
  });
});

describe("attack 30: a page of another origin", () => {
  const SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
  const origin = "https://evil.test";
  let routes;
  beforeAll(async () => {
    const { paths } = (await ask(server, "GET", "/openapi.json")).body;
    const one = (path) => path.replace(/\{\w+\}/g, "0".repeat(32));
    routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => [method.toUpperCase(), one(path)]));
  });

  test("can't have a form sent: nothing but JSON is read, and nothing that a browser adds by itself opens anything", async () => {
    const device = await person();
    const body = JSON.stringify({ username: device.username, password: device.password });
    for (const [, path] of routes.filter(([method]) => method === "POST")) {
      for (const type of SIMPLE) {
        const headers = { origin, "content-type": type, cookie: `access_token=${device.token}; session=${device.signedIn.session}` };
        const answer = await ask(server, "POST", path, { headers, body });
        expect([401, 415], path).toContain(answer.status);
      }
    }
    await expectAccess(device.token);
  });

  test("is told by no preflight that it may ask, and by no answer that it may read", async () => {
    // `ask` refuses every answer with an access-control header or a cookie.
    for (const [method, path] of routes) {
      const headers = { origin, "access-control-request-method": method, "access-control-request-headers": "authorization,content-type" };
      const preflight = await ask(server, "OPTIONS", path, { headers });
      expect(preflight.status, path).toBe(405);
      if (method === "GET") await ask(server, method, path, { headers: { origin } });
    }
  });
});

test("a signing key is replaced without signing anybody out, and its predecessor ends with its last tokens", async () => {
  const device = await person();
  const secretsFile = join(server.folder, "secrets.env");
  const before = readFileSync(secretsFile, "utf8");
  const { JWT_SIGNING_KEY: old } = deploymentSecrets(secretsFile);
  const next = fresh32();
  const restart = async (text) => {
    await server.stop();
    writeFileSync(secretsFile, text);
    await server.start();
  };
  const kids = async () => (await ask(server, "GET", "/.well-known/jwks.json")).body.keys.map(({ kid }) => kid);
  const kidOf = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
  const [oldKid] = await kids();
  const replaced = before.replace(`JWT_SIGNING_KEY=${old}`, `JWT_SIGNING_KEY=${next}`);

  await restart(`${replaced}JWT_SIGNING_KEY_PREVIOUS=${old}\n`);
  await expectAccess(device.token);
  const [newKid, previous] = await kids();
  expect(previous).toBe(oldKid);
  const { access_token } = (await ask(server, "POST", "/auth/refresh", { token: device.signedIn.refresh_token })).body;
  expect([kidOf(device.token), kidOf(access_token)]).toEqual([oldKid, newKid]);
  await expectAccess(access_token);
  // The header of one key over a signature of the other.
  const [header] = access_token.split(".");
  await expectNoAccess([header, ...device.token.split(".").slice(1)].join("."));

  await restart(replaced);
  expect(await kids()).toEqual([newKid]);
  await expectNoAccess(device.token);
  await expectAccess(access_token);
  await restart(before);
});
