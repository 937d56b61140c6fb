/** Accounts by plain HTTP: what opens a session, what ends it, and what never works in its place. */
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, comparable, expectProblem, workerLog } from "../support/api.mjs";
import { nowS } from "../support/clock.mjs";
import { Device } from "../support/device.mjs";
import { startServer } from "../support/server.mjs";
import { deploymentSecrets } from "../support/vault.mjs";

let server, device;
beforeAll(async () => {
  server = await startServer();
  device = await Device.signedIn(server);
});
afterAll(() => server?.stop());

const refresh = (token) => ask(server, "POST", "/auth/refresh", { token });
const logout = (token) => ask(server, "POST", "/auth/logout", { token });
/** A session of its own, so that a test may end it. */
const session = async () => (await device.signIn()).body;

/** An access token opens neither what reads nor what changes. */
async function expectNoAccess(token) {
  expectProblem(await ask(server, "GET", "/keys", { token }), 401, "access_token_invalid");
  const json = device.keyBody();
  expectProblem(await ask(server, "POST", "/keys", { token, json }), 401, "access_token_invalid");
}

async function expectAccess(token) {
  expect((await ask(server, "GET", "/keys", { token })).status).toBe(200);
}

test("a device registers, signs in, refreshes and signs out", async () => {
  const fresh = new Device(server);
  const made = await fresh.register({ owner_blob: "sealed on the device" });
  expect([made.status, made.body]).toEqual([201, { username: fresh.username }]);

  const signedIn = await fresh.signIn();
  expect(signedIn.status).toBe(200);
  expect(signedIn.body).toEqual({
    access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    token_type: "Bearer",
    expires_in: 900,
    refresh_token: expect.stringMatching(/^prt_[\w-]{43}$/),
    session: expect.stringMatching(/^[0-9a-f]{32}$/),
    username: fresh.username,
    owner_pubkey: fresh.owner,
    owner_blob: "sealed on the device",
    device_token: expect.stringMatching(/^pdt_[\w-]{64}$/),
  });
  expect(signedIn.headers.get("cache-control")).toBe("no-store");
  await expectAccess(signedIn.body.access_token);

  const refreshed = await refresh(signedIn.body.refresh_token);
  expect(refreshed.status).toBe(200);
  expect(Object.keys(refreshed.body).sort()).toEqual(["access_token", "expires_in", "refresh_token", "token_type"]);
  expect(refreshed.body.refresh_token).not.toBe(signedIn.body.refresh_token);
  await expectAccess(refreshed.body.access_token);

  const ended = await logout(refreshed.body.access_token);
  expect([ended.status, ended.text]).toEqual([204, ""]);
});

