/**
 * What goes wrong with people, browsers and connections: each gets a message that a person understands, in the page,
 * with nothing half-done, and the service stays up.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { bech32 } from "@scure/base";
import { generateSecretKey, getPublicKey, nip19, verifyEvent } from "nostr-tools";
import * as nip49 from "nostr-tools/nip49";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, workerLog } from "../support/api.mjs";
import { launchBrowser, newProfile } from "../support/browser.mjs";
import { App } from "../support/browser-app.mjs";
import { Person } from "../support/browser-person.mjs";
import { startSite } from "../support/browser-site.mjs";

const LONG = { timeout: 120_000 };
const KIT = (text) => ({ name: "mine.kit.json", mimeType: "application/json", buffer: Buffer.from(text) });

let site, browser, owner, stranger;

beforeAll(async () => {
  site = await startSite();
  browser = await launchBrowser();
  stranger = await newPerson();
  await stranger.register();
  await stranger.makeIdentity({ label: "Of another" });
  await stranger.page.context().close();
  owner = await newPerson();
  await owner.register();
  await owner.makeIdentity({ label: "Mine" });
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
});
afterEach(async () => {
  expect((await fetch(`${site.server.url}/healthz`)).status).toBe(200);
  const failed = workerLog(site.server).split("\n").filter((line) => /"status":5\d\d|panicked|"level":"error"/.test(line));
  expect(failed, "the server's log").toEqual([]);
});

async function newPerson() {
  const profile = await newProfile(browser);
  const person = new Person(await profile.newPage(), site);
  profile.on("request", (request) => {
    const [, token] = /^Bearer (ey.+)$/.exec(request.headers().authorization ?? "") ?? [];
    if (token) person.token = token;
  });
  return person;
}

/** Asks the server beside the page, as the person who is signed in there. */
async function read(person, path) {
  const answer = await ask(site.server, "GET", path, { token: person.token });
  expect(answer.status, answer.text).toBe(200);
  return answer.body;
}

/** Everything that is on record for the first identity of a person. */
async function record(person) {
  const { keys } = await read(person, "/keys");
  const entries = [];
  for (let after = 0; after !== null; ) {
    const { records, next } = await read(person, `/keys/${keys[0].group}/activity?limit=200&after=${after}`);
    entries.push(...records.map((it) => it.entry));
    after = next;
  }
  return entries;
}

/** Counts what a page sends to a path, from now on. */
function sends(page, method, path) {
  const counted = { times: 0 };
  page.on("request", (request) => {
    if (request.method() === method && new URL(request.url()).pathname === path) counted.times += 1;
  });
  return counted;
}

/** A connected app of the owner. */
async function appOf(person, preset = "Ask me every time", name = `App ${randomBytes(3).toString("hex")}`) {
  const { url, connection } = await person.connect(name, preset);
  return Object.assign(await App.connect(url), { connection, name });
}

describe("somebody who registers", () => {
  let person;
  beforeEach(async () => {
    person = await newPerson();
    await person.open("/register");
  });
  afterEach(() => person.page.context().close());

  const WEAK = [
    ["too short", "kurz9 Wo", /at least 10 characters/],
    ["a common word with decoration", "P4ssword2024!", /tried first/],
    ["a walk over the keyboard", "qwertyuiop", /tried first/],
    ["their own name", null, /username/],
  ];
  test.each(WEAK)("with a password that is %s is told so, and nothing is sent", async (_, password, words) => {
    const sent = sends(person.page, "POST", "/auth/register");
    const typed = password ?? `${person.username}1`;
    await person.field("Username").fill(person.username);
    await person.field("Password").fill(typed);
    await person.field("Password again").fill(typed);
    await person.button("Create the account").click();
    await person.page.getByText(words).first().waitFor();
    expect(sent.times).toBe(0);
  });

  test("with two passwords that differ is told so, and nothing is sent", async () => {
    const sent = sends(person.page, "POST", "/auth/register");
    await person.fillRegistration();
    await person.field("Password again").fill(`${person.password}x`);
    await person.button("Create the account").click();
    await person.page.getByText("The two are not the same").waitFor();
    expect(sent.times).toBe(0);
  });

  test("under a name that is taken is told so, and keeps what was typed", async () => {
    person.username = owner.username;
    await person.fillRegistration();
    await person.button("Create the account").click();
    await person.page.getByText("Somebody already has this name").waitFor(LONG);
    expect(await person.field("Password").inputValue()).toBe(person.password);
    person.username = `free-${randomBytes(4).toString("hex")}`;
    await person.field("Username").fill(person.username);
    await person.button("Create the account").click();
    await person.heading("Add an identity").waitFor(LONG);
  });

  test("and whose answer is lost on its way has the account all the same", async () => {
    await loseAnswers(person.page, "**/auth/register", 1);
    await person.fillRegistration();
    await person.button("Create the account").click();
    await person.heading("Add an identity").waitFor(LONG);
  });
});

