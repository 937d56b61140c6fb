/** What a person does in the pages: by what they read there, never by how it is built. */
import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { Watched, openKit } from "./browser-secrets.mjs";

/** Deriving a key from a password is meant to take long, and the machine of a test may be busy. */
const SLOW = { timeout: 120_000 };

export class Person {
  username = `person-${randomBytes(4).toString("hex")}`;
  // Text that every encoding writes in another way, with a core that none changes.
  password = `Grüße "an" \\ wolkenbruch${randomBytes(4).toString("hex")}`;
  passphrase = `Fünf 'Wörter' & mehr: regenschirm${randomBytes(4).toString("hex")}`;
  /** Filled by {@link makeIdentity}. @type {{npub: string, kit: string, label: string}[]} */
  identities = [];
  #given = [];

  /**
   * @param {import("playwright-core").Page} page
   * @param {{url: string}} site
   */
  constructor(page, site) {
    this.page = page;
    this.site = site;
  }

  /** The same person in another window. @param {import("playwright-core").Page} page */
  at(page) {
    return Object.assign(Object.create(Person.prototype), this, { page });
  }

  /** Opens an address. */
  async open(path) {
    await this.page.goto(this.site.url + path);
    await this.page.getByRole("heading", { level: 1 }).waitFor();
  }

  button(name, within = this.page) {
    return within.getByRole("button", { name, exact: typeof name === "string" });
  }

  field(name, within = this.page) {
    return within.getByLabel(name, { exact: true });
  }

  heading(name) {
    return this.page.getByRole("heading", { name });
  }

  /** From the start page to an account without identities. */
  async register() {
    await this.open("/");
    await this.page.getByRole("link", { name: "Create an account" }).first().click();
    await this.fillRegistration();
    await this.button("Create the account").click();
    await this.heading("Add an identity").waitFor(SLOW);
  }

  async fillRegistration() {
    await this.field("Username").fill(this.username);
    await this.field("Password").fill(this.password);
    await this.field("Password again").fill(this.password);
  }

  /** Makes an identity, or brings one, and keeps its kit. @param {{label?: string, secret?: string, password?: string, custody?: string}} [options] */
  async makeIdentity({ label = "Me", secret, password, custody } = {}) {
    await this.chooseKey({ label, secret, password, custody });
    if (secret !== undefined) {
      await this.unlockIfAsked(this.heading("Is this you?"));
      await this.button("Yes, split it").click();
    }
    const { path, npub } = await this.takeKit();
    await this.checkKit(path);
    await this.heading("Your identity is ready").waitFor(SLOW);
    const identity = { npub, label, kit: readFileSync(path, "utf8") };
    this.identities.push(identity);
    return identity;
  }

  /** The first step of an identity. */
  async chooseKey({ label = "Me", secret, password, custody } = {}) {
    if (!this.page.url().endsWith("/identity/new")) await this.open("/identity/new");
    await this.field("Name").fill(label);
    if (custody !== undefined) await this.page.getByRole("radio", { name: custody, exact: true }).check();
    if (secret !== undefined) {
      await this.page.getByText("Bring the one I have").click();
      await this.field("Secret key").fill(secret);
      this.#given.push(secret);
      if (password !== undefined) {
        await this.field("Password of the encrypted key").fill(password);
        this.#given.push(password);
      }
    }
    await this.button("Continue").click();
  }

  /** Makes the kit and saves it as a file. @returns {Promise<{path: string, npub: string}>} */
  async takeKit() {
    await this.unlockIfAsked(this.field("Passphrase for the kit"));
    await this.field("Passphrase for the kit").fill(this.passphrase);
    await this.field("Passphrase for the kit again").fill(this.passphrase);
    await this.button("Make the kit").click();
    await this.heading("Keep your kit").waitFor(SLOW);
    const npub = (await this.page.locator(".print-sheet").textContent()).match(/npub1[a-z0-9]{58}/)[0];
    const path = await this.saveKit();
    await this.button("I have kept it").click();
    return { path, npub };
  }

  async saveKit() {
    const download = this.page.waitForEvent("download");
    await this.button("Save as a file").click();
    return (await download).path();
  }

  async checkKit(path, passphrase = this.passphrase) {
    await this.heading("Open it once").waitFor();
    await this.giveKit(path, passphrase);
    await this.button("Check the kit and make the identity").click();
  }

