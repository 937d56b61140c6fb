/** Ask mode on workerd: a request waits for its owner, and every holder takes only the owner's signed word for it. */
import { generateSecretKey, verifyEvent } from "nostr-tools";
import { BunkerSigner, parseBunkerInput } from "nostr-tools/nip46";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectProblem } from "../support/api.mjs";
import { nowS } from "../support/clock.mjs";
import { Device, freshId } from "../support/device.mjs";
import { PagesSocket } from "../support/pages-socket.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";

/** Requests may be fifteen minutes old, and wait until half a minute before that. */
const [WINDOW_S, MARGIN_S] = [15 * 60, 30];
const allow = (methods, kinds = "all") => ({ effect: "allow", methods, kinds, peers: "all", uses: null });
const askFor = (methods, kinds = "all") => ({ effect: "ask", methods, kinds, peers: "all", uses: null });
const ASK_EVERYTHING = { rules: [askFor("all")] };
const note = (content, over = {}) => ({ kind: 1, created_at: nowS(), tags: [], content, ...over });

let server, owner, key;
beforeAll(async () => {
  server = await startServer();
  owner = await Device.signedIn(server);
});
beforeEach(async () => {
  key = await owner.makeKey();
});
afterAll(() => server?.stop());

const path = (rest = "") => `/keys/${key.group}${rest}`;
const next = async () => (await owner.ask("GET", path())).body.sequence + 1;
const waiting = async () => (await owner.ask("GET", path("/requests"))).body.requests;

/** An app with a connection of these terms, connected. */
async function appWith(over = {}) {
  const grant = owner.grant(key.group, await next(), { policy: ASK_EVERYTHING, ...over });
  const made = await owner.ask("POST", path("/connections"), { json: grant.body });
  expect(made.status, made.text).toBe(201);
  const app = await RawApp.open(`${made.body.bunker_url}&secret=${grant.secret}`);
  await app.connect();
  return Object.assign(app, { connection: grant.connection });
}

/** Sends a request and gives what is told at once: OK, and the address of the page if there is one. */
async function send(app, method, params, over = {}) {
  const request = app.request(method, params);
  const event = app.event(request, over);
  app.relay.send(["EVENT", event]);
  expect(await app.relay.ok(event.id)).toEqual({ accepted: true, reason: "" });
  return { id: request.id, event };
}

const sign = (app, template, over) => send(app, "sign_event", [JSON.stringify(template)], over);
const replies = (app, id) => app.relay.frames.filter((it) => JSON.parse(it)[0] === "EVENT").map((it) => app.open(JSON.parse(it)[2])).filter((it) => it.id === id);

/** The answer to a request, past the address of the page. */
async function answer(app, id) {
  let reply;
  await app.relay.frame((text) => {
    const [type, , event] = JSON.parse(text);
    if (type !== "EVENT") return false;
    reply = app.open(event);
    return reply.id === id && reply.result !== "auth_url";
  }, `answer to ${id}`);
  return reply;
}

async function decide(verb, request, over = {}) {
  const { connection, method, kind } = request;
  const content = { group: key.group, seq: await next(), verb, connection, request: request.request };
  if (verb === "approve") Object.assign(content, { method, kind, remember: null });
  const statement = owner.sign({ ...content, ...over });
  return { statement, answer: await owner.ask("POST", path(`/requests/${request.request}/${verb}`), { json: { statement } }) };
}

async function waitsFor(app, event) {
  await expect.poll(async () => (await waiting()).map((it) => it.request), { timeout: 20_000 }).toContain(event.id);
  return (await waiting()).find((it) => it.request === event.id);
}

