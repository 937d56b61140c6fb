/** The command-line client as a person's device: asking, leaving, coming back. */
import { mkdtempSync, readFileSync, readdirSync, statSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cliProgram } from "../../scripts/setup/cli.mjs";
import { OUTPUT } from "../support/folders.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";

/** As short as a delay can be, in seconds. */
const EXPORT_DELAY_S = 1;

/** How often a device looks for what has to come. */
const LOOKS = 100;

const PASSWORD = "a password for tests only";
const NEW_PASSWORD = "another password for tests";
const LAST_PASSWORD = "the last password for tests";
const PASSPHRASE = "a passphrase for tests only";
const NEW_PASSPHRASE = "another passphrase for tests";

// Each command that signs stretches a password, and a test here has a dozen of them.
vi.setConfig({ testTimeout: 400_000 });

let server;
beforeAll(async () => {
  server = await startServer({ vars: { EXPORT_DELAY: String(EXPORT_DELAY_S) } });
});
afterAll(() => server?.stop());

/** One person's device: a folder of its own, and what the client would ask for. */
class Person {
  home = mkdtempSync(join(OUTPUT, "person-"));
  answers = { PASSPORT_PASSWORD: PASSWORD, PASSPORT_KIT_PASSPHRASE: PASSPHRASE };