  /** @param {string|{name: string, mimeType: string, buffer: Buffer}} file */
  async giveKit(file, passphrase = this.passphrase) {
    await this.page.locator("input[type=file]").setInputFiles(file);
    await this.field("Passphrase of the kit").fill(passphrase);
  }

  /** Connects an app. @returns {Promise<{url: string, connection: string}>} the link shown, and the connection's id */
  async connect(name, preset, { authUrl = true } = {}) {
    await this.open("/apps/new");
    await this.fillTerms(name, preset, { authUrl });
    await this.button("Make the link").click();
    await this.unlockIfAsked(this.heading(`Give this link to ${name}`));
    const url = (await this.page.getByRole("group", { name: `Link for ${name}` }).textContent()).trim();
    const to = await this.page.getByRole("link", { name: "Change or take back" }).getAttribute("href");
    return { url, connection: to.split("/").at(-1) };
  }

  async fillTerms(name, preset, { authUrl = true } = {}) {
    await this.field("Name of the app").fill(name);
    await this.page.getByRole("radio", { name: preset, exact: true }).check();
    if (!authUrl) {
      await this.page.getByText("Advanced").click();
      await this.page.getByRole("checkbox", { name: /Send the app a link/ }).uncheck();
    }
  }

  /** The dialog that asks for the password, to open the owner key or to tell the server who is there. */
  get prompt() {
    return this.page.getByRole("dialog", { name: /^(Unlock your owner key|Is it still you\?)$/ });
  }

  /** Waits for what comes next, and types the password as often as the page asks for it. @param {import("playwright-core").Locator} next */
  async unlockIfAsked(next) {
    for (;;) {
      await this.prompt.or(next).first().waitFor(SLOW);
      if (!(await this.prompt.isVisible())) break;
      await this.confirm();
      await this.prompt.waitFor({ state: "hidden", ...SLOW });
    }
    await next.first().waitFor(SLOW);
  }

  /** Types the password into the dialog that asks for it. */
  async confirm(dialog = this.prompt, password = this.password) {
    await this.field("Password", dialog).fill(password);
    await dialog.getByRole("button", { name: /^(Unlock|Continue)$/ }).click();
  }

  async signIn({ username = this.username, password = this.password } = {}) {
    await this.open("/sign-in");
    await this.field("Username").fill(username);
    await this.field("Password").fill(password);
    await this.button("Sign in", this.page.getByRole("main")).click();
  }

  /** Signed in and on the start page. */
  async arrive() {
    await this.heading(`Hello, ${this.username}`).waitFor(SLOW);
  }

  async signOut() {
    await this.page.waitForLoadState("networkidle"); // what the page still reads would be refused
    await this.button(this.username).click();
    await this.button("Sign out").click();
    await this.page.getByText("You are signed out").waitFor();
  }

  /** The cards of the requests on this page that say something. @param {string} text */
  cards(text) {
    return this.page.locator("article article").filter({ hasText: text });
  }

  /** Answers a request, on its card or on a page that has one. */
  async answer(words, scope = this.page) {
    const button = scope.getByRole("button", { name: words, exact: true });
    await button.click(SLOW);
  }

  async revoke(connection) {
    await this.open(`/apps/${connection}`);
    await this.button("Revoke").click();
    await this.button("Revoke", this.page.getByRole("dialog")).click();
    await this.unlockIfAsked(this.page.getByText("Revoked. It can do nothing any more."));
  }

  /** All that this person typed or owns and that nobody else may ever have. */
  secrets() {
    const typed = [
      ["the password", this.password],
      ["the kit's passphrase", this.passphrase],
      ["the password's core", this.password.match(/wolkenbruch\w+/)[0]],
      ["the passphrase's core", this.passphrase.match(/regenschirm\w+/)[0]],
      ...this.#given.map((text, n) => [`what was typed for an import (${n})`, text]),
    ];
    const kits = this.identities.map(({ kit }) => openKit(kit, this.passphrase));
    return [
      ...typed.map(([name, text]) => Watched.text(name, text)),
      ...kits.flatMap(({ owner, share }) => [Watched.key("the owner key", owner), Watched.key("the recovery share", share)]),
    ];
  }
}