describe("a request that the grant says to ask about", () => {
  test("waits, is shown in full, and is answered once it is approved", async () => {
    const app = await appWith();
    const template = note("shall I?", { tags: [["t", "asking"]] });
    const { id, event } = await sign(app, template);
    const shown = await waitsFor(app, event);
    expect(shown).toMatchObject({ request: event.id, connection: app.connection, method: "sign_event", kind: 1, template });
    expect(replies(app, id)).toEqual([{ id, result: "auth_url", error: `${server.url}/approve/${event.id}` }]);
    const { answer: decided } = await decide("approve", shown);
    expect([decided.status, decided.body]).toEqual([200, { request: event.id, status: "approved" }]);
    const signed = JSON.parse((await answer(app, id)).result);
    expect(signed).toMatchObject({ ...template, pubkey: key.pubkey });
    expect(verifyEvent(signed)).toBe(true);
    expect(await waiting()).toEqual([]);
    // The next one like it waits again.
    const again = await sign(app, note("and now?"));
    await decide("deny", await waitsFor(app, again.event));
    expect((await answer(app, again.id)).result).toBe("error");
    await app.close();
  });

  test("gets no address where the connection says so, and is answered all the same", async () => {
    const app = await appWith({ auth_url: false });
    const { id, event } = await sign(app, note("quietly"));
    await decide("approve", await waitsFor(app, event));
    expect(verifyEvent(JSON.parse((await answer(app, id)).result))).toBe(true);
    expect(replies(app, id)).toHaveLength(1);
    await app.close();
  });

  test("sent twice is held once, and gets one address", async () => {
    const app = await appWith();
    const { id, event } = await sign(app, note("once"));
    await waitsFor(app, event);
    app.relay.send(["EVENT", event]);
    const retry = app.event({ id, method: "sign_event", params: [JSON.stringify(note("once"))] });
    app.relay.send(["EVENT", retry]);
    await app.relay.ok(retry.id);
    await waitsFor(app, retry);
    expect(replies(app, id)).toHaveLength(1);
    for (const it of await waiting()) await decide("deny", it);
    await app.close();
  });

  test("that is denied is answered with an error, and never signed", async () => {
    const app = await appWith();
    const { id, event } = await sign(app, note("no"));
    const { answer: denied } = await decide("deny", await waitsFor(app, event));
    expect(denied.body).toEqual({ request: event.id, status: "denied" });
    expect(await answer(app, id)).toMatchObject({ result: "error", error: expect.stringMatching(/owner/) });
    expectProblem((await decide("approve", { request: event.id, connection: app.connection, method: "sign_event", kind: 1 })).answer, 404, "no_such_request");
    await app.close();
  });

  test("whose owner does not answer gets an error when its time is over", async () => {
    const app = await appWith({ auth_url: false });
    const { id, event } = await sign(app, note("anybody there?"), { created_at: nowS() - (WINDOW_S - MARGIN_S - 4) });
    await waitsFor(app, event);
    expect(await answer(app, id)).toMatchObject({ result: "error", error: expect.stringMatching(/in time/) });
    expect(await waiting()).toEqual([]);
    await app.close();
  });

  test("is remembered for what is like it, and for nothing else", async () => {
    const app = await appWith();
    const first = await sign(app, note("always"));
    await decide("approve", await waitsFor(app, first.event), { remember: { until: null } });
    await answer(app, first.id);
    const { reply } = await app.ask("sign_event", [JSON.stringify(note("again"))]);
    expect(verifyEvent(JSON.parse(reply.result))).toBe(true);
    const other = await sign(app, note("{}", { kind: 0 }));
    await decide("deny", await waitsFor(app, other.event));
    const [listed] = (await owner.ask("GET", path("/connections"))).body.connections.filter((it) => it.connection === app.connection);
    expect(listed.allowances).toEqual([{ method: "sign_event", kind: 1, until: null }]);
    await app.close();
  });

  test("and those that wait beside it are answered together when it is remembered", async () => {
    const app = await appWith({ auth_url: false });
    const sent = [];
    for (let n = 0; n < 5; n += 1) sent.push(await sign(app, note(`burst ${n}`)));
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(5);
    await decide("approve", (await waiting())[0], { remember: { until: nowS() + 3600 } });
    for (const { id } of sent) expect(verifyEvent(JSON.parse((await answer(app, id)).result))).toBe(true);
    expect(await waiting()).toEqual([]);
    await app.close();
  });

  test("is told over the pages' socket, and so is its end", async () => {
    const page = await PagesSocket.open(server, key.group, owner.token);
    const app = await appWith();
    await page.hint("connections");
    const { event } = await sign(app, note("live"));
    await page.hint("requests");
    expect((await waiting()).map((it) => it.request)).toEqual([event.id]);
    await decide("deny", (await waiting())[0]);
    await page.hint("requests");
    expect(page.hints.every((hint) => Object.keys(hint).every((name) => ["type", "n", "taken"].includes(name)))).toBe(true);
    page.close();
    await app.close();
  });

  test("asks of nostr-tools by its own callback", async () => {
    const grant = owner.grant(key.group, await next(), { policy: { rules: [allow(["get_public_key"]), askFor(["sign_event"])] } });
    const made = await owner.ask("POST", path("/connections"), { json: grant.body });
    const pointer = await parseBunkerInput(`${made.body.bunker_url}&secret=${grant.secret}`);
    const addresses = [];
    const signer = BunkerSigner.fromBunker(generateSecretKey(), pointer, { onauth: (url) => addresses.push(url) });
    await signer.connect();
    const signing = signer.signEvent(note("with nostr-tools"));
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(1);
    const [request] = await waiting();
    await decide("approve", request);
    expect(verifyEvent(await signing)).toBe(true);
    expect(addresses).toEqual([`${server.url}/approve/${request.request}`]);
    await signer.close();
  });
});

