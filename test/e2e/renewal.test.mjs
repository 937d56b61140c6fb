/**
 * New shares of a key in use: the same Nostr key, the same apps, and nothing left that the old shares fit. With the
 * command-line client on workerd, and with a server that is killed before every step.
 */
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, expectProblem } from "../support/api.mjs";
import { Home } from "../support/cli-home.mjs";
import { nowS } from "../support/clock.mjs";
import { point } from "../support/device.mjs";
import { GoBetween } from "../support/go-between.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { deploymentSecrets, openHolder, rows, tamper } from "../support/vault.mjs";

// Each command that signs stretches a password, and a test here has several of them.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let server, home;
beforeAll(async () => {
  server = await startServer({ vars: { EXPORT_DELAY: "1" } });
  home = new Home();
  await home.passport("register", "alice", "--server", server.url);
});
afterAll(() => server?.stop());

const http = (key, method, path, options = {}) => ask(server, method, `/keys/${key.group}${path}`, { token: home.token, ...options });
const publicOf = async (key) => (await http(key, "GET", "")).body.public;
const roles = ({ holders }) => holders.map(({ index, role }) => [index, role]);
const note = (content) => JSON.stringify({ kind: 1, created_at: nowS(), tags: [], content });

/** A key with an app that may do everything, and what is asked of both. */
class Identity {
  static async made(label, ...args) {
    const it = new Identity();
    it.key = await home.passport("key", "create", "--label", label, ...args);
    it.flags = ["--key", it.key.npub];
    const { bunker_url } = await home.passport("connect", "--label", "App", "--allow", "everything", "--no-auth-url", ...it.flags);
    it.app = await RawApp.open(bunker_url);
    it.bunkerUrl = bunker_url;
    await it.app.connect();
    return it;
  }

  /** The app signs, with nobody's help. */
  async signs(content = "hello") {
    const { reply } = await this.app.ask("sign_event", [note(content)]);
    expect(reply.error).toBeUndefined();
    this.check(reply.result);
  }

  /** The app asks, and this device contributes. */
  async signsWith(device, content = "hello") {
    const request = this.app.request("sign_event", [note(content)]);
    const event = this.app.event(request);
    this.app.relay.send(["EVENT", event]);
    await this.app.relay.ok(event.id);
    await device.passport("approve", event.id);
    this.check((await this.app.reply(request.id)).reply.result);
  }

  check(result) {
    const event = JSON.parse(result);
    expect([verifyEvent(event), event.pubkey]).toEqual([true, this.key.pubkey]);
  }

  /** The same app, after the server was away. */
  async comesBack() {
    this.app = await RawApp.open(this.bunkerUrl, this.app.secretKey);
  }

  refresh(device = home, ...args) {
    return device.passport("key", "refresh", ...args, ...this.flags);
  }

  /** The object's file of one of its holders. Only while the server is stopped. */
  fileOf(className) {
    return server.objectFiles(className).find((file) => rows(file).some(([, , body]) => body.includes(this.key.group)));
  }
}

/** Asks for an export, and waits until its delay is over. */
async function waitOutAnExport(device, identity) {
  await device.passport("export", "begin", ...identity.flags);
  await expect.poll(async () => (await device.passport("export", "status", ...identity.flags)).state, { timeout: 20_000 }).toBe("ready");
}

