/**
 * A person who has never heard of any of this, from an empty profile to the day they leave, in Chromium and with
 * nostr-tools as the app; and over all of it, that nothing of theirs left the page that must not.
 */
import { readFileSync } from "node:fs";
import { generateSecretKey, getPublicKey, nip19, verifyEvent } from "nostr-tools";
import * as nip49 from "nostr-tools/nip49";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../support/browser.mjs";
import { App } from "../support/browser-app.mjs";
import { Watched, openKit } from "../support/browser-secrets.mjs";
import { begin, connectApp, end, hexOf, secretsOf, sent } from "../support/browser-story.mjs";
import { Peer } from "../support/peer.mjs";
import { AWKWARD } from "../support/texts.mjs";

let browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

describe("from an empty profile", () => {
  let world, identity, app, asking, approvals;

  beforeAll(async () => {
    world = await begin(browser);
  });
  afterAll(() => end(world));

  test("a person makes an account", async () => {
    await world.person.register();
    [world.owner] = sent(world, "owner_pubkey");
    expect(world.owner).toMatch(/^[0-9a-f]{64}$/);
    expect(await world.profile.cookies()).toEqual([]);
  });

  test("makes an identity, and keeps its kit", async () => {
    identity = await world.person.makeIdentity({ label: "Me" });
    const kit = openKit(identity.kit, world.person.passphrase);
    expect(getPublicKey(kit.owner)).toBe(world.owner);
    expect(kit.pubkey).toBe(hexOf(identity.npub));
    await world.person.open("/");
    await world.person.page.getByText("Me", { exact: true }).first().waitFor();
  });

  test("whose key was made in rounds with the holders, and not by handing out shares", () => {
    const line = world.site.tap.sent().map((bytes) => bytes.toString("latin1")).join("\n");
    const rounds = [...line.matchAll(/POST \/ceremony\/[0-9a-f]{32}\/round\/(\d+)\?after=\d+ /g)].map(([, n]) => Number(n));
    expect(rounds.sort()).toEqual([1, 2, 3, 4, 5]);
    expect(sent(world, "packages")).toEqual([]);
  });

  test("connects an app with the link shown, and sees it arrive", async () => {
    const { url, connection } = await world.person.connect("My notes", "Post notes");
    expect(url).toMatch(/^bunker:\/\/[0-9a-f]{64}\?relay=.+&secret=[A-Za-z0-9]{16,64}$/);
    app = Object.assign(await App.connect(url), { connection });
    world.apps.push(app);
    await world.person.heading("My notes is connected").waitFor();
    await world.person.page.getByText("A test app").waitFor();
    expect(await app.signer.getPublicKey()).toBe(hexOf(identity.npub));
  });

  test("has a note signed by it", async () => {
    const event = await app.sign({ content: AWKWARD, tags: [["t", AWKWARD]] });
    expect(event).toMatchObject({ kind: 1, content: AWKWARD, tags: [["t", AWKWARD]], pubkey: hexOf(identity.npub) });
    expect(verifyEvent(structuredClone(event))).toBe(true);
  });

  test("is sent to the question of an app that has to ask, sees all of it, and approves", async () => {
    asking = await connectApp(world, "Careful app", "Ask me every time");
    const question = asking.nextQuestion();
    const content = "The whole text.\nWith a second line and <b>no markup</b>.";
    const asked = asking.sign({ content, tags: [["t", "tag-value-1"], ["p", "ab".repeat(32)], ["x", "", "third"]] });
    const url = await question;
    expect(url).toMatch(new RegExp(`^${world.site.url}/approve/[0-9a-f]{64}$`));

    approvals = world.person.at(await world.profile.newPage());
    await approvals.page.goto(url);
    await approvals.heading("An app asks you").waitFor();
    const shown = await approvals.cards("Careful app").innerText();
    for (const text of ["Careful app", content, "tag-value-1", "third", "short note"]) expect(shown).toContain(text);
    await approvals.answer("Approve once");
    await approvals.unlockIfAsked(approvals.page.getByText("Approved", { exact: true }));
    const event = await asked;
    expect(event).toMatchObject({ content, pubkey: hexOf(identity.npub) });
    expect(verifyEvent(structuredClone(event))).toBe(true);
  });

  test("is asked again after having approved once, and may deny", async () => {
    await approvals.open("/approvals");
    const asked = asking.sign({ content: "again" });
    const card = approvals.cards("again");
    await card.waitFor();
    await approvals.answer("Deny", card);
    await approvals.unlockIfAsked(card.getByText("Denied", { exact: true }));
    await expect(asked).rejects.toMatch(/denied|owner/i);
  });

  test("is not asked again after always, for this kind alone", async () => {
    const asked = asking.sign({ content: "always this kind" });
    const card = approvals.cards("always this kind");
    await approvals.answer("Always for this kind", card);
    await approvals.unlockIfAsked(card.getByText("Approved", { exact: true }));
    expect(verifyEvent(await asked)).toBe(true);

    const before = asking.opened.length;
    expect(verifyEvent(await asking.sign({ content: "unasked" }))).toBe(true);
    expect(asking.opened.length).toBe(before);

    const other = asking.sign({ kind: 7, content: "+other kind" });
    const otherCard = approvals.cards("+other kind");
    await approvals.answer("For an hour", otherCard);
    await approvals.unlockIfAsked(otherCard.getByText("Approved", { exact: true }));
    expect(verifyEvent(await other)).toBe(true);
    expect(verifyEvent(await asking.sign({ kind: 7, content: "-" }))).toBe(true);
  });

  test("is asked before an app reads a message, and sees with whom it is", async () => {
    const peer = new Peer();
    const asked = asking.ask("nip44_decrypt", [peer.pubkey, peer.encrypt44(hexOf(identity.npub), "a secret word")]);
    const card = approvals.cards("private message").last();
    await card.waitFor();
    expect(await card.innerText()).not.toContain("a secret word");
    await approvals.answer("Approve once", card);
    await approvals.unlockIfAsked(card.getByText("Approved", { exact: true }));
    expect(await asked).toBe("a secret word");
  });

  test("answers in the page for an app that is sent no link", async () => {
    const quiet = await connectApp(world, "Quiet app", "Ask me every time", { authUrl: false });
    const asked = quiet.sign({ content: "no link for this one" });
    const card = approvals.cards("no link for this one");
    await approvals.answer("Approve once", card);
    await approvals.unlockIfAsked(card.getByText("Approved", { exact: true }));
    expect(verifyEvent(await asked)).toBe(true);
    expect(quiet.opened).toEqual([]);
  });

  test("pauses an app, and lets it go on", async () => {
    const { person } = world;
    await person.open(`/apps/${app.connection}`);
    await person.button("Pause").click();
    await person.unlockIfAsked(person.page.getByText("Paused. It is refused everything until you resume it."));
    await expect(app.sign({ content: "while paused" })).rejects.toMatch(/paused/);
    await person.button("Resume").click();
    await person.unlockIfAsked(person.page.getByText("Resumed. It may go on."));
    expect(verifyEvent(await app.sign({ content: "goes on" }))).toBe(true);
  });

  test("takes the permission back, and the app is refused", async () => {
    await world.person.revoke(app.connection);
    await expect(app.sign({ content: "after the end" })).rejects.toMatch(/revoked/);
    await expect(app.ask("get_public_key", [])).rejects.toMatch(/revoked/);
    await world.person.open("/apps");
    await world.person.page.getByText(/^Ended \(/).waitFor();
  });

  test("reads in the activity what happened, checked on the device", async () => {
    const { person } = world;
    await person.open("/activity");
    await person.page.getByText("Checked on this device: nothing is missing or changed").waitFor();
    await person.page.locator("summary").filter({ hasText: "Careful app" }).first().waitFor();
    const download = person.page.waitForEvent("download");
    await person.page.getByRole("button", { name: /records as JSON lines$/ }).click();
    const lines = readFileSync(await (await download).path(), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.some(({ entry }) => JSON.stringify(entry).includes(asking.connection))).toBe(true);
  });

  test("signs out, and the browser keeps nothing by which anybody gets in", async () => {
    const { person, profile } = world;
    await approvals.page.close();
    await person.open("/");
    await person.signOut();
    const kept = await person.page.evaluate(() => Object.keys(localStorage));
    expect(kept).not.toContain("passport.session");
    await person.open("/apps").catch(() => undefined);
    await person.heading("Sign in").waitFor();
    expect(await profile.cookies()).toEqual([]);
  });

  test("takes the account back with the kit alone, and is the same person on Nostr", async () => {
    const { person } = world;
    await person.open("/recover");
    await person.giveKit({ name: "kit.json", mimeType: "application/json", buffer: Buffer.from(identity.kit) });
    await person.button("Open the kit").click();
    await person.heading("The kit is good").waitFor({ timeout: 120_000 });
    await person.page.getByText(identity.npub).waitFor();
    world.oldPassword = person.password;
    person.password = `Neu & "besser" wolkenbruch${Math.random().toString(16).slice(2, 10)}`;
    await person.field("New password").fill(person.password);
    await person.field("New password again").fill(person.password);
    await person.button("Set the password and sign in").click();
    await person.heading(`Welcome back, ${person.username}`).waitFor({ timeout: 120_000 });
    await person.button("Go to your identities").click();
    await person.page.getByRole("link", { name: "Me", exact: true }).click();
    expect(await person.page.getByRole("group", { name: "npub" }).innerText()).toBe(identity.npub);
  });

  test("still has the apps that were connected before, and can sign for them", async () => {
    const { person } = world;
    expect(verifyEvent(await asking.sign({ content: "still remembered" }))).toBe(true);
    const { url } = await person.connect("After recovery", "Post notes");
    const fresh = await App.connect(url);
    world.apps.push(fresh);
    expect((await fresh.sign({ content: "as before" })).pubkey).toBe(hexOf(identity.npub));
  });

  test("finds that the old password opens nothing, and the new one does", async () => {
    const { person } = world;
    await person.signOut();
    await person.signIn({ password: world.oldPassword });
    await person.page.getByText("That did not match").waitFor({ timeout: 120_000 });
    await person.signIn();
    await person.arrive();
  });

  test("and in all of this no key, share, password or passphrase has left the page, no other origin was asked, and no page complained", async () => {
    const { wiretap, site, apps } = world;
    await Promise.all(apps.map((it) => it.close()));
    const troubles = wiretap.troubles([/^401 POST \/auth\/token/]);
    await site.server.stop();
    const secrets = [...secretsOf(world), Watched.text("the old password", world.oldPassword)];
    expect(secrets.length).toBeGreaterThan(12);
    expect(wiretap.requests).toBeGreaterThan(50);
    expect(await wiretap.leaks(secrets)).toEqual([]);
    expect(wiretap.foreignTo(site.url)).toEqual([]);
    expect(troubles).toEqual([]);
  });
});

describe("with the key they have", () => {
  let world;
  const IMPORTS = [
    ["an nsec", (key) => ({ secret: nip19.nsecEncode(key) })],
    ["64 hex digits", (key) => ({ secret: Buffer.from(key).toString("hex") })],
    ["an encrypted key", (key) => ({ secret: nip49.encrypt(key, "ein Paßwort für NIP-49", 16), password: "ein Paßwort für NIP-49" })],
  ];
  const keys = IMPORTS.map(() => generateSecretKey());

  beforeAll(async () => {
    world = await begin(browser, { phone: true });
    await world.person.register();
  });
  afterAll(() => end(world));

  test.each(IMPORTS.map(([name, typed], n) => [name, typed, keys[n]]))("a person brings %s, and apps sign as before", async (name, typed, key) => {
    const { person } = world;
    const npub = nip19.npubEncode(getPublicKey(key));
    const { secret, password } = typed(key);
    await person.chooseKey({ label: name, secret, password });
    if (password) {
      const progress = person.page.getByRole("progressbar", { name: "Decrypting the key on this device" });
      await person.unlockIfAsked(progress);
      expect(Number(await progress.getAttribute("value").catch(() => 1))).toBeLessThanOrEqual(1);
    }
    await person.unlockIfAsked(person.heading("Is this you?"));
    await person.page.getByText(npub).waitFor();
    await person.button("Yes, split it").click();
    const kit = await person.takeKit();
    await person.checkKit(kit.path);
    await person.heading("Your identity is ready").waitFor({ timeout: 120_000 });
    person.identities.push({ npub, label: name, kit: readFileSync(kit.path, "utf8") });

    const app = await connectApp(world, `App of ${name}`, "Post notes");
    const event = await app.sign({ content: "the same author as ever" });
    expect(event.pubkey).toBe(getPublicKey(key));
    expect(verifyEvent(structuredClone(event))).toBe(true);
    await person.revoke(app.connection);
    await expect(app.sign({ content: "after the end" })).rejects.toMatch(/revoked/);
  });

  test("which were split on the device: no ceremony was held, and each holder got one sealed share", () => {
    expect(world.site.tap.sent().some((bytes) => bytes.includes("/ceremony/"))).toBe(false);
    const packages = sent(world, "packages");
    expect(packages).toHaveLength(IMPORTS.length);
    for (const each of packages) expect(Object.keys(each)).toEqual(["1", "2"]);
  });

  test("signs out, takes the account back with one of the kits, and has all of them", async () => {
    const { person } = world;
    await person.open("/");
    await person.signOut();
    await person.open("/recover");
    await person.giveKit({ name: "kit.json", mimeType: "application/json", buffer: Buffer.from(person.identities[0].kit) });
    await person.button("Open the kit").click();
    await person.page.getByText(person.identities[0].npub).waitFor({ timeout: 120_000 });
    await person.field("New password").fill(person.password);
    await person.field("New password again").fill(person.password);
    await person.button("Set the password and sign in").click();
    await person.heading(`Welcome back, ${person.username}`).waitFor({ timeout: 120_000 });
    for (const { label, npub } of person.identities) {
      await person.open("/");
      await person.page.getByRole("link", { name: label, exact: true }).click();
      expect(await person.page.getByRole("group", { name: "npub" }).innerText()).toBe(npub);
    }
  });

  test("and neither the key in any form nor a share of it has left the page", async () => {
    const { wiretap, site, apps } = world;
    await Promise.all(apps.map((it) => it.close()));
    const troubles = wiretap.troubles();
    await site.server.stop();
    const secrets = [...secretsOf(world), ...keys.map((key, n) => Watched.key(`the key brought as ${IMPORTS[n][0]}`, key))];
    expect(await wiretap.leaks(secrets)).toEqual([]);
    expect(wiretap.foreignTo(site.url)).toEqual([]);
    expect(troubles).toEqual([]);
  });
});
