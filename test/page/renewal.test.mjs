/**
 * New shares for a key in use, in Chromium on a phone and with nostr-tools as the app: refreshed, given up in the middle,
 * closed with the last word, taken to another browser when the first is lost, dealt to both browsers; and over all of it,
 * that no share lies anywhere in the clear. Last, taken into a device's care.
 */
import { readFileSync } from "node:fs";
import { verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectGoodFor, launchBrowser, newProfile } from "../support/browser.mjs";
import { Watched, openKit } from "../support/browser-secrets.mjs";
import { begin, connectApp, end, hexOf, secretsOf } from "../support/browser-story.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";

const LONG = { timeout: 120_000 };
/** Seconds that the server waits before the owner's devices may get the whole key. */
const DELAY_S = 12;
const ONLY_HERE = "Only with this device";
const RENEW = "Renew the shares";
const OFFERED = "Another device of yours renews the shares";
const WAITS = "Now on your other device";

/** A look at a request that was answered meanwhile. */
const ANSWERED_MEANWHILE = [/^404 POST \/keys\/[0-9a-f]{32}\/requests\/[0-9a-f]{64}\/(offer|contribution) /];

let browser, world, person, page, hosted, notes, mine, careful, elsewhere;
/** Kits whose shares are of no use any more. */
const oldKits = [];

beforeAll(async () => {
  browser = await launchBrowser();
  world = await begin(browser, { phone: true, vars: { EXPORT_DELAY: String(DELAY_S) } });
  ({ person } = world);
  ({ page } = person);
});
afterAll(async () => {
  await elsewhere?.page.context().close();
  await end(world);
  await browser?.close();
});

const groupOf = ({ kit }) => JSON.parse(kit).public.group;
const epochOf = ({ kit }) => JSON.parse(kit).public.epoch;
const fileOf = (kit) => ({ name: "kit.json", mimeType: "application/json", buffer: Buffer.from(kit) });

/** From the page of an identity to where its shares are renewed. */
async function open(at, identity) {
  await at.open(`/identity/${groupOf(identity)}`);
  await at.page.getByRole("link", { name: RENEW }).click();
  await at.heading(RENEW).waitFor();
}

/** The kit for the new shares, which are dealt now. @returns {Promise<string>} its file */
async function newKit(at) {
  await at.button(RENEW).click();
  const { path, npub } = await at.takeKit();
  expect(at.identities.map((it) => it.npub)).toContain(npub);
  return path;
}

async function confirm(at, path) {
  await at.heading("Open the new kit once").waitFor();
  await at.giveKit(path);
  await at.button("Check the kit and take the new shares over").click();
}

async function renewed(at) {
  await at.unlockIfAsked(at.heading("The shares are new"));
}

/** The new kit is the person's from now on. */
function keep(identity, path) {
  oldKits.push(identity.kit);
  identity.kit = readFileSync(path, "utf8");
}

async function approved(at, text) {
  const shown = at.cards(text);
  await shown.waitFor();
  await at.answer("Approve", shown);
  await at.unlockIfAsked(shown.getByText("Approved", { exact: true }));
}

function expectSigned(event, identity, content) {
  expect(event).toMatchObject({ content, pubkey: hexOf(identity.npub) });
  expect(verifyEvent(structuredClone(event))).toBe(true);
}

