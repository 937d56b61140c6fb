/** The HTTP surface: who gets in, what is refused and how, and that nothing else is there. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { built } from "../../scripts/setup/build.mjs";
import { ask, askVerbatim, expectProblem, workerLog } from "../support/api.mjs";
import { Device, freshId } from "../support/device.mjs";
import { RelaySocket } from "../support/relay-socket.mjs";
import { startServer } from "../support/server.mjs";

/** Longest body, in bytes. */
const BODY_MAX = 65_536;
/** Sockets of one relay. */
const SOCKETS_MAX = 256;
const NIP11 = { accept: "application/nostr+json" };
/** What the objects answer to among themselves. */
const INTERNAL = ["/provision", "/deliver", "/describe", "/connections", "/activity", "/requests", "/export", "/release", "/events", "/contribute", "/take", "/give-back", "/add", "/read"];
/** What a client of the relay opens its socket with. */
const UPGRADE = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": Buffer.alloc(16).toString("base64"),
};
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

let server, owner, key, otherKey, document;
beforeAll(async () => {
  server = await startServer();
  owner = await Device.signedIn(server);
  [key, otherKey] = [await owner.makeKey(), await owner.makeKey()];
  document = (await ask(server, "GET", "/openapi.json")).body;
});
afterAll(() => server?.stop());

const path = (template) => {
  const places = { group: key.group, bunker_id: "0".repeat(48), request: freshId() + freshId(), n: "1" };
  return template.replace(/\{(\w+)\}/g, (_, name) => places[name] ?? freshId());
};
/** `[method, template, operation]` of every documented route. */
const routes = () =>
  Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => [method.toUpperCase(), template, operation]),
  );
const bunkerId = () => key.relay.split("/").at(-1);
const flipped = (text, at) => text.slice(0, at) + (text[at] === "0" ? "1" : "0") + text.slice(at + 1);

describe("the document", () => {
  test("says of every route whether it takes a token, and without one those that do refuse", async () => {
    for (const [method, template, { security }] of routes()) {
      const json = method === "GET" ? undefined : {};
      const answer = await ask(server, method, path(template), { json });
      const kinds = (security ?? []).flatMap(Object.keys);
      const at = `${method} ${template}`;
      if (kinds.includes("access_token")) expectProblem(answer, 401, "access_token_invalid");
      else if (kinds.includes("refresh_token")) expectProblem(answer, 401, "refresh_token_invalid");
      else if (kinds.includes("setup_token")) expectProblem(answer, 401, "setup_token_invalid");
      else if (kinds.includes("metrics_token")) expectProblem(answer, 401, "metrics_token_invalid");
      else if (kinds.includes("operator_token")) expectProblem(answer, 401, "operator_token_invalid");
      else expect([at, answer.status]).not.toEqual([at, 401]);
    }
  });

  test("leaves exactly these routes open to anybody", () => {
    const open = routes().filter(([, , { security }]) => !security);
    expect(open.map(([method, template]) => `${method} ${template}`).sort()).toEqual([
      "GET /.well-known/jwks.json",
      "GET /healthz",
      "GET /holders",
      "GET /readyz",
      "GET /relay/{bunker_id}",
      "GET /version",
      "POST /auth/params",
      "POST /auth/passkeys/challenge",
      "POST /auth/passkeys/token",
      "POST /auth/recover",
      "POST /auth/recover/challenge",
      "POST /auth/register",
      "POST /auth/token",
    ]);
  });

  test("lists every method that a listed address takes; others are refused with those it takes", async () => {
    for (const [template, methods] of Object.entries(document.paths)) {
      const listed = Object.keys(methods).map((method) => method.toUpperCase());
      if (listed.includes("GET")) listed.push("HEAD");
      for (const method of METHODS) {
        const answer = await ask(server, method, path(template), {});
        const at = `${method} ${template}`;
        if (listed.includes(method)) expect([at, answer.status]).not.toEqual([at, 405]);
        else {
          if (method === "HEAD") expect([at, answer.status]).toEqual([at, 405]);
          else expectProblem(answer, 405, "method_not_allowed");
          const allowed = answer.headers.get("allow")?.split(",").map((name) => name.trim());
          expect([at, allowed?.sort()]).toEqual([at, listed.toSorted()]);
        }
      }
    }
  });

  test("has no field for a secret key, and takes no field that it does not have", () => {
    const fields = Object.entries(document.components.schemas).flatMap(([schema, { properties }]) =>
      Object.keys(properties ?? {}).map((field) => `${schema}.${field}`),
    );
    expect(fields.length).toBeGreaterThan(40);
    expect(fields.filter((field) => /nsec|secret|priv|seed|mnemonic|seckey/i.test(field))).toEqual([]);
    const named = ({ $ref }) => document.components.schemas[$ref.split("/").at(-1)];
    for (const [method, template, { requestBody }] of routes()) {
      if (!requestBody) continue;
      const schema = named(requestBody.content["application/json"].schema);
      for (const one of schema.oneOf?.map(named) ?? [schema]) {
        expect([method, template, one.additionalProperties]).toEqual([method, template, false]);
      }
    }
  });
});

