/**
 * Every page in each of its states, on a desktop and a phone, in light and dark: axe finds nothing, nothing is wider
 * than a small phone, and a picture of it lies in the output folder to be looked at. Then the same by keyboard alone.
 */
import { generateSecretKey, nip19 } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectGoodFor, launchBrowser, newProfile, takePicture } from "../support/browser.mjs";
import { App } from "../support/browser-app.mjs";
import { Person } from "../support/browser-person.mjs";
import { startSite } from "../support/browser-site.mjs";
import { nowS } from "../support/clock.mjs";
import { Peer } from "../support/peer.mjs";

const LONG = { timeout: 120_000 };
const NOBODY = "0123456789abcdef0123456789abcdef";

let site, browser;
beforeAll(async () => {
  site = await startSite({ vars: { EXPORT_DELAY: "3600" } });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
});

describe("signed out", () => {
  let profile, person;
  beforeAll(async () => {
    profile = await newProfile(browser);
    person = new Person(await profile.newPage(), site);
  });
  afterAll(() => profile?.close());

  test("the start page", async () => {
    await person.open("/");
    await expectGoodFor(person.page, "start");
  });

  test("create an account, empty and filled wrongly", async () => {
    await person.open("/register");
    await expectGoodFor(person.page, "register");
    await person.field("Username").fill("x");
    await person.field("Password").fill("password123");
    await person.field("Password again").fill("password124");
    await person.button("Create the account").click();
    await person.page.getByText(/3 to 32 characters/).waitFor();
    await expectGoodFor(person.page, "register-wrong");
  });

  test("sign in, empty and refused", async () => {
    await person.open("/sign-in");
    await expectGoodFor(person.page, "sign-in");
    await person.signIn({ username: "nobody-here", password: "not the password" });
    await person.page.getByText("That did not match").waitFor(LONG);
    await expectGoodFor(person.page, "sign-in-refused");
  });

  test("recover, empty and with a file that is none", async () => {
    await person.open("/recover");
    await expectGoodFor(person.page, "recover");
    await person.giveKit({ name: "holiday.txt", mimeType: "text/plain", buffer: Buffer.from("not a kit") });
    await person.button("Open the kit").click();
    await person.page.locator("[aria-invalid=true]").first().waitFor(LONG);
    await expectGoodFor(person.page, "recover-wrong");
    await person.page.getByText("Paste the text").click();
    await expectGoodFor(person.page, "recover-paste");
  });

  test("an address that leads nowhere", async () => {
    await person.open("/nothing");
    await expectGoodFor(person.page, "nothing");
  });

  test("a page that needs somebody leads to signing in, and back after it", async () => {
    await person.open("/security");
    await person.heading("Sign in").waitFor();
    expect(new URL(person.page.url()).search).toBe("?next=%2Fsecurity");
  });
});

