/**
 * A key that signs only with a person's own browser: made, used, refused elsewhere, and taken out, in Chromium on a
 * phone and with nostr-tools as the app; and over all of it, that the browser's share lies nowhere in the clear.
 */
import { getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectGoodFor, launchBrowser, newProfile } from "../support/browser.mjs";
import { Person } from "../support/browser-person.mjs";
import { begin, connectApp, end, hexOf, secretsOf } from "../support/browser-story.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";
import { Peer } from "../support/peer.mjs";

const LONG = { timeout: 120_000 };
/** Seconds that the server waits before it hands out its share. */
const DELAY_S = 12;
const ONLY_HERE = "Only with this device";
const SWITCH = "Sign what my rules allow while this page is open";

let browser, world, person, page, identity, notes, careful, elsewhere;

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

/** The card of a request, on the page of the approvals. */
async function card(text, at = person) {
  const shown = at.cards(text);
  await shown.waitFor();
  return shown;
}

async function approve(text, words = "Approve") {
  const shown = await card(text);
  await person.answer(words, shown);
  await person.unlockIfAsked(shown.getByText("Approved", { exact: true }));
  return shown;
}

function expectSigned(event, content) {
  expect(event).toMatchObject({ content, pubkey: hexOf(identity.npub) });
  expect(verifyEvent(structuredClone(event))).toBe(true);
}

describe("a browser that keeps nothing", () => {
  test("is told so before anything of a key is made", async () => {
    const profile = await newProfile(browser, { phone: true });
    await profile.addInitScript(() => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("The operation is insecure.", "SecurityError");
      };
    });
    const other = new Person(await profile.newPage(), world.site);
    await other.register();
    await other.chooseKey({ label: "Nowhere", custody: ONLY_HERE });
    await other.page.getByText("This browser keeps nothing").waitFor(LONG);
    expect(world.site.tap.sent().some((bytes) => bytes.includes("/ceremony/"))).toBe(false);
    await profile.close();
  });
});