describe("nobody registers", () => {
  test("a name or an owner key that somebody has", async () => {
    const second = new Device(server);
    expectProblem(await second.register({ username: device.username }), 409, "username_taken");
    const taken = await second.register({ owner_pubkey: device.owner }, device.ownerSecret);
    expectProblem(taken, 409, "owner_key_taken");
    expect((await second.register()).status).toBe(201);
  });

  test("one name twice, however close the two requests are", async () => {
    const username = new Device(server).username;
    const answers = await Promise.all(Array.from({ length: 4 }, () => new Device(server).register({ username })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });

  test.each([
    ["an empty name", ""],
    ["two characters", "ab"],
    ["33 characters", "a".repeat(33)],
    ["a capital", "Alice"],
    ["a space around it", " alice"],
    ["a slash", "alice/bob"],
    ["a letter that looks like another", "аlice"],
    ["a line break", "alice\n"],
    ["a nul", "alice\u0000"],
  ])("with %s for a name", async (_, username) => {
    expectProblem(await new Device(server).register({ username }), 422, "username_invalid");
  });

  test.each([
    ["off the curve (BIP-340, vector 5)", "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34"],
    ["not below the field's size (BIP-340, vector 14)", "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30"],
    ["zero", "0".repeat(64)],
    ["in capitals", "79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798"],
    ["compressed", `02${"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}`],
    ["an npub", "npub10xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqpkge6d"],
    ["empty", ""],
  ])("an owner key that is %s", async (_, owner_pubkey) => {
    expectProblem(await new Device(server).register({ owner_pubkey }), 422, "owner_pubkey_invalid");
  });

  test.each([
    ["15 characters", "hunter2-hunter2"],
    ["257 characters", "hunter2".padEnd(257, "x")],
    ["no text", ["hunter2"]],
  ])("a password of %s, and the answer does not quote it", async (_, password) => {
    const answer = await new Device(server).register({ password });
    expectProblem(answer, 422, "body_invalid");
    expect(answer.text).not.toContain("hunter2");
  });

  test.each([
    ["cheaper than devices may choose", { log_n: 16 }],
    ["dearer than a device can pay", { log_n: 21 }],
    ["of another block size", { r: 1 }],
    ["without passes", { p: 0 }],
  ])("a key derivation that is %s", async (_, over) => {
    const kdf = { ...device.kdf, ...over };
    expectProblem(await new Device(server).register({ kdf }), 422, "kdf_invalid");
  });

  test("an owner blob that is too long or not printable", async () => {
    for (const owner_blob of ["", "a".repeat(4097), "é", "a\u0000"]) {
      expectProblem(await new Device(server).register({ owner_blob }), 422, "owner_blob_invalid");
    }
  });

  test("with a field that does not exist, such as one that would make them an operator", async () => {
    const answer = await new Device(server).register({ admin: true });
    expectProblem(answer, 422, "body_invalid");
    expect(answer.body.detail).toContain("`admin`");
  });
});

describe("a stranger does not learn who has an account", () => {
  const password = "0".repeat(64);

  test("from a failed sign-in: wrong password, unknown name and impossible name get one answer", async () => {
    const wrong = await device.signIn({ password });
    expectProblem(wrong, 401, "credentials_invalid");
    for (const username of [new Device(server).username, "Nobody At All", "", "x".repeat(1000)]) {
      expect(comparable(await device.signIn({ username, password }))).toEqual(comparable(wrong));
    }
  });

  test("from the parameters of the key derivation: an unknown name has some too, always the same", async () => {
    const params = async (username) => {
      const answer = await ask(server, "POST", "/auth/params", { json: { username } });
      expect(answer.status).toBe(200);
      return answer.body;
    };
    expect(await params(device.username)).toEqual({ kdf: device.kdf });
    const unknown = await params("nobody");
    expect(unknown).toEqual({ kdf: { ...device.kdf, salt: expect.stringMatching(/^[0-9a-f]{32}$/) } });
    expect(await params("nobody")).toEqual(unknown);
    expect(await params("nobodz")).not.toEqual(unknown);

    const nobody = new Device(server);
    const before = await params(nobody.username);
    await nobody.register({ kdf: undefined });
    expect(await params(nobody.username)).toEqual(before);
  });

  test("from an impossible name in either place", async () => {
    expectProblem(await ask(server, "POST", "/auth/params", { json: { username: "A" } }), 422, "username_invalid");
  });
});

describe("a refresh token", () => {
  let unused;
  beforeAll(async () => {
    unused = await session();
  });

  test("that comes again at once gets the same bytes, also when five come together", async () => {
    const { refresh_token } = await session();
    const first = await refresh(refresh_token);
    expect((await refresh(refresh_token)).text).toBe(first.text);

    const together = await Promise.all(Array.from({ length: 5 }, () => refresh(first.body.refresh_token)));
    expect(together.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(new Set(together.map(({ text }) => text)).size).toBe(1);
    await expectAccess(together[0].body.access_token);
  });

  test("that is used after its successor was ends the session, the newest tokens included", async () => {
    const other = await session();
    const zero = await session();
    const one = (await refresh(zero.refresh_token)).body;
    const two = (await refresh(one.refresh_token)).body;
    await expectAccess(two.access_token);

    expectProblem(await refresh(zero.refresh_token), 401, "refresh_token_reused");

    for (const { access_token } of [zero, one, two]) await expectNoAccess(access_token);
    for (const { refresh_token } of [two, one, zero]) {
      expectProblem(await refresh(refresh_token), 401, "refresh_token_invalid");
    }
    await expectAccess(other.access_token);
  });

  test.each([
    ["one that was never given out", () => `prt_${randomBytes(32).toString("base64url")}`],
    ["none", () => undefined],
    ["another length", ({ refresh_token }) => refresh_token.slice(0, -1)],
    ["padding", ({ refresh_token }) => `${refresh_token}=`],
    ["no prefix", ({ refresh_token }) => refresh_token.slice(4)],
    ["an access token", ({ access_token }) => access_token],
  ])("is not replaced by %s", async (_, change) => {
    expectProblem(await refresh(change(unused)), 401, "refresh_token_invalid");
    await expectAccess(unused.access_token);
  });

  test("is read from the header only: not from body, query or cookie", async () => {
    const { refresh_token } = unused;
    const elsewhere = [
      ask(server, "POST", "/auth/refresh", { json: { refresh_token } }),
      ask(server, "POST", `/auth/refresh?refresh_token=${refresh_token}`),
      ask(server, "POST", "/auth/refresh", { headers: { cookie: `refresh_token=${refresh_token}` } }),
      ask(server, "POST", "/auth/refresh", { headers: { authorization: `Basic ${refresh_token}` } }),
    ];
    for (const answer of await Promise.all(elsewhere)) expectProblem(answer, 401, "refresh_token_invalid");
    expect((await refresh(refresh_token)).status).toBe(200);
  });
});

describe("after signing out", () => {
  test.each(["access_token", "refresh_token"])("with the %s neither token works, and other sessions do", async (kind) => {
    const other = await session();
    const ended = await session();
    expect((await logout(ended[kind])).status).toBe(204);
    await expectNoAccess(ended.access_token);
    expectProblem(await refresh(ended.refresh_token), 401, "refresh_token_invalid");
    expect((await logout(ended[kind])).status).toBe(204); // again changes nothing
    await expectAccess(other.access_token);
    expect((await refresh(other.refresh_token)).status).toBe(200);
  });

  test("a stranger's token signs nobody out", async () => {
    expectProblem(await logout(undefined), 401, "access_token_invalid");
    expectProblem(await logout(`prt_${randomBytes(32).toString("base64url")}`), 401, "refresh_token_invalid");
  });
});

describe("an access token", () => {
  let real, header, claims, jwk, seed;
  beforeAll(async () => {
    jwk = (await ask(server, "GET", "/.well-known/jwks.json")).body.keys[0];
    const hex = deploymentSecrets(join(server.folder, "secrets.env")).JWT_SIGNING_KEY;
    const d = Buffer.from(hex, "hex").toString("base64url");
    seed = createPrivateKey({ key: { kty: "OKP", crv: "Ed25519", d, x: jwk.x }, format: "jwk" });
    real = await session();
    [header, claims] = real.access_token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  });

  const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const token = (head, body, signer) => {
    const signed = `${base64url(head)}.${base64url(body)}`;
    return `${signed}.${Buffer.from(signer(signed)).toString("base64url")}`;
  };
  const ours = (signed) => sign(null, Buffer.from(signed), seed);
  const foreign = generateKeyPairSync("ed25519");
  const theirs = (signed) => sign(null, Buffer.from(signed), foreign.privateKey);
  const foreignJwk = foreign.publicKey.export({ format: "jwk" });
  const hs256 = (key) => (signed) => createHmac("sha256", key).update(signed).digest();
  const publicBytes = () => Buffer.from(jwk.x, "base64url");

  test("says who, for which deployment and for how long, and nothing else", () => {
    expect(header).toEqual({ typ: "at+jwt", alg: "EdDSA", kid: jwk.kid });
    expect(claims).toEqual({
      iss: server.url,
      aud: "passport-api",
      sub: expect.stringMatching(/^[0-9a-f]{32}$/),
      sid: expect.stringMatching(/^[0-9a-f]{32}$/),
      iat: expect.any(Number),
      exp: claims.iat + 900,
    });
  });

  test("that is signed here as the server does it is taken: the refusals below are for their own reasons", async () => {
    const same = token(header, claims, ours);
    expect(same).toBe(real.access_token);
    await expectAccess(token(header, { ...claims, iat: claims.iat - 60, exp: claims.exp - 60 }, ours));
  });

  test.each([
    ["alg none without a signature", () => token({ ...header, alg: "none" }, claims, () => "")],
    ["alg None", () => token({ ...header, alg: "None" }, claims, () => "")],
    ["alg none with the real signature", () => `${base64url({ ...header, alg: "none" })}.${real.access_token.split(".").slice(1).join(".")}`],
    ["no signature at all", () => real.access_token.split(".").slice(0, 2).join(".")],
    ["an empty signature", () => real.access_token.replace(/[^.]*$/, "")],
    ["HS256 under the public key's bytes", () => token({ ...header, alg: "HS256" }, claims, hs256(publicBytes()))],
    ["HS256 under the public key's text", () => token({ ...header, alg: "HS256" }, claims, hs256(jwk.x))],
    ["HS256 under the whole JWK", () => token({ ...header, alg: "HS256" }, claims, hs256(JSON.stringify(jwk)))],
    ["our header over an HMAC", () => token(header, claims, (signed) => Buffer.concat([hs256(publicBytes())(signed), Buffer.alloc(32)]))],
    ["another key", () => token(header, claims, theirs)],
    ["another key under its own kid", () => token({ ...header, kid: "theirs" }, claims, theirs)],
    ["another key that it brings along", () => token({ ...header, jwk: foreignJwk }, claims, theirs)],
    ["another key that it links to", () => token({ ...header, jku: "https://theirs.test/jwks.json" }, claims, theirs)],
    ["another kid", () => token({ ...header, kid: "../../dev/null" }, claims, ours)],
    ["no kid", () => token({ typ: header.typ, alg: header.alg }, claims, ours)],
    ["another typ", () => token({ ...header, typ: "JWT" }, claims, ours)],
    ["a critical extension", () => token({ ...header, crit: ["exp"] }, claims, ours)],
    ["an expired one", () => token(header, { ...claims, iat: nowS() - 901, exp: nowS() - 1 }, ours)],
    ["a longer life", () => token(header, { ...claims, exp: claims.exp + 1 }, ours)],
    ["no end", () => token(header, { ...claims, exp: undefined }, ours)],
    ["an end as text", () => token(header, { ...claims, exp: String(claims.exp) }, ours)],
    ["a start in the future", () => token(header, { ...claims, iat: nowS() + 3600, exp: nowS() + 4500 }, ours)],
    ["another issuer", () => token(header, { ...claims, iss: "https://passport.test" }, ours)],
    ["another audience", () => token(header, { ...claims, aud: "passport-operator" }, ours)],
    ["another account in this session", () => token(header, { ...claims, sub: "0".repeat(32) }, ours)],
    ["a session that there is not", () => token(header, { ...claims, sid: "0".repeat(32) }, ours)],
    ["a claim too many", () => token(header, { ...claims, admin: true }, ours)],
    ["claims that were altered after signing", () => real.access_token.split(".").with(1, base64url({ ...claims, exp: claims.exp + 900 })).join(".")],
    ["a part too many", () => `${real.access_token}.e30`],
    ["padding", () => `${real.access_token}==`],
    ["a refresh token", () => real.refresh_token],
    ["an empty one", () => ""],
    ["something endless", () => `${real.access_token}${"A".repeat(4096)}`],
  ])("is not replaced by %s", async (_, make) => {
    const forged = make();
    const refused = await ask(server, "GET", "/keys", { token: forged });
    expectProblem(refused, 401, "access_token_invalid");
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="passport"');
    expect(comparable(refused)).toEqual(comparable(await ask(server, "GET", "/keys")));
    await expectAccess(real.access_token);
  });

  test("signs nobody out when it is forged", async () => {
    expectProblem(await logout(token(header, claims, theirs)), 401, "access_token_invalid");
    await expectAccess(real.access_token);
  });

  test("is read from one header only: not from query, cookie or beside another", async () => {
    const { access_token } = real;
    const elsewhere = [
      ask(server, "GET", `/keys?access_token=${access_token}`),
      ask(server, "GET", "/keys", { headers: { cookie: `access_token=${access_token}` } }),
      ask(server, "GET", "/keys", { headers: { authorization: `Basic ${access_token}` } }),
      ask(server, "GET", "/keys", { headers: { authorization: `Bearer ${access_token}, Bearer ${access_token}` } }),
    ];
    for (const answer of await Promise.all(elsewhere)) expectProblem(answer, 401, "access_token_invalid");
  });

  test("can be checked with the published key, of which the public half alone is published", () => {
    expect(jwk).toEqual({ kty: "OKP", crv: "Ed25519", x: expect.stringMatching(/^[\w-]{43}$/), kid: expect.any(String), use: "sig", alg: "EdDSA" });
  });
});

test("no password or token of all these requests is in the log", async () => {
  const { access_token, refresh_token } = await session();
  await refresh(refresh_token);
  await ask(server, "GET", `/${refresh_token}`);
  await device.register({ password: device.password, username: device.password });
  await expect.poll(() => workerLog(server)).toContain('"code":"username_invalid"');
  await expect.poll(() => workerLog(server)).toContain('"route":"unmatched"');
  const log = workerLog(server);
  for (const secret of [access_token, refresh_token, device.password, "hunter2", "prt_"]) expect(log).not.toContain(secret);
});
