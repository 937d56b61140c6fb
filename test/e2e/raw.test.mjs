/** The relay and the requests by a plain socket: what published clients never send, and attackers do. */
import { finalizeEvent, generateSecretKey, getPublicKey, nip04, verifyEvent } from "nostr-tools";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { nowS } from "../support/clock.mjs";
import { KIND, RawApp } from "../support/raw-app.mjs";
import { RelaySocket } from "../support/relay-socket.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

/** How far a request's time may be off, in seconds. */
const WINDOW_S = 15 * 60;
/** Well outside it, whatever the machine is doing. */
const OUTSIDE_S = WINDOW_S + 120;

let server, account, app;
beforeAll(async () => {
  server = await startServer();
  account = await makeAccount(server);
  app = await RawApp.open(account.bunker_url);
  await app.connect();
});
afterAll(() => server?.stop());

describe("the relay, frame by frame", () => {
  let relay;
  beforeEach(async () => {
    relay = await RelaySocket.open(app.bunker.relays[0]);
  });
  afterEach(() => relay.close());

  const notice = () => relay.message(([type]) => type === "NOTICE", "NOTICE");

  test.each([
    ["no JSON", "{"],
    ["no array", '{"a":1}'],
    ["an empty array", "[]"],
    ["a number for a type", "[1]"],
    ["an unknown type", '["COUNT","x",{}]'],
    ["an EVENT without event", '["EVENT"]'],
    ["an EVENT that is no object", '["EVENT",7]'],
    ["a REQ without id", '["REQ"]'],
    ["a REQ with an empty id", '["REQ","",{}]'],
    ["a REQ with too long an id", JSON.stringify(["REQ", "x".repeat(65), {}])],
  ])("%s gets a NOTICE, and the socket lives on", async (_, frame) => {
    relay.send(frame);
    expect((await notice())[1]).toMatch(/^(invalid|unsupported): /);
    relay.send(["REQ", "alive", { kinds: [KIND], "#p": [app.pubkey] }]);
    await relay.message(([type, id]) => type === "EOSE" && id === "alive", "EOSE");
  });

  test("a frame over the limit gets a NOTICE that names the limit", async () => {
    relay.send(JSON.stringify(["EVENT", { content: "x".repeat(512 * 1024) }]));
    expect((await notice())[1]).toMatch(/^invalid: .*524288/);
  });

  test("a binary frame gets a NOTICE", async () => {
    relay.socket.send(Buffer.from([1, 2, 3]));
    expect((await notice())[1]).toMatch(/^invalid: /);
  });

  test.each([
    ["no recipient", [{ kinds: [KIND] }], /^restricted: /],
    ["no filter", [], /^invalid: /],
    ["a filter that is no object", [7], /^invalid: /],
    ["too many filters", Array(9).fill({ kinds: [KIND], "#p": ["00".repeat(32)] }), /^invalid: /],
  ])("a subscription with %s is CLOSED with the reason", async (_, filters, reason) => {
    relay.send(["REQ", "odd", ...filters]);
    const [, , text] = await relay.message(([type, id]) => type === "CLOSED" && id === "odd", "CLOSED");
    expect(text).toMatch(reason);
  });

  test("the seventeenth subscription is CLOSED, and replacing one is not", async () => {
    const filter = { kinds: [KIND], "#p": [app.pubkey] };
    for (let n = 0; n < 17; n++) relay.send(["REQ", `s${n}`, filter]);
    const [, id, text] = await relay.message(([type]) => type === "CLOSED", "CLOSED");
    expect([id, text]).toEqual(["s16", expect.stringMatching(/^rate-limited: /)]);
    relay.send(["CLOSE", "s0"]);
    relay.send(["REQ", "s1", filter]);
    relay.send(["REQ", "room", filter]);
    await relay.message(([type, of]) => type === "EOSE" && of === "room", "EOSE");
  });

  test("AUTH is not asked for, and answered with a refusal when it comes", async () => {
    const event = finalizeEvent({ kind: 22242, created_at: nowS(), tags: [], content: "" }, generateSecretKey());
    relay.send(["AUTH", event]);
    expect((await relay.ok(event.id)).accepted).toBe(false);
    expect(relay.frames.some((text) => text.startsWith('["AUTH"'))).toBe(false);
  });

  test("nothing is stored: a later subscription sees no earlier event", async () => {
    await app.ask("ping");
    relay.send(["REQ", "late", { kinds: [KIND], "#p": [app.pubkey, app.bunker.pubkey], since: 0 }]);
    await relay.message(([type, id]) => type === "EOSE" && id === "late", "EOSE");
    expect(relay.frames.some((text) => text.startsWith('["EVENT"'))).toBe(false);
  });

  test("a closed subscription gets nothing more", async () => {
    const filter = { kinds: [KIND], "#p": [app.pubkey] };
    relay.send(["REQ", "gone", filter]);
    relay.send(["REQ", "kept", filter]);
    relay.send(["CLOSE", "gone"]);
    relay.send(["REQ", "mark", filter]);
    await relay.message(([type, id]) => type === "EOSE" && id === "mark", "EOSE");
    await app.ask("ping");
    await relay.message(([type, id]) => type === "EVENT" && id === "mark", "EVENT");
    await relay.message(([type, id]) => type === "EVENT" && id === "kept", "EVENT");
    expect(relay.frames.some((text) => text.startsWith('["EVENT","gone"'))).toBe(false);
  });
});