describe("signed in", () => {
  let profile, person, app, link;

  beforeAll(async () => {
    profile = await newProfile(browser);
    person = new Person(await profile.newPage(), site);
    await person.register();
  });
  afterAll(async () => {
    await app?.close();
    await profile?.close();
  });

  test("home, before there is anything", async () => {
    await person.page.getByRole("link", { name: "Home" }).first().click();
    await person.page.getByText("You have no identity here yet").waitFor();
    await expectGoodFor(person.page, "home-empty");
  });

  test.each(["/apps", "/approvals", "/activity", "/apps/new", "/security"])("%s, before there is an identity", async (path) => {
    await person.open(path);
    await expectGoodFor(person.page, `empty${path.replaceAll("/", "-")}`);
  });

  test("an identity, step by step", async () => {
    await person.open("/identity/new");
    await expectGoodFor(person.page, "identity-new-1-choose");
    await person.page.getByText("Bring the one I have").click();
    await person.field("Name").fill("Mine");
    await person.field("Secret key").fill("ncryptsec1nonsense");
    await person.button("Continue").click();
    await expectGoodFor(person.page, "identity-new-1-own");
    await person.field("Secret key").fill(nip19.nsecEncode(generateSecretKey()));
    await person.button("Continue").click();
    await person.unlockIfAsked(person.heading("Is this you?"));
    await expectGoodFor(person.page, "identity-new-2-confirm");
    await person.button("Yes, split it").click();
    await person.unlockIfAsked(person.field("Passphrase for the kit"));
    await expectGoodFor(person.page, "identity-new-3-kit");
    await person.field("Passphrase for the kit").fill(person.passphrase);
    await person.field("Passphrase for the kit again").fill(person.passphrase);
    await person.button("Make the kit").click();
    await person.heading("Keep your kit").waitFor(LONG);
    const path = await person.saveKit();
    await expectGoodFor(person.page, "identity-new-4-keep");
    await person.page.emulateMedia({ media: "print", colorScheme: "light" });
    await takePicture(person.page, "identity-new-4-printed");
    await person.page.emulateMedia({ media: null });
    await person.button("I have kept it").click();
    await person.heading("Open it once").waitFor();
    await expectGoodFor(person.page, "identity-new-5-check");
    await person.checkKit(path);
    await person.heading("Your identity is ready").waitFor(LONG);
    await expectGoodFor(person.page, "identity-new-6-ready");
  });

  test("a new key, while it is made", async () => {
    const window = person.at(await profile.newPage());
    let goOn;
    const seen = new Promise((resolve) => (goOn = resolve));
    await window.page.route("**/ceremony/*/round/2*", async (route) => {
      await seen;
      await route.continue().catch(() => undefined);
    });
    await window.chooseKey({ label: "Another" });
    await window.unlockIfAsked(window.page.getByRole("progressbar", { name: "Making the key with the two holders: step 2 of 5" }));
    await expectGoodFor(window.page, "identity-new-1-making");
    goOn();
    await window.field("Passphrase for the kit").waitFor(LONG);
    await window.page.close();
  });

  test("home, and the identity itself", async () => {
    await person.open("/");
    await person.page.getByRole("link", { name: "Mine", exact: true }).waitFor();
    await expectGoodFor(person.page, "home");
    await person.page.getByRole("link", { name: "Mine", exact: true }).click();
    await person.heading("Who holds a share").waitFor();
    await expectGoodFor(person.page, "identity");
    await person.button("Show as QR code").click();
    await expectGoodFor(person.page, "identity-qr");
  });

  test("the account's menu", async () => {
    await person.open("/");
    await person.button(person.username).click();
    await person.button("Sign out").waitFor();
    await expectGoodFor(person.page, "menu");
  });

  test("apps, before there is one", async () => {
    await person.open("/apps");
    await person.page.getByText("No app is connected").waitFor();
    await expectGoodFor(person.page, "apps-empty");
  });

  test("connecting an app, to its arrival", async () => {
    await person.open("/apps/new");
    await expectGoodFor(person.page, "connect");
    await person.button("Make the link").click();
    await person.page.getByText("Give the app a name").waitFor();
    await expectGoodFor(person.page, "connect-wrong");
    await person.page.getByRole("radio", { name: "Choose myself" }).check();
    await person.page.getByText("Exactly what this allows").click();
    await person.page.getByText("Advanced").click();
    await person.page.getByLabel("Add a kind").fill("article");
    await expectGoodFor(person.page, "connect-custom");
    await person.page.getByLabel("Add a kind").fill("");
    await person.page.getByLabel("See your public key").selectOption({ label: "ask me first" });
    await person.fillTerms("Coracle on my phone", "Ask me every time");
    await person.page.getByRole("radio", { name: "Choose myself" }).check();
    await person.page.getByLabel("See your public key").selectOption({ label: "ask me first" });
    await person.button("Make the link").click();
    const dialog = person.prompt;
    await dialog.waitFor(LONG);
    await expectGoodFor(person.page, "unlock");
    await person.confirm(dialog, "not the password");
    await dialog.getByText("That is not your password").waitFor(LONG);
    await expectGoodFor(person.page, "unlock-wrong");
    await person.confirm(dialog);
    await person.heading("Give this link to Coracle on my phone").waitFor(LONG);
    await expectGoodFor(person.page, "connect-link");
    link = (await person.page.getByRole("group", { name: /^Link for/ }).textContent()).trim();
    app = await App.connect(link, { name: "Coracle", url: "https://coracle.example" });
    await person.heading("Coracle on my phone is connected").waitFor();
    await expectGoodFor(person.page, "connect-arrived");
  });

  test("approvals: none, then one of each kind of request, then answered", async () => {
    await person.open("/approvals");
    await person.page.getByText("Nothing waits for you").first().waitFor();
    await expectGoodFor(person.page, "approvals-empty");

    const peer = new Peer();
    const question = app.nextQuestion();
    const note = app.sign({
      content: "A note with \u202Eturned\u202C text, a zero\u200Bwidth space, and\n\nseveral lines. ".repeat(4),
      tags: [["p", peer.pubkey], ["t", "nostr"], ["e", "ab".repeat(32), "wss://relay.example", "reply"], ["client", "Coracle"]],
    });
    const url = await question;
    const others = [
      app.sign({ kind: 0, content: JSON.stringify({ name: "Somebody", about: "x".repeat(300) }) }),
      app.sign({ kind: 3, tags: [] }),
      app.sign({ kind: 5, content: "no more", tags: [["e", "cd".repeat(32)]] }),
      app.sign({ kind: 27235, tags: [["u", "https://site.example/login?a=b"], ["method", "POST"]] }),
      app.sign({ kind: 31234, content: "unusual", tags: [["d", "draft"]] }),
      app.ask("nip44_encrypt", [peer.pubkey, "Words for one person."]),
      app.ask("nip44_decrypt", [peer.pubkey, peer.encrypt44(peer.pubkey, "x".repeat(500))]),
      app.ask("nip04_decrypt", [peer.pubkey, "AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAAAAAAAAAAAAAAAAAAAA=="]),
      app.ask("get_public_key", []),
    ];
    const cards = person.page.getByRole("group", { name: "Your answer" });
    await expect.poll(() => cards.count(), { timeout: 20_000 }).toBe(1 + others.length);
    await expectGoodFor(person.page, "approvals");

    const window = person.at(await profile.newPage());
    await window.page.goto(url);
    await window.heading("An app asks you").waitFor();
    await expectGoodFor(window.page, "approve");
    await window.answer("Approve once");
    await window.unlockIfAsked(window.page.getByText("Approved", { exact: true }));
    await note;
    await expectGoodFor(window.page, "approve-given");
    await window.open(new URL(url).pathname);
    await window.page.getByText("This is what became of it").waitFor();
    await expectGoodFor(window.page, "approve-past");
    await window.open(`/approve/${NOBODY}${NOBODY}`);
    await window.page.getByText("This request is not waiting").waitFor();
    await expectGoodFor(window.page, "approve-nothing");
    await window.page.close();

    await person.page.getByText("It was approved").waitFor();
    const first = person.cards("Somebody");
    await person.answer("Deny", first);
    await person.unlockIfAsked(first.getByText("Denied", { exact: true }));
    await expectGoodFor(person.page, "approvals-settled");
  });

  test("the list of apps, and one app with what it may do and did", async () => {
    await person.open("/apps");
    await person.page.getByRole("link", { name: "Coracle on my phone" }).waitFor();
    await expectGoodFor(person.page, "apps");
    await person.page.getByRole("link", { name: "Coracle on my phone" }).click();
    await person.heading("What it did").waitFor();
    await person.page.locator("details summary").first().waitFor();
    await expectGoodFor(person.page, "app");
    await person.button("Change").click();
    await person.heading("Change what it may do").waitFor();
    await expectGoodFor(person.page, "app-edit");
    await person.button("Cancel").click();
    await person.button("Revoke").click();
    await person.heading("Revoke Coracle on my phone?").waitFor();
    await expectGoodFor(person.page, "app-revoke");
    await person.button("Keep it").click();
    await person.open(`/apps/${NOBODY}`);
    await person.heading("No such app").waitFor();
    await expectGoodFor(person.page, "app-unknown");
  });

  test("the activity", async () => {
    await person.open("/activity");
    await person.page.getByText("Checked on this device").waitFor();
    await person.page.locator("details summary").first().click();
    await expectGoodFor(person.page, "activity");
    await person.page.getByLabel("Search").fill("nothing like this");
    await person.page.getByText("Nothing fits").waitFor();
    await expectGoodFor(person.page, "activity-none");
  });

  test("security, and its dialogs", async () => {
    await person.open("/security");
    await person.page.getByText("this one").waitFor();
    await expectGoodFor(person.page, "security");
    await person.button("Change password").click();
    await expectGoodFor(person.page, "security-password");
    await person.button("Cancel").click();
    await person.button("Sign out everywhere").click();
    await expectGoodFor(person.page, "security-everywhere");
    await person.button("Stay signed in").click();
    await person.button("Renew the kit").click();
    await expectGoodFor(person.page, "security-kit");
    await person.button("Cancel").click();
    await person.button("Delete identity").click();
    await expectGoodFor(person.page, "security-delete");
    await person.button("Keep it").click();
    await person.button("Ask for it").click();
    await expectGoodFor(person.page, "security-export");
    await person.button("Ask for the key").click();
    await person.unlockIfAsked(person.page.getByText(/was asked for/));
    await expectGoodFor(person.page, "security-export-waiting");
    await person.button("Cancel it").click();
    await person.unlockIfAsked(person.page.getByText("Cancelled", { exact: true }));
  });

  test("an app whose permission has ended", async () => {
    await person.open("/apps");
    await person.page.getByRole("link", { name: "Coracle on my phone" }).click();
    await person.button("Revoke").click();
    await person.button("Revoke", person.page.getByRole("dialog")).click();
    await person.unlockIfAsked(person.page.getByText("Revoked. It can do nothing any more."));
    await expectGoodFor(person.page, "app-ended");
  });

  test("the server out of reach", async () => {
    await person.open("/apps");
    await profile.setOffline(true);
    try {
      await person.page.getByRole("link", { name: "Home" }).first().click();
      await person.page.getByText(/offline|did not answer/i).first().waitFor();
      await expectGoodFor(person.page, "offline");
    } finally {
      await profile.setOffline(false);
    }
  });
});