describe("a key that cannot be brought", () => {
  let person;
  beforeAll(async () => {
    person = await newPerson();
    await person.register();
  });
  afterAll(() => person.page.context().close());

  const nsec = nip19.nsecEncode(generateSecretKey());
  const swapped = nsec.slice(0, 20) + (nsec[20] === "q" ? "p" : "q") + nsec.slice(21);
  const BAD = [
    ["an npub", nip19.npubEncode(getPublicKey(generateSecretKey()))],
    ["an nsec with one wrong letter", swapped],
    ["an nsec that is cut off", nsec.slice(0, -3)],
    ["63 hex digits", "a".repeat(63)],
    ["a key of zeros", "0".repeat(64)],
    ["a key beyond the curve's order", "f".repeat(64)],
    ["words", "correct horse battery staple"],
    ["a bunker address", `bunker://${"ab".repeat(32)}?relay=wss://relay.example`],
  ];
  test.each(BAD)("%s is refused in words", async (_, secret) => {
    await person.chooseKey({ secret });
    await person.unlockIfAsked(person.page.getByText(/^This is no secret key/));
    await person.open("/");
    await person.page.getByText("You have no identity here yet").waitFor();
  });

  test("an encrypted key with a wrong password is refused, and opens with the right one", async () => {
    const key = generateSecretKey();
    await person.chooseKey({ secret: nip49.encrypt(key, "right", 16), password: "wrong" });
    await person.unlockIfAsked(person.page.getByText("The key does not open with this password"));
    await person.field("Password of the encrypted key").fill("right");
    await person.button("Continue").click();
    await person.heading("Is this you?").waitFor(LONG);
    await person.page.getByText(nip19.npubEncode(getPublicKey(key))).waitFor();
  });

  test.each([21, 22, 40, 255])("an encrypted key at a cost of 2^%i is refused at once", async (logN) => {
    await person.open("/identity/new");
    await person.chooseKey({ secret: costly(logN), password: "any" });
    const refused = person.page.getByText(/GiB|too costly|too much/).first();
    await person.prompt.or(refused).first().waitFor();
    if (await person.prompt.isVisible()) await person.confirm();
    await refused.waitFor(LONG);
    expect(await person.page.getByRole("progressbar", { name: "Decrypting the key on this device" }).count()).toBe(0);
  });

  test("and the browser has made nothing of any of it", async () => {
    await person.open("/");
    await person.page.getByText("You have no identity here yet").waitFor();
  });
});