describe("a hosted key", () => {
  let identity, before;
  beforeAll(async () => {
    identity = await Identity.made("Hosted");
    before = await publicOf(identity.key);
  });
  afterAll(() => identity.app.close());

  test("gets new shares while its app signs without a pause, and the app notices nothing", async () => {
    const between = await GoBetween.open(server);
    home.goesBy(between.url);
    const refreshing = identity.refresh();
    let is_over = false;
    refreshing.finally(() => (is_over = true)).catch(() => {});
    let signed = 0;
    while (!is_over) {
      await identity.signs(`during ${signed}`);
      signed += 1;
    }
    const refreshed = await refreshing;
    home.goesBy(server.url);
    await between.close();
    expect(signed).toBeGreaterThan(5);
    expect(refreshed).toMatchObject({ npub: identity.key.npub, pubkey: identity.key.pubkey, epoch: 1 });
    const after = await publicOf(identity.key);
    expect([after.pubkey, after.epoch, roles(after)]).toEqual([before.pubkey, 1, roles(before)]);
    for (const [at, holder] of after.holders.entries()) expect(holder.verifying_share).not.toBe(before.holders[at].verifying_share);
    await identity.signs();
    // Start, the owner's word, a look, and three rounds of this device's: nobody waits for anybody.
    const rounds = between.asked.filter((it) => /ceremony|reshare/.test(it));
    expect(rounds.map((it) => it.replace(/\/[0-9a-f]{32}/g, "/…").replace(/\?.*/, ""))).toEqual([
      "POST /ceremony/start",
      "POST /keys/…/reshare",
      "GET /ceremony/…",
      "POST /ceremony/…/round/3",
      "POST /ceremony/…/round/4",
      "POST /ceremony/…/round/5",
    ]);
    identity.kit = refreshed.recovery_kit;
  });

  test("has a new kit, and the old one is told apart", async () => {
    expect(identity.kit).toMatch(/\.epoch-1\.kit\.json$/);
    expect((await home.passport("kit", "check", identity.kit)).npub).toBe(identity.key.npub);
    expect(await home.refused(["kit", "check", identity.key.recovery_kit])).toBe("kit_of_another_epoch");
  });

  test("is on the record with both, and the record is whole", async () => {
    const { records } = (await http(identity.key, "GET", "/activity?limit=200")).body;
    const what = records.map(({ entry }) => [entry.what, entry.verb ?? entry.epoch]);
    expect(what).toContainEqual(["statement_applied", "reshare"]);
    expect(what).toContainEqual(["epoch_entered", 1]);
    const activity = await home.run(["activity", ...identity.flags]);
    expect([activity.code, activity.stdout], activity.stderr).toEqual([0, expect.stringContaining("new shares, epoch 1")]);
  });

  test("refuses to start where an old share is put back beside new ones, and signs again without it", async () => {
    await server.stop();
    const file = identity.fileOf("Cosigner");
    const good = JSON.parse(rows(file).find(([kind]) => kind === "share")[2]);
    await server.start();
    await identity.refresh();
    await server.stop();
    let newest;
    tamper(file, "share", (body) => ((newest = body), JSON.stringify(good)));
    await server.start();
    await identity.comesBack();
    const { reply } = await identity.app.ask("sign_event", [note("with a restored share")]);
    expect(reply.result).toBe("error");
    await server.stop();
    tamper(file, "share", () => newest);
    await server.start();
    await identity.comesBack();
    await identity.signs();
  });

  test("leaves nothing of the old shares with its holders: what is stored is the new one of each", async () => {
    await server.stop();
    const secrets = deploymentSecrets(join(server.folder, "secrets.env"));
    const bunker = openHolder(identity.fileOf("Bunker"), secrets.HSM_SIMULATOR_BUNKER_KEK);
    const cosigner = openHolder(identity.fileOf("Cosigner"), secrets.HSM_SIMULATOR_COSIGNER_KEK);
    await server.start();
    await identity.comesBack();
    const { holders } = await publicOf(identity.key);
    expect([bunker, cosigner].map((it) => point(it.share).toString("hex"))).toEqual(holders.slice(0, 2).map((it) => it.verifying_share));
    expect(await home.run(["key", "refresh", "--kit", identity.key.recovery_kit, ...identity.flags])).toMatchObject({ code: 1 });
  });

  test("still leads out with the whole key, which is the one that it was", async () => {
    await waitOutAnExport(home, identity);
    const { nsec } = await home.passport("export", "finish", "--reveal", ...identity.flags);
    expect(getPublicKey(nip19.decode(nsec).data)).toBe(identity.key.pubkey);
    await home.passport("export", "cancel", ...identity.flags);
  });
});

