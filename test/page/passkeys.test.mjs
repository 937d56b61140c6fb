/** Passkeys in Chromium with a virtual authenticator: one that can open the owner key (PRF), and one that cannot. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser, newProfile } from "../support/browser.mjs";
import { App } from "../support/browser-app.mjs";
import { Person } from "../support/browser-person.mjs";
import { Watched } from "../support/browser-secrets.mjs";
import { startSite } from "../support/browser-site.mjs";
import { Wiretap } from "../support/browser-wiretap.mjs";

const LONG = { timeout: 120_000 };

let site, browser;
beforeAll(async () => {
  site = await startSite();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
});

/** A person in an empty profile, on a device with an authenticator of its own. */
async function newPerson({ hasPrf }) {
  const profile = await newProfile(browser);
  const wiretap = Wiretap.on(profile, site.tap);
  // What the authenticator tells the page and nobody else: kept aside, to look for it later.
  await profile.addInitScript(() => {
    if (!navigator.credentials) return; // a frame that is no secure context
    globalThis.prfOutputs = [];
    const keep = (credential) => {
      const first = credential?.getClientExtensionResults().prf?.results?.first;
      if (first) globalThis.prfOutputs.push(Array.from(new Uint8Array(first.buffer ?? first)));
      return credential;
    };
    for (const name of ["create", "get"]) {
      const original = navigator.credentials[name].bind(navigator.credentials);
      navigator.credentials[name] = (options) => original(options).then(keep);
    }
  });
  const page = await profile.newPage();
  const person = new Person(page, site);
  const cdp = await profile.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      ctap2Version: "ctap2_1",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      hasPrf,
    },
  });
  const authenticator = (command, args = {}) => cdp.send(`WebAuthn.${command}`, { authenticatorId, ...args });
  const prfOutputs = async () => (await page.evaluate(() => globalThis.prfOutputs)).map((bytes) => Buffer.from(bytes));
  return { profile, wiretap, page, person, authenticator, prfOutputs };
}

/** Adds one on the security page. @returns {Promise<string>} what the page says then */
async function addPasskey({ page, person }, name) {
  await person.open("/security");
  await person.button("Add a passkey").click();
  await page.getByLabel(/^Name/).fill(name);
  await page.getByRole("button", { name: "Continue", exact: true }).click();
  const added = page.getByText("Passkey added", { exact: true });
  await person.unlockIfAsked(added);
  await page.getByRole("listitem").filter({ hasText: name }).waitFor();
  return page.getByRole("status").filter({ has: added }).innerText();
}

async function signInWithPasskey({ page, person }) {
  await person.open("/sign-in");
  // Chromium may offer it in the field by itself, and a virtual authenticator agrees at once.
  const there = person.heading(`Hello, ${person.username}`);
  const button = person.button("Sign in with a passkey");
  await button.or(there).first().waitFor();
  if (await button.isVisible()) await button.click().catch(() => undefined);
  await there.waitFor(LONG);

}