describe("a person", () => {
  test("makes a key that signs only with this device", async () => {
    await person.register();
    await expectGoodFor(page, "device-new-hosted");
    await page.getByRole("radio", { name: ONLY_HERE }).check();
    await expectGoodFor(page, "device-new-choose");
    identity = await person.makeIdentity({ label: "Mine", custody: ONLY_HERE });
    await expectGoodFor(page, "device-new-ready");
    expect(JSON.parse(identity.kit).public.holders.map(({ role }) => role)).toEqual(["bunker", "device", "recovery"]);
    await page.getByRole("link", { name: "Look at the identity" }).click();
    await page.getByText("With you, in this browser").waitFor();
    await page.getByText("only with your device", { exact: true }).waitFor();
    await expectGoodFor(page, "device-identity");
  });

  test("connects apps, which get nothing signed until this page has done its part", async () => {
    notes = await connectApp(world, "My notes", "Post notes");
    careful = await connectApp(world, "Careful app", "Ask me every time");
    await person.open("/approvals");
    const asked = notes.sign({ content: "a first note" });
    const shown = await card("a first note");
    await shown.getByText("This device signs it together with the server. Your rules allow it.").waitFor();
    expect(await shown.getByRole("button").allInnerTexts()).not.toContain("For an hour");
    await expectGoodFor(page, "device-approvals-allowed");
    const answered = await approve("a first note");
    expectSigned(await asked, "a first note");
    await answered.getByText("The app has its answer").waitFor();
  });

  test("is asked by an app whose rules ask, and may let it off asking", async () => {
    const asked = careful.sign({ content: "may I" });
    await expectGoodFor(page, "device-approvals-asked");
    await approve("may I", "Approve once");
    expectSigned(await asked, "may I");

    const always = careful.sign({ content: "always this" });
    await approve("always this", "Always for this kind");
    expectSigned(await always, "always this");

    const next = careful.sign({ content: "not asked, but waited for" });
    const shown = await card("not asked, but waited for");
    await shown.getByText("Your rules allow it.").waitFor();
    await approve("not asked, but waited for");
    expectSigned(await next, "not asked, but waited for");
  });

  test("has a message decrypted for an app", async () => {
    const peer = new Peer();
    const asked = careful.ask("nip44_decrypt", [peer.pubkey, peer.encrypt44(hexOf(identity.npub), "a secret word")]);
    const shown = await card("reads one message");
    await shown.getByText("This device decrypts it together with the server.").waitFor();
    await approve("reads one message", "Approve once");
    expect(await asked).toBe("a secret word");

    const written = careful.ask("nip44_encrypt", [peer.pubkey, "back to you"]);
    await approve("back to you", "Approve once");
    expect(peer.decrypt44(hexOf(identity.npub), await written)).toBe("back to you");
  });

  test("denies what the rules ask about, and nothing is signed", async () => {
    const asked = careful.sign({ kind: 7, content: "rather not" });
    const shown = await card("rather not");
    await person.answer("Deny", shown);
    await shown.getByText("Denied", { exact: true }).waitFor(LONG);
    await expect(asked).rejects.toMatch(/denied|owner/i);
  });

  test("denies what the rules allow, and the app is told", { timeout: 30_000 }, async () => {
    const asked = notes.sign({ content: "not even this" });
    const shown = await card("not even this");
    await person.answer("Deny", shown);
    await shown.getByText("Denied", { exact: true }).waitFor();
    await expect(asked).rejects.toMatch(/denied|owner/i);
  });

  test("finds the share again after the page was loaded anew", async () => {
    await page.reload();
    const asked = notes.sign({ content: "after the reload" });
    const shown = await card("after the reload");
    await person.answer("Approve", shown);
    await person.prompt.waitFor(LONG);
    await person.unlockIfAsked(shown.getByText("Approved", { exact: true }));
    expectSigned(await asked, "after the reload");
  });

  test("is sent to the one request by the app itself", async () => {
    const question = notes.nextQuestion();
    const asked = notes.sign({ content: "by the link" });
    const window = person.at(await world.profile.newPage());
    await window.page.goto(await question);
    await window.heading("An app asks you").waitFor();
    await window.answer("Approve");
    await window.unlockIfAsked(window.page.getByText("Approved", { exact: true }));
    expectSigned(await asked, "by the link");
    await window.page.close();
  });

  test("loses no answer when the word about it is lost", async () => {
    let lost = 0;
    await page.route("**/contribution", async (route) => {
      lost += 1;
      if (lost > 1) return route.continue();
      await route.fetch();
      return route.abort("connectionreset");
    });
    const asked = notes.sign({ content: "into a tunnel" });
    const shown = await card("into a tunnel");
    await person.answer("Approve", shown);
    await shown.getByText(/^(It was approved|Approved)$/).waitFor(LONG);
    expectSigned(await asked, "into a tunnel");
    expect(lost).toBe(2);
    await page.unroute("**/contribution");
  });
});

describe("contributing without a tap", () => {
  test("is off, and is switched on by the person", async () => {
    const toggle = page.getByRole("switch", { name: SWITCH });
    expect(await toggle.isChecked()).toBe(false);
    await toggle.check();
    await page.getByText("On, until you close or reload this page.").waitFor(LONG);
    for (const content of ["one", "two", "three"]) expectSigned(await notes.sign({ content }), content);
    expectSigned(await careful.sign({ content: "remembered" }), "remembered");
    await page.getByText("4 requests answered so far.").waitFor();
    await expectGoodFor(page, "device-automatic");
  });

  test("goes on while another page of the site is looked at", async () => {
    await page.getByRole("link", { name: "Apps", exact: true }).first().click();
    await person.heading("Apps").first().waitFor();
    expectSigned(await notes.sign({ content: "from elsewhere in the page" }), "from elsewhere in the page");
    await page.getByRole("link", { name: /^Approvals/ }).first().click();
  });

  test("leaves to the person what the rules ask about", async () => {
    const asked = careful.sign({ kind: 7, content: "+" });
    const shown = await card("reaction");
    await shown.getByText("This device signs it together with the server.").waitFor();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await approve("reaction", "Approve once");
    expectSigned(await asked, "+");
  });

  test("ends with the page", async () => {
    await page.reload();
    expect(await page.getByRole("switch", { name: SWITCH }).isChecked()).toBe(false);
    const asked = notes.sign({ content: "a tap again" });
    await approve("a tap again");
    expectSigned(await asked, "a tap again");
  });
});