describe("a server that is killed", () => {
  let identity, between, epoch;
  beforeAll(async () => {
    identity = await Identity.made("Killed");
    epoch = 0;
  });
  beforeEach(async () => {
    between = await GoBetween.open(server);
    home.goesBy(between.url);
  });
  afterEach(async () => {
    home.goesBy(server.url);
    await between.close();
  });
  afterAll(() => identity.app.close());

  const STEPS = [
    ["the start", /start$/],
    ["the owner's word", /reshare$/],
    ["the first look", /^GET .ceremony/],
    ["the confirmation", /round.3/],
    ["the proof", /round.4/],
    ["the acceptance", /round.5/],
  ];

  test.each(STEPS)("before %s comes back, and the shares are renewed, or are what they were", async (_, step) => {
    let is_done = false;
    between.before = async ({ method, path }) => {
      if (is_done || !step.test(`${method} ${path}`.replace(/\?.*/, ""))) return true;
      is_done = true;
      await server.kill9();
      await server.start();
      return true;
    };
    const { code, stderr } = await home.run(["key", "refresh", "--json", ...identity.flags]);
    expect(is_done).toBe(true);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    epoch += 1;
    await identity.comesBack();
    expect((await publicOf(identity.key)).epoch).toBe(epoch);
    await identity.signs();
  });

  test("and a device that is gone before it accepts leave the old shares at work, and the next renewal goes through", async () => {
    between.before = ({ path }) => !/round.5/.test(path);
    const killed = home.run(["key", "refresh", "--json", ...identity.flags], { killWhen: () => between.asked.some((it) => /round.5/.test(it)) });
    expect((await killed).code).not.toBe(0);
    between.before = () => true;
    expect((await publicOf(identity.key)).epoch).toBe(epoch);
    await identity.signs();
    // The kit that was made for nothing is in the way, and is not written over.
    expect(await home.refused(["key", "refresh", ...identity.flags])).toBe("kit_exists");
    const orphan = join(home.folder, `${identity.key.npub.slice(0, 16)}.epoch-${epoch + 1}.kit.json`);
    renameSync(orphan, `${orphan}.orphan`);
    await identity.refresh();
    epoch += 1;
    expect((await publicOf(identity.key)).epoch).toBe(epoch);
    await identity.signs();
    expect(await home.refused(["kit", "check", `${orphan}.orphan`])).toMatch(/kit_/);
  });
});

describe("nobody deals new shares", () => {
  let identity, stranger;
  beforeAll(async () => {
    identity = await Identity.made("Guarded");
    stranger = new Home();
    await stranger.passport("register", "mallory", "--server", server.url);
  });
  afterAll(() => identity.app.close());

  /** What the client would start, as another account or with something changed. */
  async function start(token, change = () => {}) {
    const between = await GoBetween.open(server);
    let request;
    between.before = ({ path, body }) => {
      if (!path.endsWith("/start")) return true;
      request = JSON.parse(body);
      return false;
    };
    home.goesBy(between.url);
    await home.run(["key", "refresh", "--json", "--kit-dir", home.folder, ...identity.flags]);
    home.goesBy(server.url);
    await between.close();
    change(request);
    return ask(server, "POST", "/ceremony/start", { token, json: request });
  }

  test("of a key that is another account's", async () => {
    const owner = JSON.parse(readFileSync(join(stranger.folder, "session.json"), "utf8")).account?.owner_pubkey;
    const answer = await start(stranger.token, (it) => (it.participants[2].owner = owner ?? it.participants[2].owner));
    expect([404, 422]).toContain(answer.status);
    await identity.signs();
  });

  test("without the owner's word: the holders say nothing, and the identity goes on", async () => {
    const started = await start(home.token);
    expect([started.status, started.body.kind, started.body.round]).toEqual([201, "reshare", 1]);
    const path = `/ceremony/${started.body.operation_id}`;
    for (let looks = 0; looks < 3; looks += 1) {
      const { body } = await ask(server, "GET", path, { token: home.token });
      expect([body.status, body.round, body.waits_for, body.packages]).toEqual(["running", 1, [1, 2], []]);
    }
    expect((await publicOf(identity.key)).epoch).toBe(0);
    await identity.signs();
    expect((await ask(server, "DELETE", path, { token: home.token })).body.status).toBe("cancelled");
  });

  test.each([
    ["a group that is not the present one", (it) => (it.present.epoch = 7)],
    ["one dealer", (it) => delete it.participants[1].deals],
    ["a dealer that is no holder", (it) => (it.participants[1].deals = 9)],
    ["nobody to receive", (it) => it.participants.forEach((party) => delete party.receives)],
    ["no word about the present group", (it) => delete it.present],
    ["a single signer", (it) => (it.threshold = 1)],
  ])("under terms with %s", async (what, change) => {
    const answer = await start(home.token, change);
    if (what.startsWith("a group that")) {
      // Its form is right, and no holder knows it.
      const { body } = await ask(server, "GET", `/ceremony/${answer.body.operation_id}`, { token: home.token });
      expect(body.packages).toEqual([]);
    } else {
      expectProblem(answer, 422, "ceremony_invalid");
    }
    expect((await publicOf(identity.key)).epoch).toBe(0);
  });

  test("twice by the same word", async () => {
    const between = await GoBetween.open(server);
    let word;
    between.before = ({ path, body }) => (path.endsWith("/reshare") && (word = JSON.parse(body)), true);
    home.goesBy(between.url);
    await identity.refresh();
    home.goesBy(server.url);
    await between.close();
    // Heard already, and no news.
    expect((await http(identity.key, "POST", "/reshare", { json: word })).status).toBe(204);
    await home.passport("connect", "--label", "Later", "--allow", "post-notes", ...identity.flags);
    expectProblem(await http(identity.key, "POST", "/reshare", { json: word }), 409, "statement_not_newer");
    expect((await publicOf(identity.key)).epoch).toBe(1);
    await identity.signs();
  });
});

