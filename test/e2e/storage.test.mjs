/** What is on disk: nothing secret, nothing lost by a power cut, and nothing that can be changed unseen. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { Peer } from "../support/peer.mjs";
import { RawApp } from "../support/raw-app.mjs";
import { startServer } from "../support/server.mjs";
import { note } from "../support/texts.mjs";
import { deploymentSecrets, forms, openHolder, rows, tamper } from "../support/vault.mjs";

let server, account, app;
beforeAll(async () => {
  server = await startServer();
  account = await makeAccount(server);
  app = await RawApp.open(account.bunker_url);
  await app.connect();
});
afterAll(() => server?.stop());

/** Every file under a folder. */
function files(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

test("no share, data key, KEK, transport key, token or plaintext is in any persisted file or log after a full run", async () => {
  const peer = new Peer();
  const words = "a message that nobody else may find on a disk";
  await app.ask("sign_event", [note("a public note")]);
  const { reply } = await app.ask("nip44_encrypt", [peer.pubkey, words]);
  expect(peer.decrypt44(account.pubkey, reply.result)).toBe(words);
  expect((await app.ask("nip44_decrypt", [peer.pubkey, reply.result])).reply.result).toBe(words);
  const old = (await app.ask("nip04_encrypt", [peer.pubkey, words])).reply.result;
  expect((await app.ask("nip04_decrypt", [peer.pubkey, old])).reply.result).toBe(words);
  await app.ask("sign_event", ["not json"]);
  await app.ask("no_such_method");
  await account.activity();
  await server.stop();
  await searchForSecrets(words);
  await server.start();
  app = await RawApp.open(account.bunker_url, app.secretKey);
});

async function searchForSecrets(words) {
  const deployment = deploymentSecrets(join(server.folder, "secrets.env"));
  const bunker = openHolder(server.objectFiles("Bunker")[0], deployment.HSM_SIMULATOR_BUNKER_KEK);
  const cosigner = openHolder(server.objectFiles("Cosigner")[0], deployment.HSM_SIMULATOR_COSIGNER_KEK);
  expect(bunker.transports).toHaveLength(1);
  expect(cosigner.transports).toHaveLength(0);
  const session = readFileSync(join(account.home, sessionFile(account.home)), "utf8");
  const tokens = [...session.matchAll(/"(?:access_token|refresh_token)": ?"([^"]+)"/g)].map(([, token]) => token);
  expect(tokens.length).toBeGreaterThan(0);

  const secrets = [
    ...[bunker, cosigner].flatMap(({ dek, share, transports }) => [dek, share, ...transports]),
    ...Object.values(deployment).map((text) => Buffer.from(text, "hex")),
    app.conversationKey,
  ].flatMap(forms);
  const texts = [...tokens, app.bunker.secret, words, "a password for tests only"].map((text) => Buffer.from(text));
  const searched = [...files(join(server.folder, "state")), server.logFile];
  expect(searched.length).toBeGreaterThan(4);
  for (const file of searched) {
    const content = readFileSync(file);
    const found = [...secrets, ...texts].filter((form) => content.includes(form)).length;
    expect([file, found]).toEqual([file, 0]);
  }
  // The search finds what is there: the public key, which the holders store as text.
  expect(searched.filter((file) => readFileSync(file).includes(Buffer.from(account.pubkey)))).not.toEqual([]);
}

/** Gives a stored grant another content than the owner signed. */
function widen(body) {
  const record = JSON.parse(body);
  record.grant.content = record.grant.content.replace('"label":"', '"label":"changed ');
  return JSON.stringify(record);
}

/** Flips a bit of a sealed field. */
function flip(body, field) {
  const record = JSON.parse(body);
  const bytes = Buffer.from(record[field], "base64");
  bytes[0] ^= 1;
  return JSON.stringify({ ...record, [field]: bytes.toString("base64") });
}

function sessionFile(home) {
  return readdirSync(home).find((name) => name.endsWith(".json") && !name.endsWith(".kit.json"));
}

test("killed in the middle of a burst and started again: same bunker URL, nothing answered is missing from the chain", async () => {
  const answered = [];
  const burst = Array.from({ length: 120 }, async (_, n) => {
    const { event, reply } = await app.ask("sign_event", [note(`burst ${n}`)]);
    answered.push([event.id, JSON.parse(reply.result).id]);
  });
  const finished = Promise.allSettled(burst);
  while (answered.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.kill9();
  await finished;
  expect(answered.length).toBeLessThan(120);

  await server.start();
  const again = await RawApp.open(account.bunker_url, app.secretKey);
  await again.connect();
  expect((await again.ask("sign_event", [note("after")])).reply.error).toBeUndefined();
  // The client verifies the chain against its head; every answer that arrived is in it.
  const records = (await account.activity()).map(({ entry }) => entry);
  const recorded = new Map(records.filter(({ what }) => what === "request_answered").map((it) => [it.request, it.signed]));
  for (const [request, signed] of answered) expect(recorded.get(request)).toBe(signed);
  app = again;
});

describe("a record that was changed in storage stops the identity, with a reason, and nobody else's", () => {
  const cases = [
    ["a share with a flipped byte", "Bunker", "share", (body) => flip(body, "ciphertext")],
    ["a share put in from the other holder", "Cosigner", "share", (_, pubkey) => storedShare("Bunker", pubkey), "hsm_unavailable"],
    ["a data key that was wrapped by another KEK", "Bunker", "share", (body) => body.replace("simulator:bunker:", "simulator:cosigner:"), "hsm_unavailable"],
    ["a removed share", "Cosigner", "share", () => null],
    ["a grant that was changed", "Bunker", "connection", widen],
    ["a grant that was changed at the cosigner", "Cosigner", "connection", widen],
    ["a removed sequence number", "Bunker", "last_statement", () => null],
    ["an altered audit record", "Bunker", "audit", (body) => body.replace('"seq":1', '"seq":7')],
    ["a removed audit record", "Cosigner", "audit", () => null],
    ["an altered transport key", "Bunker", "transport", (body) => flip(body, "ciphertext")],
  ].map(([name, className, kind, change, code = "storage_corrupt"]) => ({ name, className, kind, change, code }));

  beforeAll(async () => {
    for (const it of cases) {
      it.account = await makeAccount(server);
      it.app = await RawApp.open(it.account.bunker_url);
      await it.app.connect();
    }
    await server.stop();
    for (const { className, kind, change, account } of cases) {
      const [file] = holderFiles(className, account.pubkey);
      tamper(file, kind, (body) => change(body, account.pubkey));
    }
    await server.start();
  });

  test.each(cases)("$name", async ({ app, account, code }) => {
    const before = server.log().length;
    const again = await RawApp.open(account.bunker_url, app.secretKey).catch(() => null);
    // A holder that can't be woken opens no socket; the other one does, and then the request fails.
    if (again) await expectNoSignature(again);
    await expect.poll(() => server.log().slice(before), { timeout: 30_000 }).toContain(`"code":"${code}"`);
  });

  test("the identity beside them signs on", async () => {
    const again = await RawApp.open(account.bunker_url, app.secretKey);
    await again.connect();
    expect((await again.ask("sign_event", [note("not disturbed")])).reply.error).toBeUndefined();
    await again.close();
  });

  function holderFiles(className, pubkey) {
    return server.objectFiles(className).filter((file) => {
      const identity = rows(file).find(([kind]) => kind === "identity");
      return identity?.[2].includes(pubkey);
    });
  }

  function storedShare(className, pubkey) {
    return rows(holderFiles(className, pubkey)[0]).find(([kind]) => kind === "share")[2];
  }

  async function expectNoSignature(bad) {
    const request = bad.request("sign_event", [note("must not be signed")]);
    const event = bad.event(request);
    bad.relay.send(["EVENT", event]);
    const ok = await bad.relay.ok(event.id);
    if (ok.accepted) expect((await bad.reply(request.id)).reply).toMatchObject({ result: "error", error: expect.stringMatching(/./) });
    else expect(ok.reason).toMatch(/^error: /);
  }
});
