/** What a person changes about getting in, and how they leave: in the page, and with nothing of it leaving the page. */
import { readFileSync } from "node:fs";
import { getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser, newProfile } from "../support/browser.mjs";
import { App } from "../support/browser-app.mjs";
import { Person } from "../support/browser-person.mjs";
import { Watched, openKit } from "../support/browser-secrets.mjs";
import { startSite } from "../support/browser-site.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";

const LONG = { timeout: 120_000 };
const KIT = (text) => ({ name: "mine.kit.json", mimeType: "application/json", buffer: Buffer.from(text) });
/** Seconds that the holders wait before they hand out their shares. */
const DELAY_S = 12;

let site, browser, profile, wiretap, person, page, app;
const secrets = [];

beforeAll(async () => {
  site = await startSite({ vars: { EXPORT_DELAY: String(DELAY_S) } });
  browser = await launchBrowser();
  profile = await newProfile(browser);
  wiretap = Wiretap.on(profile, site.tap);
  page = await profile.newPage();
  person = new Person(page, site);
  await person.register();
  await person.makeIdentity({ label: "Mine" });
  app = await App.connect((await person.connect("An app", "Post notes")).url);
});
afterAll(async () => {
  await app?.close();
  await browser?.close();
  await site?.stop();
});

describe("the password", () => {
  const changed = 'Ein "anderes" wolkenbruch5512';

  test("is not changed by somebody who does not know it", async () => {
    await person.open("/security");
    await person.button("Change password").click();
    await person.field("Present password").fill("not the password");
    await person.field("New password").fill(changed);
    await person.field("New password again").fill(changed);
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("That is not your present password").waitFor(LONG);
  });

  test("is changed, and every other session ends; apps and shares are as they were", async () => {
    const elsewhere = person.at(await (await newProfile(browser)).newPage());
    await elsewhere.signIn();
    await elsewhere.arrive();
    await person.field("Present password").fill(person.password);
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password is changed").waitFor(LONG);
    secrets.push(Watched.text("the former password", person.password));
    person.password = changed;
    await elsewhere.page.getByRole("link", { name: "Security" }).first().click();
    await elsewhere.heading("Sign in").waitFor(LONG);
    await elsewhere.page.context().close();
    expect(verifyEvent(await app.sign({ content: "after the change" }))).toBe(true);
  });

  test("that is new opens the owner key", async () => {
    await person.open("/apps/new");
    await person.fillTerms("Another app", "Post notes");
    await person.button("Make the link").click();
    await person.prompt.waitFor();
    await person.unlockIfAsked(person.heading("Give this link to Another app"));
  });
});

describe("sessions", () => {
  test("elsewhere are listed, and one of them is ended", async () => {
    const elsewhere = person.at(await (await newProfile(browser)).newPage());
    await elsewhere.signIn();
    await elsewhere.arrive();
    await person.open("/security");
    const end = page.getByRole("listitem").getByRole("button", { name: /^Sign out/ });
    await end.first().click();
    await expect.poll(() => end.count()).toBe(0);
    await elsewhere.page.getByRole("link", { name: "Security" }).first().click();
    await elsewhere.page.getByText("Your session has ended").waitFor(LONG);
    await elsewhere.page.context().close();
  });
});

describe("the recovery kit", () => {
  test("is renewed under a new passphrase; the new one opens and holds the same", async () => {
    const before = person.identities[0].kit;
    await person.open("/security");
    await person.button("Renew the kit").click();
    await person.giveKit(KIT(before), person.passphrase);
    await person.button("Open the kit").click();
    await page.getByText("The kit of Mine is good").waitFor(LONG);
    const passphrase = "Neue Wörter: regenschirm0815 und Licht";
    await person.field("New passphrase for the kit").fill(passphrase);
    await person.field("New passphrase for the kit again").fill(passphrase);
    await person.button("Make the new copy").click();
    await person.unlockIfAsked(person.heading("Keep your kit"));
    const renewed = readFileSync(await person.saveKit(), "utf8");
    await person.button("I have kept it").click();
    await page.getByText("You have a new copy").waitFor();
    const [old, fresh] = [openKit(before, person.passphrase), openKit(renewed, passphrase)];
    expect(fresh.owner.equals(old.owner)).toBe(true);
    expect(fresh.share.equals(old.share)).toBe(true);
    expect(() => openKit(renewed, person.passphrase)).toThrow();
    secrets.push(Watched.text("the new passphrase", passphrase));
  });
});

describe("the secret key", () => {
  test("is asked for, and the wish is taken back: nothing is handed out", async () => {
    await ask();
    await person.button("Cancel it").click();
    await person.unlockIfAsked(page.getByText("Cancelled", { exact: true }));
    await person.open("/security");
    await person.button("Ask for it").waitFor();
  });

  test("is asked for, waited for, and put together on the device alone", async () => {
    await ask();
    expect(await person.button("Put it together here").count()).toBe(0);
    await person.button("Put it together here").click({ timeout: (DELAY_S + 30) * 1000 });
    const shown = page.getByRole("group", { name: "Secret key (nsec)" });
    await person.unlockIfAsked(shown);
    expect(await shown.innerText()).not.toMatch(/nsec1/);
    await person.button("Show", page.locator("#export")).click();
    const nsec = (await shown.innerText()).trim();
    const key = nip19.decode(nsec).data;
    expect(nip19.npubEncode(getPublicKey(key))).toBe(person.identities[0].npub);
    secrets.push(Watched.key("the exported key", key));
    await person.button("Hide it again").click();
  });

  /** Asks for the key on a freshly opened page. */
  async function ask() {
    await person.open("/security");
    await person.button("Ask for it").click();
    await person.button("Ask for the key").click();
    await person.unlockIfAsked(page.getByText(/was asked for/));
  }
});

describe("leaving", () => {
  test("an account with an identity is not deleted by accident", async () => {
    await person.open("/security");
    expect(await person.button("Delete account").isDisabled()).toBe(true);
  });

  test("an identity is deleted after its name was typed, and its apps stop", async () => {
    await person.open("/security");
    await person.button("Delete identity").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("Not mine");
    await person.button("Delete for good", dialog).click();
    await dialog.getByText(/exactly, to be sure/).waitFor();
    await dialog.getByRole("textbox").fill("Mine");
    await person.button("Delete for good", dialog).click();
    await person.unlockIfAsked(page.getByText("Mine is deleted here"));
    const refused = await app.sign({ content: "after the end" }).then(() => null, (error) => String(error));
    expect(refused).toMatch(/./);
    await person.open("/");
    await page.getByText("You have no identity here yet").waitFor();
  });

  test("the account is deleted, and nobody gets in any more", async () => {
    await person.open("/security");
    await person.button("Delete account").click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill(person.username);
    await person.button("Delete for good", dialog).click();
    await person.unlockIfAsked(page.getByRole("link", { name: "Create an account" }).first());
    await person.signIn();
    await page.getByText("That did not match").waitFor(LONG);
  });

  test("and neither the exported key nor a password or passphrase has left the page", async () => {
    expect(await wiretap.leaks([...person.secrets(), ...secrets])).toEqual([]);
    expect(wiretap.foreignTo(site.url)).toEqual([]);
    expect(wiretap.troubles([/^(401|403|404|410) /])).toEqual([]);
  });
});