describe("what anybody may ask", () => {
  test("/version names the WASM file that runs, by its SHA-256", async () => {
    const { body } = await ask(server, "GET", "/version");
    const wasm_sha256 = createHash("sha256").update(readFileSync(built("product").wasm)).digest("hex");
    expect(body).toEqual({ name: "passport", version: expect.stringMatching(/^\d+\.\d+\.\d+/), wasm_sha256 });
  });

  test("the relay describes itself (NIP-11) and is no page", async () => {
    const described = await ask(server, "GET", `/relay/${bunkerId()}`, { headers: { ...NIP11, origin: "https://app.test" } });
    expect([described.status, described.headers.get("access-control-allow-origin")]).toEqual([200, "*"]);
    expect(described.headers.get("access-control-allow-credentials")).toBeNull();
    expect(described.body.supported_nips).toEqual(expect.arrayContaining([1, 11, 46]));
    expectProblem(await ask(server, "GET", `/relay/${bunkerId()}`), 426, "upgrade_required");
  });

  test("the relay's description can be asked for with HEAD", async () => {
    const { status, headers } = await ask(server, "HEAD", `/relay/${bunkerId()}`, { headers: NIP11 });
    expect([status, headers.get("content-type")]).toEqual([200, "application/nostr+json"]);
  });

  test("what the relay's object refuses is a problem as well: one socket too many", async () => {
    const sockets = await Promise.all(Array.from({ length: SOCKETS_MAX }, () => RelaySocket.open(otherKey.relay)));
    const refused = await askVerbatim(server, "GET", new URL(otherKey.relay).pathname, UPGRADE);
    await Promise.all(sockets.map((socket) => socket.close()));
    expectProblem(refused, 503, "too_many_sockets");
  });

  test("no answer opens the API to pages of another origin", async () => {
    const headers = { origin: "https://evil.test", "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
    const token = owner.token;
    for (const [method, address] of [
      ["GET", "/healthz"],
      ["GET", "/holders"],
      ["GET", "/openapi.json"],
      ["GET", "/.well-known/jwks.json"],
      ["GET", "/keys"],
      ["GET", "/nowhere"],
      ["POST", "/auth/token"],
      ["POST", "/auth/refresh"],
      ["OPTIONS", "/keys"],
      ["OPTIONS", "/auth/token"],
      ["OPTIONS", `/relay/${bunkerId()}`],
      ["GET", `/relay/${bunkerId()}`],
    ]) {
      const answer = await ask(server, method, address, { token, headers });
      const cors = [...answer.headers.keys()].filter((name) => name.startsWith("access-control-"));
      expect([method, address, cors]).toEqual([method, address, []]);
    }
  });
});

describe("a body", () => {
  const big = (bytes) => JSON.stringify({ none: "x".repeat(bytes - '{"none":""}'.length) });
  const json = { "content-type": "application/json" };
  const inPieces = (text) =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < text.length; at += 16_384) controller.enqueue(Buffer.from(text.slice(at, at + 16_384)));
        controller.close();
      },
    });
  /** Who is refused before all was sent may find the line cut, as HTTP allows, and not see the answer: ask again then. */
  async function unbroken(send, attempts = 5) {
    try {
      return await send();
    } catch (error) {
      if (attempts === 1 || !["EPIPE", "ECONNRESET", "UND_ERR_SOCKET"].includes(error.cause?.code)) throw error;
      return unbroken(send, attempts - 1);
    }
  }
  const posts = () => routes().filter(([, , { requestBody }]) => requestBody);

  test("of 64 KiB and one byte is refused, whether or not its length was announced; one of 64 KiB is read", async () => {
    expect(posts().length).toBe(33);
    for (const [method, template, { security }] of posts()) {
      const kinds = (security ?? []).flatMap(Object.keys);
      // Of the right form, so that the body is what is looked at next.
      const token = kinds.includes("operator_token") ? `pop_${"A".repeat(43)}` : kinds.includes("setup_token") ? "0".repeat(64) : owner.token;
      for (const form of [String, inPieces]) {
        const send = (bytes) => unbroken(() => ask(server, method, path(template), { token, body: form(big(bytes)), headers: json }));
        expectProblem(await send(BODY_MAX + 1), 413, "body_too_large");
        expectProblem(await send(BODY_MAX), 422, "body_invalid");
      }
    }
  });

  test.each([
    ["no JSON", "{", 400, "json_malformed"],
    ["nothing", "", 400, "json_malformed"],
    ["two values", '{"username":"alice","password":"0123456789abcdef"}{}', 400, "json_malformed"],
    ["a byte order mark", "\ufeff{}", 400, "json_malformed"],
    ["a single quote", "{'username':'hunter2'}", 400, "json_malformed"],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 400, "json_malformed"],
    ["nested a thousand times", "[".repeat(1000) + "]".repeat(1000), 422, "body_invalid"],
    ["a list", "[]", 422, "body_invalid"],
    ["null", "null", 422, "body_invalid"],
    ["a field twice", '{"username":"alice","username":"bob","password":"0123456789abcdef"}', 422, "body_invalid"],
    ["a number for a text", '{"username":42,"password":"0123456789abcdef"}', 422, "body_invalid"],
    ["a field too many", '{"username":"alice","password":"0123456789abcdef","admin":true}', 422, "body_invalid"],
    ["a field too few", '{"username":"alice"}', 422, "body_invalid"],
  ])("with %s is refused", async (_, body, status, code) => {
    const answer = await ask(server, "POST", "/auth/token", { body, headers: json });
    expectProblem(answer, status, code);
    expect(answer.text).not.toContain("hunter2");
  });

  test.each([["text/plain"], ["application/x-www-form-urlencoded"], ["multipart/form-data; boundary=x"], ["application/json-patch+json"], [""]])(
    "of the type %j is refused, which forms of other pages could send",
    async (type) => {
      const body = Buffer.from(JSON.stringify({ username: owner.username, password: owner.password }));
      const answer = await ask(server, "POST", "/auth/token", { body, headers: type ? { "content-type": type } : {} });
      expectProblem(answer, 415, "content_type_unsupported");
    },
  );
});

