/**
 * A key that people share, in its owner's browser and in a member's: the page shows what it is, has the owner's word
 * for what the rules ask about, and leaves the shares to the command-line clients of the people.
 */
import { randomBytes } from "node:crypto";
import { verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectGoodFor, launchBrowser, newProfile } from "../support/browser.mjs";
import { Person } from "../support/browser-person.mjs";
import { begin, connectApp, end } from "../support/browser-story.mjs";
import { Home } from "../support/cli-home.mjs";

const LONG = { timeout: 120_000 };
/** What the clients answer when they are asked for it. */
const PASSWORD = "a password for tests only";
const LABEL = "Our club";

let browser, world, person, page, ann, bert, cleo, key, notes;

beforeAll(async () => {
  browser = await launchBrowser();
  world = await begin(browser);
  ({ person } = world);
  ({ page } = person);
  ann = await member("ann");
  bert = await member("bert");
  cleo = await member("cleo");
  const named = [bert, cleo].flatMap(({ owner }) => ["--with", owner]);
  const run = ann.begin("ceremony", "start", "--signers", "2", "--label", LABEL, ...named);
  const [, id] = await run.told(/passport ceremony join ([0-9a-f]{32})/);
  const joined = [bert, cleo].map((it) => it.passport("ceremony", "join", id, "--yes"));
  [key] = await Promise.all([run.result(), ...joined]);
  await signIn(person, ann);
});
afterAll(async () => {
  await end(world);
  await browser?.close();
});

/** Somebody with an account, whose device is the command-line client. */
async function member(name) {
  const home = new Home();
  const username = `${name}-${randomBytes(4).toString("hex")}`;
  const { owner_pubkey } = await home.passport("register", username, "--server", world.site.url);
  return Object.assign(home, { username, owner: owner_pubkey });
}

async function signIn(somebody, { username }) {
  Object.assign(somebody, { username, password: PASSWORD });
  await somebody.signIn();
  await somebody.arrive();
}

async function card(text) {
  const shown = person.cards(text);
  await shown.waitFor(LONG);
  return shown;
}

const answers = (shown) => shown.getByRole("group", { name: "Your answer" }).getByRole("button").allInnerTexts();
const read = () => page.getByRole("main").innerText();

/** Two of the people contribute; the page sees the first of them before the other comes. */
async function contribute(shown) {
  const first = bert.begin("approve");
  await shown.getByText("1 of 2 is at it").waitFor(LONG);
  await Promise.all([first.result(), cleo.passport("approve")]);
}

function expectSigned(event, content) {
  expect(event).toMatchObject({ content, pubkey: key.pubkey });
  expect(verifyEvent(structuredClone(event))).toBe(true);
}

test("its owner sees who shares it, and nothing that is not for it", async () => {
  await page.getByText("with any 2 of the 3 people who share it").waitFor();
  await expectGoodFor(page, "shared-home");
  await page.getByRole("link", { name: LABEL }).click();
  await page.getByText("Shared by 3 people; any 2 of you sign together with this server.").waitFor();
  expect(await read()).not.toMatch(/recovery kit/i);
  await expectGoodFor(page, "shared-identity");
  await person.open(`/identity/${key.group}/renew`);
  await page.getByText("passport key people").waitFor();
  await person.open("/security");
  await person.heading("Shared key").waitFor();
  expect(await read()).not.toMatch(/recovery kit/i);
  await expectGoodFor(page, "shared-security");
});

test("what the rules allow waits for the people, who answer it elsewhere", LONG, async () => {
  notes = await connectApp(world, "My notes", "Post notes");
  await person.open("/approvals");
  const asked = notes.sign({ content: "from all of us" });
  const shown = await card("from all of us");
  await shown.getByText("2 of you have to answer").waitFor();
  expect(await answers(shown)).toEqual(["Deny"]);
  await expectGoodFor(page, "shared-approvals");
  await contribute(shown);
  expectSigned(await asked, "from all of us");
  await shown.getByText("The app has its answer").waitFor(LONG);
});

test("what the rules ask about is approved here, and then contributed to elsewhere", LONG, async () => {
  const careful = await connectApp(world, "Careful app", "Ask me every time");
  await person.open("/approvals");
  const asked = careful.sign({ content: "may we" });
  const shown = await card("may we");
  await shown.getByText("Your rules ask you first").waitFor();
  await person.answer("Approve once", shown);
  await person.unlockIfAsked(shown.getByText("You approved it."));
  await contribute(shown);
  expectSigned(await asked, "may we");
  await shown.getByText("The app has its answer").waitFor(LONG);
});

test("its owner denies for all of them", async () => {
  const asked = notes.sign({ content: "rather not" });
  const shown = await card("rather not");
  await person.answer("Deny", shown);
  await person.unlockIfAsked(shown.getByText("Denied", { exact: true }));
  await expect(asked).rejects.toMatch(/denied|owner/i);
});

test("a member is told whose key it is and how to answer", async () => {
  const profile = await newProfile(browser, { phone: true });
  const other = new Person(await profile.newPage(), world.site);
  await signIn(other, bert);
  const shared = other.page.getByRole("region", { name: "Shared with you" });
  await shared.getByText(key.npub).waitFor();
  await shared.getByText("passport approve").waitFor();
  await expectGoodFor(other.page, "shared-member-home");
  await other.open(`/identity/${key.group}`);
  await other.page.getByText("This key is owned by").waitFor();
  expect(await other.page.getByRole("link", { name: "Connect an app" }).count()).toBe(0);
  await expectGoodFor(other.page, "shared-member-identity");
  await profile.close();
});

test("no page complained in all of this", () => {
  expect(world.wiretap.troubles()).toEqual([]);
});