describe("an identity for which Passport signs", () => {
  test("is told what renewing its shares means, and what leaving does", async () => {
    await person.register();
    hosted = await person.makeIdentity({ label: "Me" });
    notes = await connectApp(world, "My notes", "Post notes");
    expectSigned(await notes.sign({ content: "before" }), hosted, "before");
    await open(person, hosted);
    await page.getByText("Leave at any time before that").waitFor();
    await expectGoodFor(page, "renewal-hosted-begin");
  });

  test("goes on with its old shares and kit when the page is left in the middle", async () => {
    const path = await newKit(person);
    await person.heading("Open the new kit once").waitFor();
    await expectGoodFor(page, "renewal-check");
    page.once("dialog", (dialog) => dialog.accept());
    await page.getByRole("link", { name: "Apps", exact: true }).first().click();
    await person.heading("Apps").first().waitFor();
    expectSigned(await notes.sign({ content: "still the old shares" }), hosted, "still the old shares");
    await lookInto(path);
    await page.getByText("for new shares of Me that never took over").waitFor(LONG);
    oldKits.push(readFileSync(path, "utf8"));
    await lookInto(fileOf(hosted.kit));
    await person.heading("The kit of Me is good").waitFor(LONG);
  });

  test("gets new shares and a new kit, and its app goes on", async () => {
    await open(person, hosted);
    await person.button(RENEW).click();
    await person.unlockIfAsked(person.field("Passphrase for the kit"));
    await page.getByText("Nothing has changed yet").waitFor();
    await expectGoodFor(page, "renewal-kit");
    const { path } = await person.takeKit();
    await confirm(person, path);
    await renewed(person);
    await expectGoodFor(page, "renewal-done");
    keep(hosted, path);
    expect(epochOf(hosted)).toBe(1);
    expectSigned(await notes.sign({ content: "after" }), hosted, "after");
    await person.open("/activity");
    await page.getByText("Replaced all shares of the key").first().waitFor();
    await page.getByText("Asked for new shares of the key").first().waitFor();
  });

  test("tells the old kit apart, which renews nothing", async () => {
    await lookInto(fileOf(oldKits.at(-1)));
    await page.getByText("This kit is from before the shares of Me were renewed").waitFor(LONG);
    await expectGoodFor(page, "renewal-old-kit");
  });
});

describe("an identity that signs only with this device", () => {
  test("gets new shares at once with the kit", async () => {
    mine = await person.makeIdentity({ label: "Mine", custody: ONLY_HERE });
    careful = await connectApp(world, "Phone app", "Post notes");
    await open(person, mine);
    await person.giveKit(fileOf(mine.kit));
    await expectGoodFor(page, "renewal-device-begin");
    const path = await newKit(person);
    await confirm(person, path);
    await renewed(person);
    keep(mine, path);
    await person.open("/approvals");
    const asked = careful.sign({ content: "with the new share" });
    await approved(person, "with the new share");
    expectSigned(await asked, mine, "with the new share");
  });

  test("is not renewed with the kit from before", async () => {
    await open(person, mine);
    await person.giveKit(fileOf(oldKits.at(-1)));
    await person.button(RENEW).click();
    await person.unlockIfAsked(page.getByText("from before the shares were renewed"));
  });

  test("finds its new share again when the page is closed with the last word", async () => {
    await person.giveKit(fileOf(mine.kit));
    const path = await newKit(person);
    const words = [];
    await page.route("**/ceremony/*/round/*", async (route) => {
      const response = await route.fetch();
      words.push(route.request().url());
      // This device has two places. With the second word all have accepted.
      return words.length === 2 ? page.close() : route.fulfill({ response });
    });
    const closed = page.waitForEvent("close", LONG);
    await confirm(person, path);
    await closed;
    keep(mine, path);
    person = person.at(await world.profile.newPage());
    ({ page } = person);
    const asked = careful.sign({ content: "after the crash" });
    await person.open("/approvals");
    await approved(person, "after the crash");
    expectSigned(await asked, mine, "after the crash");
    await person.open(`/identity/${groupOf(mine)}`);
    await page.getByText("With you, in this browser").waitFor();
  });
});