describe("a key in device custody", () => {
  let identity, kit;
  /** The one that holds the share. */
  let device;
  beforeAll(async () => {
    identity = await Identity.made("Mine", "--custody", "device");
    kit = identity.key.recovery_kit;
  });
  afterAll(() => identity.app.close());

  test("is renewed at once with this device's share and the kit, and not with one of them", async () => {
    await identity.signsWith(home);
    expect(await home.refused(["key", "refresh", ...identity.flags])).toBe("kit_needed");
    const refreshed = await identity.refresh(home, "--kit", kit);
    expect(refreshed).toMatchObject({ epoch: 1, share: identity.key.share });
    expect(roles(await publicOf(identity.key))).toEqual([[1, "bunker"], [2, "device"], [3, "recovery"]]);
    expect(home.json("shares", `${identity.key.group}.json`).public.epoch).toBe(1);
    expect(existsSync(join(home.folder, "shares", `${identity.key.group}.next.json`))).toBe(false);
    await identity.signsWith(home);
    kit = refreshed.recovery_kit;
  });

  test("goes on with another device and the kit when this one is lost, and this one is refused", async () => {
    const found = new Home();
    await found.passport("login", "alice", "--server", server.url);
    const refresh = ["key", "refresh", "--kit", kit, ...identity.flags];
    expect(await found.refused(refresh)).toBe("export_needed");
    expect(await found.refused(["key", "refresh", ...identity.flags])).toBe("share_missing");
    await waitOutAnExport(found, identity);
    expect(await found.refused(["key", "refresh", "--kit", identity.key.recovery_kit, ...identity.flags])).toBe("kit_of_another_epoch");
    const refreshed = await found.passport(...refresh);
    expect(refreshed).toMatchObject({ npub: identity.key.npub, epoch: 2 });
    // The wait was for this once.
    expect((await found.passport("export", "status", ...identity.flags)).state).toBe("none");
    await identity.signsWith(found, "from the new device");

    const request = identity.app.request("sign_event", [note("from the lost device")]);
    const event = identity.app.event(request);
    identity.app.relay.send(["EVENT", event]);
    await identity.app.relay.ok(event.id);
    expect(await home.refused(["approve", event.id])).toBe("share_of_another_epoch");
    await found.passport("approve", event.id);
    identity.check((await identity.app.reply(request.id)).reply.result);
    // Neither does the lost device with the old kit.
    expect(await home.refused(refresh)).toBe("kit_of_another_epoch");
    [device, kit] = [found, refreshed.recovery_kit];
  });

  test("is held by a second device, which answers as the first does, renews with it, and is left out again", async () => {
    const second = new Home();
    await second.passport("login", "alice", "--server", server.url);
    expect(await second.refused(["key", "join", ...identity.flags])).toBe("nothing_to_join");
    const together = async (...args) => {
      const refreshing = identity.refresh(device, "--kit", kit, ...args);
      refreshing.catch(() => {});
      let joined;
      await expect.poll(async () => {
        const { code, stdout } = await second.run(["key", "join", "--json", ...identity.flags]);
        return code === 0 && (joined = JSON.parse(stdout)).npub;
      }, { timeout: 60_000, interval: 1_000 }).toBe(identity.key.npub);
      const refreshed = await refreshing;
      kit = refreshed.recovery_kit;
      expect([joined.epoch, joined.index]).toEqual([refreshed.epoch, 4]);
      return refreshed;
    };
    const held = [[1, "bunker"], [2, "device"], [3, "recovery"], [4, "device"]];
    expect(await together("--add-device")).toMatchObject({ epoch: 3 });
    expect(roles(await publicOf(identity.key))).toEqual(held);
    await identity.signsWith(second, "from the second");
    await identity.signsWith(device, "from the first");
    expect(await together()).toMatchObject({ epoch: 4 });
    expect(roles(await publicOf(identity.key))).toEqual(held);
    await identity.signsWith(second, "with the share that came then");

    kit = (await identity.refresh(device, "--kit", kit, "--only-this-device")).recovery_kit;
    expect(roles(await publicOf(identity.key))).toEqual(held.slice(0, 3));
    await expect(identity.signsWith(second, "from one that was left out")).rejects.toThrow(/not_your_share/);
    await device.passport("approve");
    await identity.signsWith(device);
  });
});