describe("a kit that does not fit", () => {
  test("under a wrong passphrase stays shut when it is checked; nothing is made until it opens", async () => {
    const person = await newPerson();
    await person.register();
    const made = sends(person.page, "POST", "/keys");
    await person.chooseKey();
    const { path } = await person.takeKit();
    await person.checkKit(path, "not the passphrase");
    await person.page.getByText("This is not the kit's passphrase").waitFor(LONG);
    expect(made.times).toBe(0);

    await person.giveKit(KIT(stranger.identities[0].kit), stranger.passphrase);
    await person.button("Check the kit and make the identity").click();
    await person.page.getByText("it belongs to another account").waitFor(LONG);
    await person.giveKit(KIT("{}"), person.passphrase);
    await person.button("Check the kit and make the identity").click();
    await person.page.getByText("This is not a recovery kit").waitFor(LONG);
    const kit = JSON.parse(readFileSync(path, "utf8"));
    kit.ciphertext = Buffer.from(kit.ciphertext, "base64").map((byte, n) => (n === 3 ? byte ^ 1 : byte)).toString("base64");
    await person.giveKit(KIT(JSON.stringify(kit)), person.passphrase);
    await person.button("Check the kit and make the identity").click();
    await person.page.getByText("the kit was changed or damaged").waitFor(LONG);
    expect(made.times).toBe(0);

    await person.giveKit(path, person.passphrase);
    await person.button("Check the kit and make the identity").click();
    await person.heading("Your identity is ready").waitFor(LONG);
    expect(made.times).toBe(1);
    await person.page.context().close();
  });

  test("under a wrong passphrase, or of an account that is not here, recovers nothing", async () => {
    const person = await newPerson();
    await person.open("/recover");
    await person.giveKit(KIT(owner.identities[0].kit), "not the passphrase");
    await person.button("Open the kit").click();
    await person.page.getByText("This is not the kit's passphrase").waitFor(LONG);

    // A kit made on another server opens, and then belongs to nobody here.
    const elsewhere = await startSite();
    const other = new Person(person.page, elsewhere);
    await other.register();
    const { kit } = await other.makeIdentity();
    await elsewhere.stop();
    await person.open("/recover");
    await person.giveKit(KIT(kit), other.passphrase);
    await person.button("Open the kit").click();
    await person.heading("The kit is good").waitFor(LONG);
    await person.field("New password").fill(person.password);
    await person.field("New password again").fill(person.password);
    await person.button("Set the password and sign in").click();
    await person.page.getByText("This kit does not open an account here").waitFor(LONG);
    await person.page.context().close();

    await owner.open("/");
    await owner.arrive();
  });
});

describe("two tabs that act at once", () => {
  let tabs;
  beforeEach(async () => {
    tabs = await Promise.all([0, 1].map(async () => owner.at(await owner.page.context().newPage())));
  });
  afterEach(() => Promise.all(tabs.map(({ page }) => page.close())));

  /** Both tabs on one app, with the owner key open in each. */
  async function bothAt(connection) {
    for (const tab of tabs) {
      await tab.open(`/apps/${connection}`);
      await tab.button(tab.username).click();
      await tab.button("Unlock it now").click();
      await tab.confirm();
      await tab.prompt.waitFor({ state: "hidden", ...LONG });
    }
  }

  /** Presses them in the same moment. One tab may hear of the other's press first, and its button is gone: no fault. */
  async function pressedAtOnce(buttons) {
    const presses = await Promise.allSettled(buttons.map((button) => button.dispatchEvent("click", {}, { timeout: 5000 })));
    expect(presses.map(({ status }) => status)).toContain("fulfilled");
  }

  test("revoke the same app: it is revoked, and both say so", async () => {
    const app = await appOf(owner, "Post notes");
    await bothAt(app.connection);
    for (const tab of tabs) await tab.button("Revoke").click();
    await pressedAtOnce(tabs.map((tab) => tab.button("Revoke", tab.page.getByRole("dialog"))));
    for (const tab of tabs) {
      await tab.page.getByText(/Revoked\. It can do nothing|Its permission has ended|has ended|was revoked/).first().waitFor(LONG);
      expect(await tab.page.getByText(/made a mistake|has a problem/).count()).toBe(0);
    }
    await expect(app.sign({})).rejects.toMatch(/revoked/);
    await app.close();
  });

  test("change the same app: both arrive, one after the other", async () => {
    const app = await appOf(owner, "Post notes");
    await bothAt(app.connection);
    for (const [n, tab] of tabs.entries()) {
      await tab.button("Change").click();
      await tab.field("Name of the app").fill(`Changed by ${n}`);
    }
    await Promise.all(tabs.map((tab) => tab.button("Save").click()));
    for (const tab of tabs) await tab.page.getByText("Saved. It holds from now on.").waitFor(LONG);
    await tabs[0].open(`/apps/${app.connection}`);
    await tabs[0].page.getByRole("heading", { level: 1, name: /^Changed by [01]$/ }).waitFor();
    expect(verifyEvent(await app.sign({ content: "as allowed" }))).toBe(true);
    await app.close();
  });

  test("answer the same request: it is answered once", async () => {
    const app = await appOf(owner);
    await bothAt(app.connection);
    const asked = app.sign({ content: "for two tabs" });
    const cards = [];
    for (const tab of tabs) {
      await tab.page.getByRole("link", { name: /^Approvals/ }).first().click();
      const card = tab.cards("for two tabs");
      await card.waitFor();
      cards.push(card);
    }
    await tabs[0].page.waitForTimeout(800);
    await pressedAtOnce(cards.map((card) => card.getByRole("button", { name: "Approve once" })));
    for (const card of cards) await card.getByText(/^(Approved|It was approved|It is no longer waiting)$/).waitFor(LONG);
    expect(verifyEvent(await asked)).toBe(true);
    await app.close();
  });

  test("need new tokens: they take turns, and nobody is signed out", async () => {
    const more = await Promise.all([1, 2, 3, 4].map(async () => owner.at(await owner.page.context().newPage())));
    const all = [...tabs, ...more];
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(all.map((tab) => tab.page.goto(`${site.url}/apps`)));
      await Promise.all(all.map((tab) => tab.heading("Apps").waitFor()));
    }
    await Promise.all(more.map(({ page }) => page.close()));
  });

  test("and one signs out everywhere: the other says so and shows nothing more", async () => {
    const person = await newPerson();
    await person.register();
    const other = person.at(await person.page.context().newPage());
    await other.open("/security");
    await person.open("/security");
    await person.button("Sign out everywhere").click();
    await person.button("Sign out everywhere", person.page.getByRole("dialog")).click();
    await other.page.getByText(/signed out|Sign in/).first().waitFor();
    await other.heading("Sign in").waitFor();
    await person.page.context().close();
  });
});