describe("another browser, when the first is lost", () => {
  test("takes its place with the kit, after a wait that can be cancelled", async () => {
    const profile = await newProfile(browser, { phone: true });
    world.elsewhere = Wiretap.on(profile);
    elsewhere = person.at(await profile.newPage());
    await elsewhere.signIn();
    await elsewhere.arrive();
    await elsewhere.open(`/identity/${groupOf(mine)}`);
    await elsewhere.page.getByText("With you, in another browser").waitFor();
    await elsewhere.page.getByRole("link", { name: "takes its place" }).click();
    await elsewhere.heading("This browser takes the place of the lost device").waitFor();
    await expectGoodFor(elsewhere.page, "renewal-lost-begin");
    await elsewhere.button("Ask, and begin the wait").click();
    await elsewhere.unlockIfAsked(elsewhere.page.getByText("The key of Mine was asked for"));
    await expectGoodFor(elsewhere.page, "renewal-lost-wait");
    await elsewhere.button("Cancel it").click();
    await elsewhere.unlockIfAsked(elsewhere.page.getByText("Nothing was changed."));
    await elsewhere.button("Ask, and begin the wait").click();
    await elsewhere.unlockIfAsked(elsewhere.page.getByText("The key of Mine was asked for"));
  });

  test("and signs from then on", async () => {
    await elsewhere.page.getByText("The wait is over").waitFor({ timeout: (DELAY_S + 30) * 1000 });
    await elsewhere.giveKit(fileOf(mine.kit));
    await expectGoodFor(elsewhere.page, "renewal-lost-ready");
    const path = await newKit(elsewhere);
    await confirm(elsewhere, path);
    await renewed(elsewhere);
    keep(mine, path);
    expect(epochOf(mine)).toBe(3);
    const asked = careful.sign({ content: "from the new browser" });
    await elsewhere.open("/approvals");
    await approved(elsewhere, "from the new browser");
    expectSigned(await asked, mine, "from the new browser");
  });

  test("so that the lost one's share signs nothing, and its browser says what to do", async () => {
    const asked = careful.sign({ content: "from the old browser" });
    await person.open("/approvals");
    const shown = person.cards("from the old browser");
    await shown.getByText("This browser can’t approve it").waitFor();
    await shown.getByRole("link", { name: "take its place" }).waitFor();
    await expectGoodFor(page, "renewal-old-share");
    await elsewhere.open("/approvals");
    await approved(elsewhere, "from the old browser");
    expectSigned(await asked, mine, "from the old browser");
    await person.open(`/identity/${groupOf(mine)}`);
    await page.getByText("The share in this one is older").waitFor();
    expect(world.elsewhere.troubles()).toEqual([]);
  });
});

describe("two browsers of one person", () => {
  test("each get a share when the second joins what the first has begun", async () => {
    await open(elsewhere, mine);
    await elsewhere.page.getByRole("checkbox", { name: "One more device joins" }).check();
    await elsewhere.giveKit(fileOf(mine.kit));
    await expectGoodFor(elsewhere.page, "renewal-adds-device");
    await elsewhere.button(RENEW).click();
    await elsewhere.unlockIfAsked(elsewhere.heading(WAITS));
    await elsewhere.page.getByText("Not here yet").waitFor();
    await expectGoodFor(elsewhere.page, "renewal-join-wait");

    await person.open(`/identity/${groupOf(mine)}`);
    await person.heading(OFFERED).waitFor(LONG);
    await expectGoodFor(page, "renewal-join-offer");
    await person.button("Take part with this browser").click();
    await person.unlockIfAsked(person.heading("This browser has its new share"));
    await expectGoodFor(page, "renewal-join-kept");

    const { path } = await elsewhere.takeKit();
    await confirm(elsewhere, path);
    await renewed(elsewhere);
    await elsewhere.page.getByText("one on your other device").waitFor();
    await expectGoodFor(elsewhere.page, "renewal-joined-done");
    keep(mine, path);
    const { epoch, holders } = JSON.parse(mine.kit).public;
    expect([epoch, holders.filter(({ role }) => role === "device").map(({ index }) => index)]).toEqual([4, [2, 4]]);
    await page.getByText("This browser has a share of Mine").waitFor(LONG);
    // Which of the two is this one, it knows a moment later.
    await expect.poll(() => page.getByRole("heading", { name: "Another device of yours" }).count(), LONG).toBe(1);
    await expectGoodFor(page, "renewal-joined");
  });

  test("each answer an app alone with the server", async () => {
    for (const [at, content] of [[person, "by the one that joined"], [elsewhere, "by the one that began"]]) {
      const asked = careful.sign({ content });
      await at.open("/approvals");
      await approved(at, content);
      expectSigned(await asked, mine, content);
    }
  });

  test("go on with their shares when it is cancelled, or the page is left, before the second has come", async () => {
    await open(elsewhere, mine);
    await elsewhere.page.getByText("Your other device", { exact: true }).waitFor();
    await elsewhere.giveKit(fileOf(mine.kit));
    await elsewhere.button(RENEW).click();
    await elsewhere.unlockIfAsked(elsewhere.heading(WAITS));
    await person.open(`/identity/${groupOf(mine)}`);
    await person.heading(OFFERED).waitFor(LONG);
    await elsewhere.button("Cancel it").click();
    await elsewhere.button(RENEW).waitFor();
    await person.heading(OFFERED).waitFor({ state: "hidden", ...LONG });

    await elsewhere.button(RENEW).click();
    await elsewhere.unlockIfAsked(elsewhere.heading(WAITS));
    await person.heading(OFFERED).waitFor(LONG);
    const cancelled = elsewhere.page.waitForResponse((it) => it.request().method() === "DELETE" && it.url().includes("/ceremony/"));
    elsewhere.page.once("dialog", (dialog) => dialog.accept());
    await elsewhere.page.getByRole("link", { name: "Apps", exact: true }).first().click();
    expect(await (await cancelled).json()).toMatchObject({ status: "cancelled" });
    await person.heading(OFFERED).waitFor({ state: "hidden", ...LONG });
    const asked = careful.sign({ content: "still both" });
    await person.open("/approvals");
    await approved(person, "still both");
    expectSigned(await asked, mine, "still both");
    expect(world.elsewhere.troubles(ANSWERED_MEANWHILE)).toEqual([]);
  });
});