describe("an address", () => {
  test("that there is not is a problem with a code, for every method", async () => {
    for (const address of ["/nowhere", "/keys/", "/auth", "/auth/register/", "/KEYS", "/healthz/x", "/metrics/", "/operator", "/.env", "/.dev.vars", "/wrangler.toml"]) {
      for (const method of METHODS) {
        const answer = await ask(server, method, address, { token: owner.token });
        if (method === "HEAD") expect([address, answer.status]).toEqual([address, 404]);
        else expectProblem(answer, 404, "not_found");
      }
    }
  });

  test.each([["limit=0"], ["limit=201"], ["limit=-1"], ["limit=many"], ["after=-1"], ["after=1.5"], ["before=3"], ["limit=1&limit=2"]])(
    "with the query %s is refused",
    async (query) => {
      expectProblem(await owner.ask("GET", `/keys/${key.group}/activity?${query}`), 422, "query_invalid");
    },
  );

  test("inside the objects is not reachable from outside, by any method, prefix, host or path trick", async () => {
    const genuine = `/relay/${bunkerId()}`;
    const tricks = INTERNAL.flatMap((name) => [
      name,
      `/${name}`,
      `${name}/`,
      `/internal${name}`,
      `/object.internal${name}`,
      `/relay${name}`,
      `${genuine}${name}`,
      `${genuine}/..${name}`,
      `${genuine}/../..${name}`,
      `${genuine}%2f..%2f..${name.replace("/", "%2f")}`,
      `/relay/..${name}`,
      `/relay/%2e%2e${name}`,
      `/bunker/${key.group}${name}`,
      `/cosigner/${key.group}:2${name}`,
      `/healthz/..${name}`,
    ]);
    for (const trick of tricks) {
      for (const method of ["GET", "POST"]) await expectNotThere(method, trick);
    }
    for (const name of INTERNAL) {
      for (const method of [...METHODS, "TRACE", "PROPFIND"]) await expectNotThere(method, name);
      await expectNotThere("POST", name, { host: "object.internal" });
      await expectNotThere("POST", name, { "x-forwarded-host": "object.internal", "x-original-url": name, "x-rewrite-url": name });
      await expectNotThere("POST", "/nowhere", { "x-http-method-override": "POST", "x-original-url": name });
    }
    // The description of a group did not leave by any of these ways; its owner gets it by the front door.
    expect((await owner.ask("GET", `/keys/${key.group}`)).body.public.group).toBe(key.group);
  });

  test("of a relay takes no other method than GET, so that nothing but a socket reaches the object", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      expectProblem(await askVerbatim(server, method, `/relay/${bunkerId()}`, NIP11), 405, "method_not_allowed");
      // The platform refuses this one before the Worker sees it.
      const opened = await askVerbatim(server, method, `/relay/${bunkerId()}`, UPGRADE);
      expect([method, opened.status]).toEqual([method, 400]);
    }
  });

  async function expectNotThere(method, address, headers = {}) {
    const answer = await askVerbatim(server, method, address, { "content-length": 0, ...headers });
    const at = `${method} ${address} ${JSON.stringify(headers)}`;
    // Some of these lead to a page of the front end, which is the same for everybody.
    const isPage = answer.status === 200 && (method === "HEAD" || answer.text.startsWith("<!doctype html>"));
    expect([at, isPage || [404, 405, 426, 501].includes(answer.status), answer.status]).toEqual([at, true, answer.status]);
    for (const word of [key.group, key.pubkey, "verifying_share", "sequence"]) expect(answer.text).not.toContain(word);
  }
});