describe("an event that is not taken gets OK false with a prefixed reason", () => {
  const refused = async (event, reason) => {
    app.relay.send(["EVENT", event]);
    const ok = await app.relay.ok(event.id);
    expect(ok).toEqual({ accepted: false, reason: expect.stringMatching(reason) });
  };
  const ping = (over) => app.event(app.request("ping", []), over);

  test("an unknown recipient", () => refused(ping({ tags: [["p", getPublicKey(generateSecretKey())]] }), /^blocked: /));
  test("the user's own key as recipient", () => refused(ping({ tags: [["p", account.pubkey]] }), /^blocked: /));
  test("no recipient", () => refused(ping({ tags: [] }), /^invalid: /));
  test("two recipients", () => refused(ping({ tags: [["p", app.bunker.pubkey], ["p", app.pubkey]] }), /^invalid: /));
  test("another kind", () => refused(ping({ kind: 1 }), /^blocked: /));
  test("a time long past", () => refused(ping({ created_at: nowS() - OUTSIDE_S }), /^invalid: /));
  test("a time far ahead", () => refused(ping({ created_at: nowS() + OUTSIDE_S }), /^invalid: /));
  test("content that does not decrypt", () => refused(ping({ content: "AAAA" }), /^invalid: /));
  test("a request without id", () => refused(app.event({ method: "ping", params: [] }), /^invalid: /));
  test("a request in NIP-04, for which there is no fallback", () =>
    refused(ping({ content: nip04.encrypt(app.secretKey, app.bunker.pubkey, JSON.stringify(app.request("ping", []))) }), /^invalid: /));

  test("a wrong signature", () => {
    const event = ping();
    const sig = event.sig.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    return refused({ ...event, sig }, /^invalid: /);
  });

  test("another event's signature", () => refused({ ...ping(), sig: ping().sig }, /^invalid: /));

  test("an id that is not the hash", () => {
    const event = ping();
    return refused({ ...event, id: event.id.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) }, /^invalid: /);
  });

  test("content changed after signing", () => refused({ ...ping(), content: ping().content }, /^invalid: /));
  test("a field of the wrong type", () => refused({ ...ping(), created_at: "now" }, /^invalid: /));
  test("a missing field", () => {
    const { sig: _, ...rest } = ping();
    return refused(rest, /^invalid: /);
  });

  test("and the socket still works", () => app.ask("ping"));
});