describe("by keyboard alone, seeing at each step where one is", () => {
  let profile, person, app;
  beforeAll(async () => {
    profile = await newProfile(browser);
    person = new Person(await profile.newPage(), site);
  });
  afterAll(async () => {
    await app?.close();
    await profile?.close();
  });

  test("a person makes an account", async () => {
    const { page } = person;
    await page.goto(site.url);
    await person.heading("Your Nostr key").waitFor();
    await page.keyboard.press("Tab");
    expect(await focused(page)).toMatchObject({ name: "Skip to the page" });
    await tabTo(page, "Create an account");
    await page.keyboard.press("Enter");
    await person.heading("Create an account").waitFor();
    expect((await focused(page)).name).toBe("Create an account"); // the heading: what a screen reader reads first
    await tabTo(page, "Username");
    await page.keyboard.type(person.username);
    await tabTo(page, "Password");
    await page.keyboard.type(person.password);
    await tabTo(page, "Password again");
    await page.keyboard.type(person.password);
    await tabTo(page, "Create the account");
    await page.keyboard.press("Space");
    await person.heading("Add an identity").waitFor(LONG);
  });

  test("makes an identity and connects an app", async () => {
    const { page } = person;
    await tabTo(page, "Name");
    await page.keyboard.type("Me");
    await page.keyboard.press("Enter");
    await person.field("Passphrase for the kit").waitFor(LONG);
    await tabTo(page, "Passphrase for the kit");
    await page.keyboard.type(person.passphrase);
    await tabTo(page, "Passphrase for the kit again");
    await page.keyboard.type(person.passphrase);
    await page.keyboard.press("Enter");
    await person.heading("Keep your kit").waitFor(LONG);
    const download = page.waitForEvent("download");
    await tabTo(page, "Save as a file");
    await page.keyboard.press("Enter");
    const path = await (await download).path();
    await tabTo(page, "I have kept it");
    await page.keyboard.press("Enter");
    // Choosing a file opens the system's own window, which no page drives.
    await person.checkKit(path);
    await person.heading("Your identity is ready").waitFor(LONG);
    await tabTo(page, "Connect an app");
    await page.keyboard.press("Enter");
    await person.heading("Connect an app").waitFor();
    await tabTo(page, "Name of the app");
    await page.keyboard.type("By keyboard");
    await tabTo(page, "Post notes");
    await page.keyboard.press("Space");
    for (let n = 0; n < 4; n += 1) await page.keyboard.press("ArrowDown");
    expect((await focused(page)).name).toMatch(/^Ask me every time/);
    await tabTo(page, "Make the link");
    await page.keyboard.press("Enter");
    await person.heading("Give this link to By keyboard").waitFor(LONG);
    app = await App.connect((await page.getByRole("group", { name: /^Link for/ }).textContent()).trim());
    await person.heading("By keyboard is connected").waitFor();
  });

  test("approves a request", async () => {
    const { page } = person;
    await page.goto(`${site.url}/approvals`);
    await person.page.getByText("Nothing waits for you").first().waitFor();
    const asked = app.sign({ content: "approved without a mouse" });
    await page.getByText("approved without a mouse").waitFor();
    // What has just appeared takes no answer for a moment.
    await expect.poll(() => person.button("Approve once").isEnabled()).toBe(true);
    await tabTo(page, "Approve once");
    await page.keyboard.press("Enter");
    await person.prompt.waitFor();
    await tabTo(page, "Password");
    await page.keyboard.type(person.password);
    await page.keyboard.press("Enter");
    await page.getByText("Approved", { exact: true }).waitFor(LONG);
    expect((await asked).content).toBe("approved without a mouse");
  });

  test("closes a dialog with Escape, and is back where they were", async () => {
    const { page } = person;
    await page.goto(`${site.url}/security`);
    await person.heading("Where you are signed in").waitFor();
    await tabTo(page, "Sign out everywhere", 60);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    expect((await focused(page)).name).toBe("Sign out everywhere");
  });
});