  /** Runs the client. @returns {Promise<{code: number, stdout: string, stderr: string}>} */
  run(args, { answers = {}, input = "" } = {}) {
    return new Promise((resolve, reject) => {
      const env = { ...process.env, ...this.answers, ...answers, PASSPORT_HOME: this.home };
      const child = spawn(cliProgram("debug"), args, { cwd: this.home, env });
      const [out, err] = [[], []];
      child.stdout.on("data", (bytes) => out.push(bytes));
      child.stderr.on("data", (bytes) => err.push(bytes));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }));
      child.stdin.on("error", () => {}); // a program that ends without reading
      child.stdin.end(input);
    });
  }

  /** What the client prints as JSON. */
  async passport(args, options) {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    if (code !== 0) throw new Error(`passport ${args.join(" ")}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** The code with which the client fails. */
  async refused(args, options) {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    expect([code, stdout], stderr).toEqual([1, ""]);
    return /\[([a-z_]+)(?:;|\])/.exec(stderr)?.[1];
  }

  /** An account and a key. */
  static async registered(name) {
    const person = new Person();
    const username = `${name}-${Math.random().toString(36).slice(2, 10)}`;
    await person.passport(["register", username, "--server", server.url]);
    const key = await person.passport(["key", "create", "--label", "Me"]);
    return Object.assign(person, { username, key, kit: key.recovery_kit });
  }

  /** The requests that wait, when there are as many. */
  async waiting(count) {
    let requests = [];
    for (let looks = 0; looks < LOOKS && requests.length < count; looks++) ({ requests } = await this.passport(["requests"]));
    expect(requests).toHaveLength(count);
    return requests;
  }

  /** An app on a new connection. */
  async app(...access) {
    const { bunker_url, connection } = await this.passport(["connect", "--label", "Blog", ...access]);
    const app = await RawApp.open(bunker_url);
    await app.connect();
    return Object.assign(app, { connection });
  }
}

/** Asks without waiting for the answer. */
function asking(app, text) {
  const request = app.request("sign_event", [note(text)]);
  app.relay.send(["EVENT", app.event(request)]);
  return {
    /** The answer after the address of the page to approve at, if that comes. */
    answer: async () => {
      const { reply } = await app.reply(request.id);
      return reply.result === "auth_url" ? (await app.reply(request.id)).reply : reply;
    },
  };
}

test("an app asks, and its owner approves, denies and allows for longer from the terminal", async () => {
  const alice = await Person.registered("alice");
  const app = await alice.app("--ask", "post-notes", "--no-auth-url");

  const first = asking(app, "the first");
  const [shown] = await alice.waiting(1);
  expect(shown).toMatchObject({ label: "Blog", method: "sign_event", kind: 1, template: { content: "the first" } });
  expect(await alice.passport(["approve"])).toEqual({ request: shown.request, status: "approved" });
  const signed = JSON.parse((await first.answer()).result);
  expect([verifyEvent(signed), signed.pubkey, signed.content]).toEqual([true, alice.key.pubkey, "the first"]);
  expect(await alice.refused(["approve", shown.request])).toBe("no_such_request");

  const second = asking(app, "the second");
  const [refused] = await alice.waiting(1);
  expect(await alice.passport(["deny", refused.request.slice(0, 8)])).toEqual({ request: refused.request, status: "denied" });
  expect((await second.answer()).error).toMatch(/./);

  const third = asking(app, "the third");
  await alice.waiting(1);
  await alice.passport(["approve", "--for", "1h"]);
  expect(JSON.parse((await third.answer()).result).content).toBe("the third");
  const fourth = asking(app, "the fourth");
  expect(JSON.parse((await fourth.answer()).result).content).toBe("the fourth");
  const { connections } = await alice.passport(["apps"]);
  expect(connections[0].allowances).toMatchObject([{ method: "sign_event", kind: 1, until: expect.any(Number) }]);
  await app.close();
});

test("requests are answered while the client watches", async () => {
  const alice = await Person.registered("watcher");
  const app = await alice.app("--ask", "everything", "--no-auth-url");
  const [one, two] = [asking(app, "one"), asking(app, "two")];
  await alice.waiting(2);
  const watched = await alice.run(["watch", "--once"], { input: "x\no\nd\n" });
  expect(watched.code, watched.stderr).toBe(0);
  expect(watched.stdout).toBe("Blog: approved\nBlog: denied\n");
  const answers = [await one.answer(), await two.answer()];
  expect(answers.filter((answer) => answer.error)).toHaveLength(1);
  await app.close();
});

test("devices that say something at once are all heard", async () => {
  const alice = await Person.registered("hasty");
  const labels = ["One", "Two", "Three"];
  await Promise.all(labels.map((label) => alice.passport(["connect", "--label", label, "--kinds", "1"])));
  const { connections } = await alice.passport(["apps"]);
  expect(connections.map((connection) => connection.label).sort()).toEqual([...labels].sort());
});

test("a connection is paused, resumed, changed and revoked", async () => {
  const alice = await Person.registered("changer");
  const app = await alice.app("--kinds", "1");
  const sign = () => asking(app, "hello").answer();
  expect((await sign()).error).toBeFalsy();
  expect(await alice.passport(["pause", "Blog"])).toMatchObject({ status: "paused" });
  expect((await sign()).error).toMatch(/paused/);
  expect(await alice.passport(["resume", "Blog"])).toMatchObject({ status: "connected" });
  expect((await sign()).error).toBeFalsy();
  await alice.passport(["edit", "Blog", "--kinds", "7", "--label", "Likes", "--no-auth-url"]);
  expect((await sign()).error).toMatch(/./);
  const { connections } = await alice.passport(["apps"]);
  expect(connections[0]).toMatchObject({ label: "Likes", auth_url: false, policy: { rules: [{ kinds: [7] }, {}] } });
  await alice.passport(["revoke", "Likes"]);
  expect((await alice.passport(["apps"])).connections).toEqual([]);
  await app.close();
});

test("the whole key is asked for, cancelled, asked for again and put together", async () => {
  const alice = await Person.registered("leaver");
  expect((await alice.passport(["export", "begin"])).state).toBe("waiting");
  expect(await alice.refused(["export", "begin"])).toBe("export_pending");
  await alice.passport(["export", "cancel"]);
  expect((await alice.passport(["export", "status"])).state).toBe("none");
  expect(await alice.refused(["export", "finish", "--reveal"])).toBe("no_export");
  await alice.passport(["export", "begin"]);
  let state = "waiting";
  for (let looks = 0; looks < LOOKS && state !== "ready"; looks++) ({ state } = await alice.passport(["export", "status"]));
  const { nsec } = await alice.passport(["export", "finish", "--reveal"]);
  expect(nip19.npubEncode(getPublicKey(nip19.decode(nsec).data))).toBe(alice.key.npub);

  const kept = await alice.passport(["export", "finish", "--out", "key.txt"]);
  expect(kept).toEqual({ npub: alice.key.npub, file: "key.txt" });
  expect(readFileSync(join(alice.home, "key.txt"), "utf8")).toBe(`${nsec}\n`);
  expect(statSync(join(alice.home, "key.txt")).mode & 0o777).toBe(0o600);
  expect(await alice.refused(["export", "finish", "--out", "key.txt"])).toBe("key_not_written");

  // What was taken out can be brought to another account.
  const bob = new Person();
  await bob.passport(["register", `${alice.username}-2`, "--server", server.url]);
  expect((await bob.passport(["key", "import"], { input: nsec })).npub).toBe(alice.key.npub);
});

test("a password is changed, forgotten, and the account comes back with its kit", async () => {
  const alice = await Person.registered("forgetful");
  const other = Object.assign(new Person(), { username: alice.username });
  await other.passport(["login", alice.username, "--server", server.url]);
  expect((await alice.passport(["sessions", "list"])).sessions).toHaveLength(2);

  await alice.passport(["passwd"], { answers: { PASSPORT_NEW_PASSWORD: NEW_PASSWORD } });
  expect(await other.refused(["key", "list"]), "the other device is signed out").toBe("signed_out");
  expect(await alice.refused(["connect", "--label", "X", "--kinds", "1"])).toBe("wrong_password");
  alice.answers.PASSPORT_PASSWORD = NEW_PASSWORD;
  await alice.passport(["connect", "--label", "X", "--kinds", "1"]);
  expect(await alice.refused(["passwd"], { answers: { PASSPORT_NEW_PASSWORD: "password2024" } })).toBe("weak_password");

  const fresh = new Person();
  fresh.answers.PASSPORT_PASSWORD = LAST_PASSWORD;
  const wrong = { answers: { PASSPORT_KIT_PASSPHRASE: "not the passphrase" } };
  expect(await fresh.refused(["recover", alice.kit, "--server", server.url], wrong)).toBe("wrong_passphrase");
  const back = await fresh.passport(["recover", alice.kit, "--server", server.url]);
  expect(back).toMatchObject({ username: alice.username, npub: alice.key.npub });
  expect((await fresh.passport(["key", "list"])).keys.map((key) => key.npub)).toEqual([alice.key.npub]);
  await fresh.passport(["connect", "--label", "Y", "--kinds", "1"]);
  expect(await alice.refused(["key", "list"])).toBe("signed_out");
  expect(await alice.refused(["login"])).toBe("credentials_invalid");
});

test("a kit is held against the account, and made anew under another passphrase", async () => {
  const [alice, bob] = [await Person.registered("keeper"), await Person.registered("stranger")];
  expect((await alice.passport(["kit", "check", alice.kit])).npub).toBe(alice.key.npub);
  expect(await alice.refused(["kit", "check", bob.kit])).toBe("kit_of_another_account");
  expect(await alice.refused(["kit", "check", join(alice.home, "session.json")])).toBe("kit_malformed");
  expect(await alice.refused(["kit", "renew", alice.kit], { answers: { PASSPORT_NEW_KIT_PASSPHRASE: NEW_PASSPHRASE } })).toBe("kit_exists");
  const folder = mkdtempSync(join(alice.home, "new-"));
  const answers = { PASSPORT_NEW_KIT_PASSPHRASE: NEW_PASSPHRASE };
  const { recovery_kit } = await alice.passport(["kit", "renew", alice.kit, "--kit-dir", folder], { answers });
  expect(await alice.refused(["kit", "check", recovery_kit])).toBe("wrong_passphrase");
  await alice.passport(["kit", "check", recovery_kit], { answers: { PASSPORT_KIT_PASSPHRASE: NEW_PASSPHRASE } });
});

test("keys and account end when their owner says so, and not by mistake", async () => {
  const alice = await Person.registered("quitter");
  const app = await alice.app("--kinds", "1");
  expect((await alice.run(["account", "delete", "--confirm", "somebody"])).code).toBe(2);
  expect(await alice.refused(["account", "delete", "--confirm", alice.username])).toBe("account_has_keys");
  expect((await alice.run(["key", "delete", "--confirm", "npub1x"])).code).toBe(2);
  expect(await alice.passport(["key", "delete", "--confirm", alice.key.npub])).toEqual({ npub: alice.key.npub });
  expect((await alice.passport(["key", "list"])).keys).toEqual([]);
  await alice.passport(["account", "delete", "--confirm", alice.username]);
  expect(await alice.refused(["key", "list"])).toBe("not_signed_in");
  expect(await alice.refused(["login", alice.username, "--server", server.url])).toBe("credentials_invalid");
  await app.close();
});

test("a device signs itself and others out", async () => {
  const alice = await Person.registered("cautious");
  const other = new Person();
  await other.passport(["login", alice.username, "--server", server.url]);
  const { sessions } = await alice.passport(["sessions", "list"]);
  const theirs = sessions.find((session) => !session.current);
  expect(theirs.device).toMatch(/^Command line/);
  expect(await alice.passport(["sessions", "end", theirs.session.slice(0, 12)])).toEqual({ session: theirs.session });
  expect(await other.refused(["key", "list"])).toBe("signed_out");
  expect((await alice.passport(["passkey", "list"])).passkeys).toEqual([]);
  await alice.passport(["sessions", "end", "--all"]);
  expect(await alice.refused(["key", "list"])).toBe("not_signed_in");
});

test("no file that the client keeps has a password, a passphrase or a whole key in it", async () => {
  const alice = await Person.registered("tidy");
  const kept = readdirSync(alice.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { name, parentPath } of kept) {
    const text = readFileSync(join(parentPath, name), "utf8");
    for (const secret of [PASSWORD, PASSPHRASE, "nsec1"]) expect(text, name).not.toContain(secret);
    expect(statSync(join(parentPath, name)).mode & 0o777, name).toBe(0o600);
  }
});