test("in all of this no key and no share was in the clear on the line or in a browser's storage, and no page complained", async () => {
  const { wiretap, site, apps } = world;
  await Promise.all(apps.map((it) => it.close()));
  const troubles = wiretap.troubles(ANSWERED_MEANWHILE);
  await site.server.stop();
  const secrets = secretsOf(world);
  const before = oldKits.map((kit) => Watched.key("the share of an old kit", openKit(kit, person.passphrase).share));
  expect(await wiretap.leaks([...secrets, ...before])).toEqual([]);
  expect(await world.elsewhere.leaks([...secrets, ...before])).toEqual([]);
  expect(wiretap.foreignTo(site.url)).toEqual([]);
  expect(troubles).toEqual([]);
});

describe("an identity for which Passport signed", () => {
  test("is taken into a device's care after the wait, and its app goes on", async () => {
    const other = await begin(browser, { phone: true, vars: { EXPORT_DELAY: String(DELAY_S) } });
    const { person: owner } = other;
    await owner.register();
    const identity = await owner.makeIdentity({ label: "Me" });
    const app = await connectApp(other, "My notes", "Post notes");
    await open(owner, identity);
    await owner.page.getByRole("radio", { name: ONLY_HERE }).check();
    await owner.button("Ask, and begin the wait").click();
    await owner.unlockIfAsked(owner.page.getByText("The key of Me was asked for"));
    await expectGoodFor(owner.page, "renewal-move-wait");
    await owner.page.getByText("The wait is over").waitFor({ timeout: (DELAY_S + 30) * 1000 });
    const path = await newKit(owner);
    await confirm(owner, path);
    await renewed(owner);
    const kit = JSON.parse(readFileSync(path, "utf8"));
    expect(kit.public.holders.map(({ role }) => role)).toEqual(["bunker", "device", "recovery"]);
    const asked = app.sign({ content: "only with me" });
    await owner.open("/approvals");
    await approved(owner, "only with me");
    expectSigned(await asked, identity, "only with me");
    expect(other.wiretap.troubles()).toEqual([]);
    await end(other);
  });
});

/** Gives a kit to the part of Security that renews one. */
async function lookInto(kit) {
  await person.open("/security");
  await person.button("Renew the kit").click();
  await person.giveKit(kit);
  await person.button("Open the kit").click();
}