/** Moves the focus until it is on what is called `name`; each stop on the way has to be seen. */
async function tabTo(page, name, most = 40) {
  for (let presses = 0; presses < most; presses += 1) {
    const now = await focused(page);
    if (presses > 0) expect(now, "a stop that is not seen").toMatchObject({ seen: true });
    if (now.name === name && now.tabbable) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${most} times Tab did not lead to “${name}”`);
}

/** What has the focus: its name, and whether that is drawn. */
function focused(page) {
  return page.evaluate(() => {
    const it = document.activeElement;
    const labelled = (it.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    const label = it.getAttribute("aria-label") ?? (labelled.trim() || (it.labels?.[0]?.querySelector(".name") ?? it.labels?.[0])?.textContent || it.textContent);
    // A control may leave drawing its focus to what stands around it, such as the label of a hidden radio button.
    const drawn = [it, it.parentElement, it.nextElementSibling, it.closest("label")].filter(Boolean).some((element) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none";
    });
    const { width, height, bottom, top } = it.getBoundingClientRect();
    const onScreen = width > 0 && height > 0 && bottom > 0 && top < innerHeight;
    return { name: label.trim().replace(/\s+/g, " "), tabbable: it.tabIndex >= 0, seen: it === document.body || (drawn && onScreen) };
  });
}