describe("tokens", () => {
  test("of a key that was rotated are good while the old key is known, and are renewed unseen when it is not", async () => {
    const person = await newPerson();
    await person.register();
    await person.open("/security");
    const refreshed = sends(person.page, "POST", "/auth/refresh");
    const visit = async (name, heading) => {
      await person.page.getByRole("link", { name }).first().click();
      await person.heading(heading).waitFor(LONG);
    };
    const file = join(site.server.folder, "secrets.env");
    const before = readFileSync(file, "utf8");
    const old = before.match(/^JWT_SIGNING_KEY=(\w+)$/m)[1];
    const rotated = before.replace(/^JWT_SIGNING_KEY=.*$/m, `JWT_SIGNING_KEY=${randomBytes(32).toString("hex")}`);

    await site.server.stop();
    writeFileSync(file, `${rotated}\nJWT_SIGNING_KEY_PREVIOUS=${old}\n`);
    await site.server.start();
    await visit("Home", `Hello, ${person.username}`);
    expect(refreshed.times).toBe(0);

    await site.server.stop();
    writeFileSync(file, rotated);
    await site.server.start();
    await visit("Security", "Security");
    await person.page.getByText("this one").waitFor(LONG);
    expect(refreshed.times).toBe(1);
    expect(await person.page.getByText(/signed out|did not answer|went wrong/i).count()).toBe(0);
    await person.page.context().close();
  });

  test("that are used a second time end the session, and the page says so", async () => {
    const person = await newPerson();
    await person.register();
    const stolen = await refreshTokenOf(person.page);
    await person.open("/");
    await person.arrive();
    expect(await refreshTokenOf(person.page)).not.toBe(stolen);
    await person.page.waitForTimeout(11_000); // for ten seconds it counts as the same try
    const replay = await fetch(`${site.url}/auth/refresh`, { method: "POST", headers: { authorization: `Bearer ${stolen}` } });
    expect([replay.status, (await replay.json()).code]).toEqual([401, "refresh_token_reused"]);
    await person.page.getByRole("link", { name: "Security" }).first().click();
    await person.page.getByText("Your session has ended").waitFor(LONG);
    await person.field("Username").fill(person.username);
    await person.field("Password").fill(person.password);
    await person.button("Sign in", person.page.getByRole("main")).click();
    await person.heading("Security").waitFor(LONG);
    await person.page.context().close();
  });

  test("whose renewal was lost on its way are renewed by trying again", async () => {
    const person = await newPerson();
    await person.register();
    await loseAnswers(person.page, "**/auth/refresh", 1);
    await person.page.goto(`${site.url}/apps`);
    const retry = person.button("Try again");
    const there = person.heading("Apps");
    await retry.or(there).first().waitFor(LONG);
    if (await retry.isVisible()) await retry.click();
    await there.waitFor(LONG);
    await person.page.context().close();
  });
});