describe("a request", () => {
  test("is accepted, then answered by the connection's key to the client alone", async () => {
    const { event, reply, frame } = await app.ask("ping");
    expect(reply).toEqual({ id: expect.any(String), result: "pong" });
    const [, , answer] = JSON.parse(frame);
    expect(answer).toMatchObject({ kind: KIND, pubkey: app.bunker.pubkey, tags: [["p", app.pubkey]] });
    expect(verifyEvent(answer)).toBe(true);
    const at = (wanted) => app.relay.frames.findIndex(wanted);
    expect(at((text) => text.startsWith(`["OK","${event.id}",true`))).toBeLessThan(at((text) => text === frame));
  });

  test("that is refused is accepted all the same, and the error comes encrypted", async () => {
    const { reply } = await app.ask("no_such_method");
    expect(reply).toEqual({ id: expect.any(String), result: "error", error: expect.stringMatching(/unknown method: no_such_method/) });
  });

  test.each([
    ["no method", { id: "broken-1", params: [] }],
    ["no params", { id: "broken-2", method: "ping" }],
    ["a number among the params", { id: "broken-3", method: "ping", params: [7] }],
    ["nine params", { id: "broken-4", method: "ping", params: Array(9).fill("") }],
  ])("with %s gets an error under its id", async (_, request) => {
    const event = app.event(request);
    app.relay.send(["EVENT", event]);
    expect((await app.relay.ok(event.id)).accepted).toBe(true);
    const { reply } = await app.reply(request.id);
    expect(reply).toEqual({ id: request.id, result: "error", error: expect.any(String) });
  });

  test.each([
    ["sign_event", () => [note("once")]],
    ["nip44_encrypt", () => [getPublicKey(generateSecretKey()), "once"]],
    ["ping", () => []],
    ["no_such_method", () => []],
  ])("%s that is sent again gets the stored reply, byte for byte", async (method, params) => {
    const first = await app.ask(method, params());
    const requestId = first.reply.id;
    for (let again = 0; again < 2; again++) {
      app.relay.forget();
      app.relay.send(["EVENT", first.event]);
      expect((await app.relay.ok(first.event.id)).accepted).toBe(true);
      expect((await app.reply(requestId)).frame).toBe(first.frame);
    }
  });

  test("that is sent twice at once is carried out once", async () => {
    const request = app.request("sign_event", [note("twice at once")]);
    const event = app.event(request);
    app.relay.forget();
    app.relay.send(["EVENT", event]);
    app.relay.send(["EVENT", event]);
    const { frame } = await app.reply(request.id);
    await app.ask("ping");
    const replies = app.relay.frames.filter((text) => text.startsWith('["EVENT"') && app.open(JSON.parse(text)[2]).id === request.id);
    expect(new Set(replies)).toEqual(new Set([frame]));
    const happened = (await account.activity()).map(({ entry }) => entry).filter((entry) => entry.request === event.id);
    expect(happened.map(({ what }) => what)).toEqual(["request_admitted", "request_answered"]);
  });

  test("survives the end of the server: its stored reply comes again after a power cut", async () => {
    const first = await app.ask("sign_event", [note("before the cut")]);
    await server.kill9();
    await server.start();
    const later = await RawApp.open(account.bunker_url, app.secretKey);
    later.relay.send(["EVENT", first.event]);
    expect((await later.relay.ok(first.event.id)).accepted).toBe(true);
    expect((await later.reply(first.reply.id)).frame).toBe(first.frame);
    app = later;
  });
});

describe("the relay's address", () => {
  const relayUrl = () => app.bunker.relays[0];
  const httpUrl = () => relayUrl().replace(/^ws/, "http");

  test("describes the relay (NIP-11), for pages of any origin", async () => {
    const answer = await fetch(httpUrl(), { headers: { accept: "application/nostr+json" } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("application/nostr+json");
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    const document = await answer.json();
    expect(document.supported_nips).toEqual(expect.arrayContaining([1, 11, 46]));
    expect(document.limitation).toMatchObject({ max_message_length: 524288, auth_required: false });
  });

  test("works with a slash behind it too, as some clients write it", async () => {
    const answer = await fetch(`${httpUrl()}/`, { headers: { accept: "application/nostr+json" } });
    expect(answer.status).toBe(200);
    const relay = await RelaySocket.open(`${relayUrl()}/`);
    relay.send(["REQ", "slash", { kinds: [KIND], "#p": [app.pubkey] }]);
    await relay.message(([type, id]) => type === "EOSE" && id === "slash", "EOSE");
    await relay.close();
  });

  test("is no page", async () => {
    expect((await fetch(httpUrl())).status).toBe(426);
  });

  test.each([
    ["another tag", (id) => id.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))],
    ["another group", (id) => id.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))],
    ["no tag", (id) => id.slice(0, 32)],
    ["capitals", (id) => id.toUpperCase().replace(/^[0-9]/, "A")],
    ["something else", () => "nobody"],
  ])("with %s names no object into existence", async (_, change) => {
    const before = server.objectFiles("Bunker");
    const url = httpUrl().replace(/[^/]+$/, change);
    expect((await fetch(url, { headers: { accept: "application/nostr+json" } })).status).toBe(404);
    await expect(RelaySocket.open(url.replace(/^http/, "ws"))).rejects.toThrow(/404/);
    expect(server.objectFiles("Bunker")).toEqual(before);
  });
});