test("no group, relay address, query, token or password is in the Worker's log", async () => {
  await owner.ask("GET", `/keys/${key.group}/activity?after=424242`);
  await expect.poll(() => workerLog(server)).toContain("/keys/{group}/activity");
  for (const secret of [bunkerId(), key.group, "424242", owner.token, owner.password]) {
    expect(workerLog(server)).not.toContain(secret);
  }
});

test("a bunker id that is no text is one that nobody made", async () => {
  expectProblem(await askVerbatim(server, "GET", "/relay/%ff%fe", NIP11), 404, "not_found");
});

test("a bunker id that nobody made names no object into existence", async () => {
  const id = bunkerId();
  const before = { Bunker: server.objectFiles("Bunker"), Cosigner: server.objectFiles("Cosigner") };
  const made = [
    ...Array.from({ length: 20 }, () => freshId() + freshId().slice(16)),
    ...Array.from({ length: id.length }, (_, at) => flipped(id, at)),
    id.toUpperCase(),
    id.slice(0, 32) + id.slice(32).toUpperCase(),
    id.slice(0, 32).toUpperCase() + id.slice(32),
    id.slice(0, 32),
    id.slice(0, 47),
    `${id}0`,
    `${id}%00`,
    `${id}%20`,
    `%20${id}`,
    `${id}//`,
    `${id}/x`,
    `./${id.slice(0, 40)}`,
    `../relay/${id.slice(0, 40)}`,
    `%2e%2e%2frelay%2f${id}`,
    `${otherKey.group}${id.slice(32)}`,
    otherKey.group,
    `${key.group}:2`,
    "%c3%a9".repeat(16),
    "",
    "0".repeat(48),
    "f".repeat(48),
  ].filter((text) => text !== id);
  for (const text of made) {
    const address = `/relay/${text}`;
    for (const headers of [NIP11, UPGRADE]) {
      const answer = await askVerbatim(server, "GET", address, headers);
      expect([address, answer.status]).toEqual([address, 404]);
      expectProblem(answer, 404, "not_found");
    }
  }
  await server.stop();
  expect({ Bunker: server.objectFiles("Bunker"), Cosigner: server.objectFiles("Cosigner") }).toEqual(before);
  await server.start();
  expect((await owner.ask("GET", `/keys/${key.group}`)).status).toBe(200);
});