describe("an approval", () => {
  let app, page;
  beforeAll(async () => {
    app = await appOf(owner);
    page = owner.page;
    await owner.open("/approvals");
  });
  afterAll(() => app?.close());
  afterEach(async () => {
    await page.unrouteAll();
    await page.context().setOffline(false);
  });

  /** A request that waits, and its card. */
  async function waiting(content, template = {}) {
    const asked = app.sign({ content, ...template });
    const card = owner.cards(content);
    await card.waitFor();
    return { asked, card, content };
  }

  test("that is sent for another request is refused, and both still wait", async () => {
    const one = await waiting("the one that is looked at");
    const two = await waiting("the one that is meant by somebody else");
    const { keys } = await read(owner, "/keys");
    const { requests } = await read(owner, `/keys/${keys[0].group}/requests`);
    const [first, second] = [one, two].map(({ content }) => requests.find((it) => it.template.content === content).request);
    await page.route(`**/requests/${first}/approve`, (route) => route.continue({ url: route.request().url().replace(first, second) }));
    await owner.answer("Approve once", one.card);
    await owner.unlockIfAsked(one.card.getByRole("alert").filter({ hasText: /./ }));
    expect(await one.card.getByRole("alert").innerText()).toMatch(/request/i);
    for (const { card } of [one, two]) expect(await card.getByRole("button", { name: "Approve once" }).isEnabled()).toBe(true);
    await page.unrouteAll();
    await owner.answer("Approve once", one.card);
    await one.card.getByText("Approved", { exact: true }).waitFor(LONG);
    expect((await one.asked).content).toBe(one.content);
    await owner.answer("Deny", two.card);
    await two.card.getByText("Denied", { exact: true }).waitFor(LONG);
    await expect(two.asked).rejects.toMatch(/denied|owner/i);
    await expectAnsweredOnce(await one.asked);
  });

  test("given while offline is not sent, says so, and can be given again", async () => {
    const { asked, card } = await waiting("given while offline");
    await page.context().setOffline(true);
    await owner.answer("Approve once", card);
    await owner.unlockIfAsked(card.getByText(/offline/i));
    await page.context().setOffline(false);
    await owner.answer("Approve once", card);
    await card.getByText("Approved", { exact: true }).waitFor(LONG);
    await expectAnsweredOnce(await asked);
  });

  test("that is lost before it arrives is told to be unsure, and counts once when it is sent again", async () => {
    const { asked, card } = await waiting("lost before it arrives");
    await page.route("**/requests/*/approve", (route) => route.abort("connectionreset"));
    await owner.answer("Approve once", card);
    await owner.unlockIfAsked(card.getByText("No word came back"));
    await page.unrouteAll();
    await owner.answer("Send it again", card);
    await card.getByText("Approved", { exact: true }).waitFor(LONG);
    await expectAnsweredOnce(await asked);
  });

  test("whose answer is lost has been given once, and the page finds out", async () => {
    const { asked, card } = await waiting("answer lost on its way back");
    await loseAnswers(page, "**/requests/*/approve", 3);
    await owner.answer("Approve once", card);
    await owner.unlockIfAsked(card.getByText(/^(Approved|It was approved)$/));
    await expectAnsweredOnce(await asked);
  });

  test("is asked for though every connection of the page was cut just before", async () => {
    const { url } = await owner.connect("After the cut", "Ask me every time");
    await owner.open("/approvals");
    site.tap.cut();
    const late = await App.connect(url);
    const asked = late.sign({ content: "after the cut" });
    const card = owner.cards("after the cut");
    await card.waitFor({ timeout: 25_000 });
    await owner.answer("Approve once", card);
    await owner.unlockIfAsked(card.getByText("Approved", { exact: true }));
    await expectAnsweredOnce(await asked);
    await late.close();
  });

  /** A good signature, of one approval and one answer. */
  async function expectAnsweredOnce(event) {
    expect(verifyEvent(structuredClone(event))).toBe(true);
    const entries = await record(owner);
    const answers = entries.filter((it) => it.signed === event.id);
    expect(answers.map((it) => it.what)).toEqual(["request_answered"]);
    const about = entries.filter((it) => it.request === answers[0].request).map((it) => it.verb ?? it.what);
    expect(about.filter((it) => it === "request_held")).toHaveLength(1);
    expect(about.filter((it) => it === "request_answered")).toHaveLength(1);
  }
});