describe("a passkey that can open the owner key", () => {
  let world;
  const outputs = [];
  beforeAll(async () => {
    world = await newPerson({ hasPrf: true });
    await world.person.register();
    await world.person.makeIdentity();
  });
  afterAll(() => world?.profile.close());

  test("is added, and said to unlock", async () => {
    const { page, prfOutputs } = world;
    const said = await addPasskey(world, "My laptop");
    outputs.push(...(await prfOutputs()));
    const later = page.getByRole("button", { name: "Let it unlock too: My laptop" });
    if (await later.isVisible()) {
      expect(said).toMatch(/Let it unlock too/);
      await later.click();
      await world.person.unlockIfAsked(page.getByText(/now opens your owner key too/));
      outputs.push(...(await prfOutputs()));
    } else {
      expect(said).toMatch(/opens your owner key/);
    }
    await page.getByText("unlocks", { exact: true }).waitFor();
    expect(outputs.length).toBeGreaterThan(0);
  });

  test("signs in without the password, and what has to be signed is signed without it", async () => {
    const { person, prfOutputs } = world;
    await person.open("/");
    await person.signOut();
    await signInWithPasskey(world);
    outputs.push(...(await prfOutputs()));
    await world.page.getByRole("link", { name: /^Apps/ }).first().click();
    await world.page.getByRole("link", { name: "Connect an app" }).first().click();
    await person.fillTerms("Signed by passkey", "Post notes");
    await person.button("Make the link").click();
    await person.heading("Give this link to Signed by passkey").waitFor(LONG);
    const app = await App.connect((await world.page.getByRole("group", { name: /^Link for/ }).textContent()).trim());
    expect((await app.sign({ content: "by passkey" })).content).toBe("by passkey");
    await app.close();
  });

  test("unlocks after a reload, in place of the password", async () => {
    const { person, page, prfOutputs } = world;
    await person.open("/apps/new");
    await person.fillTerms("After a reload", "Post notes");
    await person.button("Make the link").click();
    await person.prompt.waitFor();
    await person.button("Use a passkey", person.prompt).click();
    await person.heading("Give this link to After a reload").waitFor(LONG);
    outputs.push(...(await prfOutputs()));
  });

  test("that nobody touches or confirms signs nobody in, and the page says what to do", async () => {
    const { person, page, authenticator } = world;
    await person.open("/");
    await person.signOut();
    await authenticator("setUserVerified", { isUserVerified: false });
    await person.open("/sign-in");
    await person.button("Sign in with a passkey").click();
    await page.getByText("No passkey was used").first().waitFor(LONG);
    await authenticator("setUserVerified", { isUserVerified: true });
  });

  test("that was removed signs nobody in, and the password still does", async () => {
    const { person, page } = world;
    await person.signIn();
    await person.arrive();
    await person.open("/security");
    await person.button("Remove My laptop").click();
    await person.button("Remove", page.getByRole("dialog")).click();
    await person.unlockIfAsked(page.getByText("Passkey removed"));
    await person.open("/");
    await person.signOut();
    await person.open("/sign-in");
    await person.button("Sign in with a passkey").click();
    await page.getByRole("alert").filter({ hasText: /passkey/i }).waitFor(LONG);
    await person.signIn();
    await person.arrive();
  });

  test("and what the authenticator told the page has never left it", async () => {
    const { wiretap, person } = world;
    const secrets = [...person.secrets(), ...outputs.map((bytes, n) => Watched.key(`PRF output ${n}`, bytes))];
    expect(await wiretap.leaks(secrets)).toEqual([]);
    expect(wiretap.foreignTo(site.url)).toEqual([]);
    // Chromium warns of every site that does not take RS256 as well.
    const troubles = wiretap.troubles([/^(401|403) POST \/auth\/(passkeys\/token|reauthenticate)/]);
    expect(troubles.filter((it) => !/^warning: publicKey.pubKeyCredParams is missing/.test(it))).toEqual([]);
  });
});

describe("a passkey that cannot open the owner key", () => {
  let world;
  beforeAll(async () => {
    world = await newPerson({ hasPrf: false });
    await world.person.register();
    await world.person.makeIdentity();
  });
  afterAll(() => world?.profile.close());

  test("is added, and said to need the password for signing", async () => {
    expect(await addPasskey(world, "My phone")).toMatch(/password is still needed/);
  });

  test("signs in, and the password is asked for when something is signed", async () => {
    const { person, page } = world;
    await person.open("/");
    await person.signOut();
    await signInWithPasskey(world);
    await person.open("/apps/new");
    await person.fillTerms("Needs the password", "Post notes");
    await person.button("Make the link").click();
    const dialog = person.prompt;
    await dialog.waitFor();
    await person.button("Use a passkey", dialog).click();
    await dialog.getByText(/cannot unlock your owner key|was not set up to unlock/).waitFor(LONG);
    await person.confirm(dialog);
    await person.heading("Give this link to Needs the password").waitFor(LONG);
  });

  test("does not become another account's: a stranger with it is the same person still", async () => {
    const { person, page } = world;
    await person.open("/security");
    await page.getByText("My phone", { exact: true }).waitFor();
    expect(await page.getByText("unlocks", { exact: true }).count()).toBe(0);
  });
});