describe("the owner's word", () => {
  test("about one request does not hold for another, and a refusal leaves both waiting", async () => {
    const app = await appWith({ auth_url: false });
    const [one, two] = [await sign(app, note("one")), await sign(app, note("two"))];
    await waitsFor(app, two.event);
    const shown = (await waiting()).find((it) => it.request === one.event.id);
    const statement = owner.sign({ group: key.group, seq: await next(), verb: "approve", connection: app.connection, request: one.event.id, method: "sign_event", kind: 1, remember: null });
    expectProblem(await owner.ask("POST", path(`/requests/${two.event.id}/approve`), { json: { statement } }), 422, "statement_misplaced");
    expectProblem((await decide("approve", shown, { kind: 7 })).answer, 422, "statement_misplaced");
    expectProblem((await decide("approve", shown, { connection: freshId() })).answer, 404, "not_found");
    expect((await waiting()).map((it) => it.request).sort()).toEqual([one.event.id, two.event.id].sort());
    for (const it of await waiting()) await decide("deny", it);
    await app.close();
  });

  test("is not taken from another account, whatever it signs", async () => {
    const stranger = await Device.signedIn(server);
    const app = await appWith({ auth_url: false });
    const { event } = await sign(app, note("mine"));
    const shown = await waitsFor(app, event);
    const content = { group: key.group, seq: await next(), verb: "approve", connection: app.connection, request: event.id, method: "sign_event", kind: 1, remember: null };
    const theirs = stranger.sign(content);
    expectProblem(await stranger.ask("POST", path(`/requests/${event.id}/approve`), { json: { statement: theirs } }), 404, "not_found");
    expectProblem(await owner.ask("POST", path(`/requests/${event.id}/approve`), { json: { statement: theirs } }), 403, "statement_not_by_owner");
    await expect(PagesSocket.open(server, key.group, stranger.token)).rejects.toMatchObject({ status: 404 });
    await expect(PagesSocket.open(server, key.group, "not.a.token")).rejects.toMatchObject({ status: 401 });
    await decide("deny", shown);
    await app.close();
  });

  test("given twice is taken once", async () => {
    const app = await appWith({ auth_url: false });
    const { id, event } = await sign(app, note("twice"));
    const { statement } = await decide("approve", await waitsFor(app, event));
    await answer(app, id);
    const again = await owner.ask("POST", path(`/requests/${event.id}/approve`), { json: { statement } });
    expect([again.status, again.body.status]).toEqual([200, "approved"]);
    expect(replies(app, id)).toHaveLength(1);
    await app.close();
  });

  test("about a login that has gone stale signs nothing", async () => {
    const app = await appWith({ policy: { rules: [allow("all")] } });
    const stale = { kind: 27235, created_at: nowS() - 120, tags: [["u", "https://passport-e2e.dev"], ["method", "GET"]], content: "" };
    const { reply } = await app.ask("sign_event", [JSON.stringify(stale)]);
    expect(reply).toMatchObject({ result: "error", error: expect.stringMatching(/not of this minute/) });
    const { reply: fresh } = await app.ask("sign_event", [JSON.stringify({ ...stale, created_at: nowS() })]);
    expect(verifyEvent(JSON.parse(fresh.result))).toBe(true);
    await app.close();
  });

  test("to pause, edit and resume holds at once", async () => {
    const app = await appWith({ policy: { rules: [allow("all")] } });
    const change = async (content) => {
      const statement = owner.sign({ group: key.group, seq: await next(), connection: app.connection, ...content });
      const changed = await owner.ask("PATCH", path(`/connections/${app.connection}`), { json: { statement } });
      expect(changed.status, changed.text).toBe(200);
      return changed.body.status;
    };
    const signNote = async (kind = 1) => (await app.ask("sign_event", [JSON.stringify(note("x", { kind }))])).reply;
    expect(await change({ verb: "pause" })).toBe("paused");
    expect(await signNote()).toMatchObject({ result: "error", error: expect.stringMatching(/paused/) });
    expect(await change({ verb: "resume" })).toBe("connected");
    expect((await signNote()).error).toBeUndefined();
    expect(await change({ verb: "edit", label: "Only reactions", policy: { rules: [allow(["sign_event"], [7])] }, expires_at: null, auth_url: true })).toBe("connected");
    expect(await signNote()).toMatchObject({ result: "error", error: expect.stringMatching(/not allowed/) });
    expect((await signNote(7)).error).toBeUndefined();
    const [listed] = (await owner.ask("GET", path("/connections"))).body.connections.filter((it) => it.connection === app.connection);
    expect(listed.label).toBe("Only reactions");
    await app.close();
  });

  test("to revoke answers what waits", async () => {
    const app = await appWith({ auth_url: false });
    const { id, event } = await sign(app, note("too late"));
    await waitsFor(app, event);
    await owner.ask("DELETE", path(`/connections/${app.connection}`), { json: owner.revocation(key.group, await next(), app.connection) });
    expect(await answer(app, id)).toMatchObject({ result: "error", error: expect.stringMatching(/revoked/) });
    expect(await waiting()).toEqual([]);
    await app.close();
  });
});

test("what waits is still there after a power cut, and is carried out when it is approved then", async () => {
  const app = await appWith({ auth_url: false });
  const { event } = await sign(app, note("across a power cut"));
  await waitsFor(app, event);
  await server.kill9();
  await server.start();
  const [shown] = await waiting();
  expect(shown.template.content).toBe("across a power cut");
  const back = await RawApp.open(`bunker://${app.bunker.pubkey}?relay=${encodeURIComponent(app.bunker.relays[0])}&secret=${app.bunker.secret}`, app.secretKey);
  await decide("approve", shown);
  back.relay.send(["EVENT", event]); // an app that comes back asks again
  const reply = await answer(back, JSON.parse(JSON.stringify(app.open({ content: event.content }))).id);
  expect(verifyEvent(JSON.parse(reply.result))).toBe(true);
  await back.close();
});