test("a hosted key is taken into a device's care after the delay: then the cosigner has nothing, and the server alone signs nothing", async () => {
  const identity = await Identity.made("Moves");
  await identity.signs();
  const move = ["key", "refresh", "--custody", "device", ...identity.flags];
  expect(await home.refused(move)).toBe("export_needed");
  await waitOutAnExport(home, identity);
  expect(await home.passport(...move)).toMatchObject({ epoch: 1, share: expect.stringContaining(identity.key.group) });
  expect(roles(await publicOf(identity.key))).toEqual([[1, "bunker"], [2, "device"], [3, "recovery"]]);
  await identity.signsWith(home);
  await server.stop();
  const left = rows(identity.fileOf("Cosigner")).map(([kind]) => kind);
  expect(left).toEqual(["deleted"]);
  await server.start();
  await identity.comesBack();
  await identity.signsWith(home, "after a restart");

  // And back: this device deals once more, without a delay, and a cosigner that is new judges for itself.
  expect(await home.passport("key", "refresh", "--custody", "hosted", ...identity.flags)).toMatchObject({ epoch: 2 });
  expect(roles(await publicOf(identity.key))).toEqual([[1, "bunker"], [3, "recovery"], [4, "cosigner"]]);
  expect(home.files("shares")).not.toContain(`${identity.key.group}.json`);
  await identity.signs("with nobody's help again");
  await server.kill9();
  await server.start();
  await identity.comesBack();
  await identity.signs("with what the new one keeps");
  await identity.refresh();
  await identity.signs("with new shares of these two");
  const { body } = await http(identity.key, "GET", "/connections");
  await home.passport("revoke", body.connections[0].connection);
  expect((await identity.app.ask("sign_event", [note("too late")])).reply.error).toMatch(/revoked/);
  await identity.app.close();
});

test("a cosigner whose storage is lost is replaced with the kit, and the app goes on", async () => {
  const identity = await Identity.made("Loses one");
  await identity.signs();
  await server.stop();
  const file = identity.fileOf("Cosigner");
  for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
  await server.start();
  await identity.comesBack();
  expect((await identity.app.ask("sign_event", [note("with one share")])).reply.error).toMatch(/cosigner/);
  const kit = identity.key.recovery_kit;
  expect(await home.passport("key", "refresh", "--kit", kit, "--new-cosigner", ...identity.flags)).toMatchObject({ epoch: 1 });
  expect(roles(await publicOf(identity.key))).toEqual([[1, "bunker"], [3, "recovery"], [4, "cosigner"]]);
  await identity.signs("as before");
  await identity.app.close();
});
