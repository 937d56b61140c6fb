/** nostr-tools as published, against the built Worker: every method, and every way to be refused. */
import { generateSecretKey, verifyEvent } from "nostr-tools";
import { BunkerSigner, parseBunkerInput } from "nostr-tools/nip46";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { nowS } from "../support/clock.mjs";
import { Peer } from "../support/peer.mjs";
import { startServer } from "../support/server.mjs";
import { AWKWARD, LONG_BYTES, textOf } from "../support/texts.mjs";

let server, account, signer;
const clientKey = generateSecretKey();

/** An app on a bunker URL; not connected yet. */
async function app(bunkerUrl, secretKey = generateSecretKey()) {
  return BunkerSigner.fromBunker(secretKey, await parseBunkerInput(bunkerUrl));
}

beforeAll(async () => {
  server = await startServer();
  account = await makeAccount(server);
  signer = await app(account.bunker_url, clientKey);
  await signer.connect({ name: "A test", url: "https://app.example" });
});
afterAll(() => server?.stop());

describe("a connected app", () => {
  test("gets the group's key and a pong", async () => {
    expect(await signer.getPublicKey()).toBe(account.pubkey);
    await signer.ping();
  });

  test("has exactly its template signed, under the group's key", async () => {
    const template = { kind: 1, created_at: nowS() - 5, tags: [["t", AWKWARD], ["empty", ""], ["alone"]], content: AWKWARD };
    const event = await signer.signEvent(template);
    expect(event).toMatchObject({ ...template, pubkey: account.pubkey });
    expect(verifyEvent(structuredClone(event))).toBe(true);
  });

  test("may send the template as an object, as some clients do", async () => {
    const template = { kind: 7, created_at: nowS(), tags: [], content: "+" };
    const event = JSON.parse(await signer.sendRequest("sign_event", [template]));
    expect(event).toMatchObject({ ...template, pubkey: account.pubkey });
    expect(verifyEvent(event)).toBe(true);
  });

  test("never has a foreign pubkey, id or signature signed", async () => {
    const template = { kind: 1, created_at: nowS(), tags: [], content: "mine" };
    const extra = { pubkey: new Peer().pubkey, id: "00".repeat(32), sig: "00".repeat(64) };
    const event = await signer.signEvent({ ...template, ...extra });
    expect(event).toMatchObject({ ...template, pubkey: account.pubkey });
  });

  test("writes NIP-44 that the other side reads, and reads what it answers", async () => {
    const peer = new Peer();
    for (const text of ["a", AWKWARD]) {
      expect(peer.decrypt44(account.pubkey, await signer.nip44Encrypt(peer.pubkey, text))).toBe(text);
      expect(await signer.nip44Decrypt(peer.pubkey, peer.encrypt44(account.pubkey, text))).toBe(text);
    }
  });

  test.each(LONG_BYTES)("writes and reads a NIP-44 message of %i bytes", async (bytes) => {
    const peer = new Peer();
    const text = textOf(bytes);
    expect(peer.decrypt44(account.pubkey, await signer.nip44Encrypt(peer.pubkey, text)) === text).toBe(true);
    expect((await signer.nip44Decrypt(peer.pubkey, peer.encrypt44(account.pubkey, text))) === text).toBe(true);
  });

  test("writes and reads NIP-04", async () => {
    const peer = new Peer();
    for (const text of ["a", AWKWARD]) {
      expect(peer.decrypt04(account.pubkey, await signer.nip04Encrypt(peer.pubkey, text))).toBe(text);
      expect(await signer.nip04Decrypt(peer.pubkey, peer.encrypt04(account.pubkey, text))).toBe(text);
    }
  });

  test("is told that it is on the right relays", async () => {
    expect(await signer.sendRequest("switch_relays", [])).toBe("null");
    expect(await signer.switchRelays()).toBe(false);
  });

  test("has 300 messages decrypted in one burst", async () => {
    const peer = new Peer();
    const texts = Array.from({ length: 300 }, (_, n) => `message ${n}`);
    const payloads = texts.map((text) => peer.encrypt44(account.pubkey, text));
    const read = await Promise.all(payloads.map((payload) => signer.nip44Decrypt(peer.pubkey, payload)));
    expect(read).toEqual(texts);
  });
});