describe("a connection that breaks", () => {
  test("while an identity is made: there is one, not two", async () => {
    const person = await newPerson();
    await person.register();
    await loseAnswers(person.page, "**/keys", 2);
    await person.makeIdentity({ label: "Only one" });
    await person.open("/");
    await person.page.getByRole("link", { name: "Only one", exact: true }).waitFor();
    expect(await person.page.getByRole("region", { name: /^Identity / }).count()).toBe(1);
    await person.page.context().close();
  });

  test("for as long as the page tries by itself: the person sends the same again, and has the same identity", async () => {
    const person = await newPerson();
    await person.register();
    await loseAnswers(person.page, "**/keys", 3);
    await person.chooseKey({ label: "Made once" });
    const { path, npub } = await person.takeKit();
    await person.checkKit(path);
    await person.page.getByText("The server did not answer").waitFor(LONG);
    await person.button("Check the kit and make the identity").click();
    await person.heading("Your identity is ready").waitFor(LONG);
    const { keys } = await read(person, "/keys");
    expect(keys.map((key) => key.npub)).toEqual([npub]);
    await person.page.context().close();
  });

  test("while an app is connected: there is one connection, and its link works", async () => {
    await loseAnswers(owner.page, "**/keys/*/connections", 1, "POST");
    const app = await appOf(owner, "Post notes", "Lost once");
    await owner.page.unrouteAll();
    expect(verifyEvent(await app.sign({ content: "works" }))).toBe(true);
    await owner.open("/apps");
    await owner.page.getByRole("link", { name: "Lost once" }).waitFor();
    expect(await owner.page.getByRole("link", { name: "Lost once" }).count()).toBe(1);
    await app.close();
  });

  test("because the server is gone: the page says so, and goes on when it is back", async () => {
    await owner.open("/apps");
    await site.server.stop();
    await owner.page.getByRole("link", { name: "Activity" }).first().click();
    await owner.page.getByText(/did not answer|offline|has a problem|connection broke/i).first().waitFor(LONG);
    await site.server.start();
    // The page reads again by itself as soon as it is connected.
    const retry = owner.page.getByRole("button", { name: "Try again" }).first();
    const there = owner.page.getByText("Checked on this device");
    await retry.or(there).first().waitFor();
    if (await retry.isVisible()) await retry.click({ timeout: 2_000 }).catch(() => undefined);
    await there.waitFor(LONG);
  });

  test("by too many tries: the page says how long to wait", async () => {
    const person = await newPerson();
    const body = JSON.stringify({ type: "urn:passport:problem:too_many_attempts", title: "Too Many Requests", status: 429, detail: "Wait.", code: "too_many_attempts", request_id: "0".repeat(32) });
    await person.page.route("**/auth/token", (route) => route.fulfill({ status: 429, headers: { "retry-after": "40" }, contentType: "application/problem+json", body }));
    await person.signIn({ username: owner.username, password: "not the password" });
    await person.page.getByText(/wait 40 seconds/i).waitFor(LONG);
    await person.page.context().close();
  });
});

