/** The judge of the page tests is judged: whatever way a page leaks by, it is heard. */
import { generateSecretKey, nip19 } from "nostr-tools";
import { WebSocketServer } from "ws";
import { createServer } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { launchBrowser, newProfile } from "../support/browser.mjs";
import { Watched } from "../support/browser-secrets.mjs";
import { Tap } from "../support/browser-tap.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";

const PASSWORD = 'Grün "wolkenbruch" \\ 7319';
const KEY = Buffer.from(generateSecretKey());
const SECRETS = [Watched.text("password", PASSWORD), Watched.key("key", KEY)];

/** Ways out of a page. Each gets the text that leaks. */
const WAYS = {
  "a request's body": (text) => fetch("/body", { method: "POST", body: text }),
  "a request's address": (text) => fetch(`/at?${encodeURIComponent(text)}`),
  "a header": (text) => fetch("/header", { headers: { "x-leak": encodeURIComponent(text) } }),
  "an image's address": (text) => void (new Image().src = `/image?${encodeURIComponent(text)}`),
  "a beacon": (text) => void navigator.sendBeacon("/beacon", text),
  "a WebSocket": (text) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://${location.host}/`);
      socket.onopen = () => (socket.send("x".repeat(70_000)), socket.send(text));
      socket.onmessage = resolve;
    }),
  "a WebSocket's protocol": (text) => void new WebSocket(`ws://${location.host}/`, ["a", encodeURIComponent(text).replaceAll("%", "_")]),
  "a worker's request": (text) => worker(`fetch("/body", { method: "POST", body: ${JSON.stringify(text)} }).then(() => postMessage(1))`),
  "a worker's WebSocket": (text) =>
    worker(`const s = new WebSocket("ws://${location.host}/"); s.onopen = () => s.send(${JSON.stringify(text)}); s.onmessage = () => postMessage(1)`),
  "the page's address": (text) => void history.pushState(null, "", `/?${encodeURIComponent(text)}`),
  "the console": (text) => console.log(text),
  "an uncaught error": (text) => void setTimeout(() => { throw new Error(text); }),
  "the browser's storage": (text) => localStorage.setItem("x", text),
};
/** Forms in which a key leaks. */
const KEY_FORMS = {
  hex: KEY.toString("hex"),
  "capital hex": KEY.toString("hex").toUpperCase(),
  base64: KEY.toString("base64"),
  base64url: KEY.toString("base64url"),
  "base64 behind one byte": Buffer.concat([Buffer.from([1]), KEY, Buffer.from("more")]).toString("base64"),
  "base64 behind two bytes": Buffer.concat([Buffer.from([1, 2]), KEY, Buffer.from("more")]).toString("base64"),
  nsec: nip19.nsecEncode(KEY),
  "an array": JSON.stringify([...KEY]),
};
const PASSWORD_FORMS = {
  "as it is": PASSWORD,
  JSON: JSON.stringify({ password: PASSWORD }),
  "JSON in JSON": JSON.stringify({ content: JSON.stringify({ password: PASSWORD }) }),
  "a form": new URLSearchParams({ password: PASSWORD }).toString(),
  hex: Buffer.from(PASSWORD).toString("hex"),
  base64: Buffer.from(`:${PASSWORD}`).toString("base64"),
};

let browser, server, sockets, tap, profile, wiretap, page;

beforeAll(async () => {
  browser = await launchBrowser();
  server = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("content-type", "text/html").end("<!doctype html><title>A page</title>"));
  });
  sockets = new WebSocketServer({ server, handleProtocols: () => "a" });
  sockets.on("connection", (socket) => socket.on("message", (data) => data.length < 70_000 && socket.send("heard")));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});
beforeEach(async () => {
  tap = await Tap.open();
  tap.leadTo(server.address().port);
  profile = await newProfile(browser);
  wiretap = Wiretap.on(profile, tap);
  page = await profile.newPage();
  await page.goto(`http://localhost:${tap.port}/`);
  await page.evaluate(() => {
    globalThis.worker = (code) =>
      new Promise((resolve) => {
        const made = new Worker(URL.createObjectURL(new Blob([code.replaceAll('"/body"', `"${location.origin}/body"`)])));
        made.onmessage = resolve;
      });
  });
});
afterEach(async () => {
  await profile?.close();
  await tap?.close();
});
afterAll(async () => {
  await browser?.close();
  sockets?.close();
  server?.closeAllConnections();
  server?.close();
});

const leak = async (way, text) => {
  await page.evaluate(`(${way})(${JSON.stringify(text)})`);
  await page.waitForTimeout(150);
};

describe("a leak is heard", () => {
  test("when there is none, nothing is", async () => {
    await page.evaluate(() => fetch("/body", { method: "POST", body: "nothing secret" }));
    expect(await wiretap.leaks(SECRETS)).toEqual([]);
    expect(wiretap.foreignTo(`http://localhost:${tap.port}`)).toEqual([]);
    expect(wiretap.troubles()).toEqual([]);
    expect(wiretap.requests).toBeGreaterThan(1);
  });

  test.each(Object.keys(WAYS))("through %s", async (name) => {
    await leak(WAYS[name], KEY.toString("hex"));
    expect((await wiretap.leaks(SECRETS)).join()).toMatch(/key, in hex/);
  });

  test.each(Object.keys(KEY_FORMS))("of a key as %s", async (form) => {
    await leak(WAYS["a request's body"], KEY_FORMS[form]);
    expect((await wiretap.leaks(SECRETS)).join()).toMatch(/key, /);
  });

  test.each(Object.keys(PASSWORD_FORMS))("of a password as %s", async (form) => {
    await leak(WAYS["a request's body"], PASSWORD_FORMS[form]);
    expect((await wiretap.leaks(SECRETS)).join()).toMatch(/password, /);
  });

  test.each(["a WebSocket", "a worker's WebSocket", "a worker's request", "a beacon"])("on the line alone, through %s", async (name) => {
    await leak(WAYS[name], KEY.toString("hex"));
    expect(tap.sent().some((bytes) => SECRETS[1].foundIn(bytes))).toBe(true);
  });
});

test("another origin that is asked, and a page that complains, are noticed", async () => {
  await page.evaluate(() => fetch("http://other.example/").catch(() => console.error("did not work")));
  expect(wiretap.foreignTo(`http://localhost:${tap.port}`)).toEqual(["http://other.example"]);
  expect(wiretap.troubles().join()).toMatch(/did not work/);
});