describe("a wrong request gets an error, not silence", () => {
  const REFUSED = [
    ["unknown method", "create_account", ["me", "example.com"], /unknown method/],
    ["no template", "sign_event", [], /./],
    ["template that is no JSON", "sign_event", ["not json"], /./],
    ["template without kind", "sign_event", [JSON.stringify({ content: "", tags: [], created_at: 1 })], /./],
    ["kind out of range", "sign_event", [JSON.stringify({ kind: 65536, content: "", tags: [], created_at: 1 })], /./],
    ["peer that is no key", "nip44_encrypt", ["nobody", "text"], /./],
    ["peer off the curve", "nip44_encrypt", ["f".repeat(64), "text"], /./],
    ["peer in capitals", "nip44_encrypt", [new Peer().pubkey.toUpperCase().replace(/^[0-9]/, "A"), "text"], /./],
    ["missing text", "nip44_encrypt", [new Peer().pubkey], /./],
    ["payload that is none", "nip44_decrypt", [new Peer().pubkey, "AAAA"], /./],
    ["payload of another pair", "nip44_decrypt", [new Peer().pubkey, new Peer().encrypt44(new Peer().pubkey, "x")], /./],
    ["NIP-04 message that is none", "nip04_decrypt", [new Peer().pubkey, "AAAA?iv=AAAA"], /./],
    ["unneeded parameter", "ping", ["x"], /./],
  ];
  test.each(REFUSED)("%s", async (_, method, params, text) => {
    await expect(signer.sendRequest(method, params)).rejects.toMatch(text);
  });

  test("and the next request works", () => signer.ping());
});

describe("a connection", () => {
  test("answers the same client again, though its secret is spent", async () => {
    const again = await app(account.bunker_url, clientKey);
    await again.connect();
    const event = await again.signEvent({ kind: 1, created_at: nowS(), tags: [], content: "back" });
    expect(event.pubkey).toBe(account.pubkey);
  });

  test("refuses a second client that has the spent secret", async () => {
    const thief = await app(account.bunker_url);
    await expect(thief.connect()).rejects.toMatch(/already|another client/);
    await expect(thief.getPublicKey()).rejects.toMatch(/another client/);
    const template = { kind: 1, created_at: nowS(), tags: [], content: "stolen" };
    await expect(thief.signEvent(template)).rejects.toMatch(/another client/);
    await signer.ping();
  });

  test("does nothing for a client that never connected", async () => {
    const silent = await app(await account.connect());
    await expect(silent.getPublicKey()).rejects.toMatch(/not connected/);
    await expect(silent.nip44Encrypt(new Peer().pubkey, "x")).rejects.toMatch(/not connected/);
  });

  test("is not opened by a wrong or missing secret, and stays open for the right one", async () => {
    const url = await account.connect();
    const guesser = await app(url.replace(/secret=[^&]*/, "secret=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    await expect(guesser.connect()).rejects.toMatch(/secret/);
    const silent = await app(url.replace(/&secret=[^&]*/, ""));
    await expect(silent.connect()).rejects.toMatch(/secret/);
    const right = await app(url);
    await right.connect();
    await right.ping();
  });

  test("signs only the kinds of its grant", async () => {
    const limited = await app(await account.connect({ kinds: [1] }));
    await limited.connect();
    const template = { created_at: nowS(), tags: [], content: "" };
    expect((await limited.signEvent({ ...template, kind: 1 })).kind).toBe(1);
    for (const kind of [0, 3, 10002, 24133, 27235]) {
      await expect(limited.signEvent({ ...template, kind })).rejects.toMatch(/not allowed/);
    }
  });

  test("ends with logout, for good", async () => {
    const key = generateSecretKey();
    const url = await account.connect();
    const leaving = await app(url, key);
    await leaving.connect();
    await leaving.logout();
    const back = await app(url, key);
    await expect(back.connect()).rejects.toMatch(/logged out/);
    await expect(back.getPublicKey()).rejects.toMatch(/logged out/);
  });

  test("ends with its owner's revocation, and the app is told so", async () => {
    const url = await account.connect();
    const revoked = await app(url);
    await revoked.connect();
    await revoked.ping();
    await account.revoke(url);
    await expect(revoked.getPublicKey()).rejects.toMatch(/revoked/);
    await expect(revoked.signEvent({ kind: 1, created_at: nowS(), tags: [], content: "" })).rejects.toMatch(/revoked/);
  });
});