describe("making a key with the holders", () => {
  let person;
  beforeEach(async () => {
    person = await newPerson();
    await person.register();
  });
  afterEach(() => person.page.context().close());

  const ROUND = "**/ceremony/*/round/*";

  /** What the page says when no key came out of it. Then the person begins again, and gets one. */
  async function expectAgain(words) {
    await person.unlockIfAsked(person.page.getByText(words));
    expect((await read(person, "/keys")).keys).toEqual([]);
    await person.page.unrouteAll();
    const started = sends(person.page, "POST", "/ceremony/start");
    const identity = await person.makeIdentity({ label: "At last" });
    expect(started.times).toBe(1);
    const { keys } = await read(person, "/keys");
    expect(keys.map((key) => key.npub)).toEqual([identity.npub]);
  }

  test("goes on by itself when answers are lost", async () => {
    await loseAnswers(person.page, "**/ceremony/start", 1);
    await loseAnswers(person.page, ROUND, 2);
    const { npub } = await person.makeIdentity({ label: "Through the gaps" });
    const { keys } = await read(person, "/keys");
    expect(keys.map((key) => key.npub)).toEqual([npub]);
  });

  test("goes on where it stopped when the connection stays away", async () => {
    await loseAnswers(person.page, "**/ceremony/*/round/3*", 3);
    const started = sends(person.page, "POST", "/ceremony/start");
    await person.chooseKey({ label: "Mine" });
    await person.unlockIfAsked(person.page.getByText("The server did not answer"));
    await person.button("Continue").click();
    await person.field("Passphrase for the kit").waitFor(LONG);
    expect(started.times).toBe(1);
  });

  test("says so when it was ended elsewhere, and begins again", async () => {
    await person.page.route("**/ceremony/*/round/2*", async (route) => {
      const [, id] = /ceremony\/([0-9a-f]{32})/.exec(route.request().url());
      await ask(site.server, "DELETE", `/ceremony/${id}`, { token: person.token });
      await route.continue();
    });
    await person.chooseKey({ label: "Mine" });
    await expectAgain(/^No key was made: .+ ended it/);
  });

  test("stops when the server changes what was agreed upon, and begins again", async () => {
    await person.page.route("**/ceremony/start", async (route) => {
      const response = await route.fetch();
      const view = await response.json();
      view.terms.threshold = 3;
      await route.fulfill({ response, json: view });
    });
    const spoken = [];
    person.page.on("request", (request) => request.url().includes("/round/") && spoken.push(request.url()));
    await person.chooseKey({ label: "Mine" });
    await person.unlockIfAsked(person.page.getByText(/changed what was agreed upon/));
    expect(spoken).toEqual([]);
    await expectAgain(/changed what was agreed upon/);
  });

  test("begins once more when the server has thrown its shares away before the kit was checked", async () => {
    const detail = "This ceremony made no key that could be used.";
    const body = JSON.stringify({ type: "urn:passport:problem:ceremony_invalid", title: "Unprocessable Content", status: 422, detail, code: "ceremony_invalid", request_id: "0".repeat(32) });
    await person.page.route("**/keys", (route) =>
      route.request().method() === "POST"
        ? route.fulfill({ status: 422, contentType: "application/problem+json", body })
        : route.fallback(),
    );
    await person.chooseKey({ label: "Too late" });
    const { path } = await person.takeKit();
    await person.checkKit(path);
    await person.page.getByText("the server has thrown away its part").waitFor(LONG);
    await expectAgain("No identity was made");
  });
});

/** Lets requests through and loses their answers, the first few times. */
async function loseAnswers(page, pattern, times, method = "POST") {
  let left = times;
  await page.route(pattern, async (route) => {
    if (route.request().method() !== method || left <= 0) return route.fallback();
    left -= 1;
    await route.fetch();
    await route.abort("connectionreset");
  });
}

function refreshTokenOf(page) {
  return page.evaluate(() => JSON.parse(localStorage.getItem("passport.session")).refresh_token);
}

/** An encrypted key that names a cost which nobody has paid. */
function costly(logN) {
  const { prefix, words } = bech32.decode(nip49.encrypt(generateSecretKey(), "any", 16), 1_000);
  const bytes = bech32.fromWords(words);
  bytes[1] = logN;
  return bech32.encode(prefix, bech32.toWords(bytes), 1_000);
}