describe("another browser of the same person", () => {
  test("has no share: it says why it can't approve, and can deny", async () => {
    const profile = await newProfile(browser, { phone: true });
    world.elsewhere = Wiretap.on(profile);
    elsewhere = person.at(await profile.newPage());
    await elsewhere.signIn();
    await elsewhere.arrive();
    await elsewhere.open("/approvals");
    const asked = careful.sign({ kind: 7, content: "seen from elsewhere" });
    const shown = await card("seen from elsewhere", elsewhere);
    await shown.getByText("This browser can’t approve it").waitFor();
    await shown.getByText("It has no share of the key of Mine.").waitFor();
    expect(await shown.getByRole("group", { name: "Your answer" }).getByRole("button").allInnerTexts()).toEqual(["Deny"]);
    expect(await elsewhere.page.getByRole("switch", { name: SWITCH }).count()).toBe(0);
    await expectGoodFor(elsewhere.page, "device-approvals-elsewhere");
    await elsewhere.answer("Deny", shown);
    await elsewhere.unlockIfAsked(shown.getByText("Denied", { exact: true }));
    await expect(asked).rejects.toMatch(/denied|owner/i);
    await elsewhere.page.goto(`${world.site.url}/identity/${JSON.parse(identity.kit).public.group}`);
    await elsewhere.page.getByText("so not here").waitFor();
  });

  test("takes the key out with the kit and the server's share, after the wait", async () => {
    const { page: there } = elsewhere;
    await elsewhere.open("/security");
    await there.getByText("This browser has no share of this key.").waitFor();
    await elsewhere.button("Ask for it").click();
    await elsewhere.button("Ask for the key").click();
    await elsewhere.unlockIfAsked(there.getByText(/was asked for/));
    await elsewhere.button("Put it together here").click({ timeout: (DELAY_S + 30) * 1000 });
    await elsewhere.giveKit({ name: "kit.json", mimeType: "application/json", buffer: Buffer.from(identity.kit) });
    await expectGoodFor(there, "device-leave-elsewhere");
    await elsewhere.button("Put the key together").click();
    expect(await shownKey(elsewhere)).toBe(hexOf(identity.npub));
    await elsewhere.button("Hide it again").click();
    expect(world.elsewhere.troubles()).toEqual([]);
  });

});

describe("leaving", () => {
  test("is refused with the wrong passphrase", async () => {
    await person.open("/security");
    await person.button("Use the kit").click();
    await person.giveKit({ name: "kit.json", mimeType: "application/json", buffer: Buffer.from(identity.kit) }, "not it");
    await person.button("Put the key together").click();
    await person.unlockIfAsked(page.locator("#export [aria-invalid=true]"));
    await expectGoodFor(page, "device-leave-wrong");
  });

  test("needs this browser and the kit, no server and no wait", async () => {
    await person.field("Passphrase of the kit").fill(person.passphrase);
    await person.button("Put the key together").click();
    expect(await shownKey(person)).toBe(hexOf(identity.npub));
    await person.button("Hide it again").click();
    await person.button("Use the kit").waitFor();
  });
});

test("in all of this no key and no share was in the clear on the line or in a browser's storage, and no page complained", async () => {
  const { wiretap, site, apps } = world;
  const kept = JSON.stringify(await world.profile.storageState({ indexedDB: true }));
  expect(kept, "the sealed share").toContain(JSON.parse(identity.kit).public.group);
  await Promise.all(apps.map((it) => it.close()));
  // What is answered already is offered to nobody: after the lost word, and when a tap and the switch both went for it.
  const troubles = wiretap.troubles([/^404 POST \/keys\/[0-9a-f]{32}\/requests\/[0-9a-f]{64}\/(offer|contribution) /]);
  await site.server.stop();
  const secrets = secretsOf(world);
  expect(secrets.map(({ name }) => name)).toContain("a device's share");
  expect(await wiretap.leaks(secrets)).toEqual([]);
  expect(await world.elsewhere.leaks(secrets)).toEqual([]);
  expect(wiretap.foreignTo(site.url)).toEqual([]);
  expect(troubles.filter((it) => !/ERR_CONNECTION_RESET/.test(it))).toEqual([]);
});

/** The public key of the nsec that a page shows. */
async function shownKey(at) {
  const key = at.page.locator("#export");
  await at.unlockIfAsked(key.getByText("This is the whole key of Mine"));
  await at.button("Show", key).click();
  const [nsec] = (await key.innerText()).match(/nsec1[a-z0-9]{58}/);
  return getPublicKey(nip19.decode(nsec).data);
}
