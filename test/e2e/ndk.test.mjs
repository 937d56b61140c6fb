/** NDK as published, against the built Worker. It differs from nostr-tools in nearly every habit. */
import NDK, { NDKEvent, NDKNip46Signer, NDKPrivateKeySigner } from "@nostr-dev-kit/ndk";
import { verifyEvent } from "nostr-tools";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAccount } from "../support/account.mjs";
import { nowS } from "../support/clock.mjs";
import { Peer } from "../support/peer.mjs";
import { startServer } from "../support/server.mjs";
import { AWKWARD, LONG_BYTES, textOf } from "../support/texts.mjs";

let server, account, ndk, signer;

/** A client of its own, with no relay but the bunker's. */
const client = () => new NDK({ explicitRelayUrls: [], enableOutboxModel: false });

beforeAll(async () => {
  server = await startServer();
  account = await makeAccount(server);
  ndk = client();
  signer = NDKNip46Signer.bunker(ndk, account.bunker_url);
  await signer.blockUntilReady();
});
afterAll(() => server?.stop());

describe("a ready client", () => {
  test("knows the group's key", async () => {
    expect((await signer.user()).pubkey).toBe(account.pubkey);
    expect(signer.userPubkey).toBe(account.pubkey);
  });

  test("has its event signed as it is", async () => {
    const event = new NDKEvent(ndk, { kind: 1, created_at: nowS(), tags: [["t", AWKWARD]], content: AWKWARD, pubkey: account.pubkey });
    await event.sign(signer);
    const signed = event.rawEvent();
    expect(signed).toMatchObject({ kind: 1, content: AWKWARD, pubkey: account.pubkey });
    expect(verifyEvent(structuredClone(signed))).toBe(true);
  });

  test.each(["nip44", "nip04"])("writes and reads %s", async (scheme) => {
    const peer = new Peer();
    const user = ndk.getUser({ pubkey: peer.pubkey });
    const [encrypt, decrypt] = scheme === "nip44" ? ["encrypt44", "decrypt44"] : ["encrypt04", "decrypt04"];
    const sent = await signer.encrypt(user, AWKWARD, scheme);
    expect(await peer[decrypt](account.pubkey, sent)).toBe(AWKWARD);
    expect(await signer.decrypt(user, await peer[encrypt](account.pubkey, AWKWARD), scheme)).toBe(AWKWARD);
  });

  test.each(LONG_BYTES)("writes and reads a NIP-44 message of %i bytes", async (bytes) => {
    const peer = new Peer();
    const user = ndk.getUser({ pubkey: peer.pubkey });
    const text = textOf(bytes);
    expect(peer.decrypt44(account.pubkey, await signer.encrypt(user, text, "nip44")) === text).toBe(true);
    expect((await signer.decrypt(user, peer.encrypt44(account.pubkey, text), "nip44")) === text).toBe(true);
  });

  test("has 300 messages decrypted in one burst", async () => {
    const peer = new Peer();
    const user = ndk.getUser({ pubkey: peer.pubkey });
    const texts = Array.from({ length: 300 }, (_, n) => `message ${n}`);
    const payloads = texts.map((text) => peer.encrypt44(account.pubkey, text));
    expect(await Promise.all(payloads.map((payload) => signer.decrypt(user, payload, "nip44")))).toEqual(texts);
  });

  test("gets an error it can show for what is wrong", async () => {
    const user = ndk.getUser({ pubkey: "f".repeat(64) });
    await expect(signer.encrypt(user, "text", "nip44")).rejects.toMatch(/./);
    const peer = ndk.getUser({ pubkey: new Peer().pubkey });
    await expect(signer.decrypt(peer, "AAAA", "nip44")).rejects.toMatch(/./);
  });
});

describe("a session", () => {
  test("can be stored and restored, with connect sent again", async () => {
    const payload = signer.toPayload();
    const restored = await NDKNip46Signer.fromPayload(payload, client());
    // A restored signer makes its sockets anew, and asks to connect with the spent secret.
    const reopened = NDKNip46Signer.bunker(client(), account.bunker_url, restored.localSigner);
    expect((await reopened.blockUntilReady()).pubkey).toBe(account.pubkey);
    expect((await restored.blockUntilReady()).pubkey).toBe(account.pubkey);
    expect(await restored.sign({ kind: 1, created_at: nowS(), tags: [], content: "back", pubkey: account.pubkey })).toMatch(/^[0-9a-f]{128}$/);
  });

  test("is refused to a second client with the spent secret", async () => {
    const thief = NDKNip46Signer.bunker(client(), account.bunker_url, NDKPrivateKeySigner.generate());
    await expect(thief.blockUntilReady()).rejects.toMatch(/already|another client/);
  });

  test("signs only the kinds of its grant", async () => {
    const limited = NDKNip46Signer.bunker(client(), await account.connect({ kinds: [1] }));
    await limited.blockUntilReady();
    const template = { created_at: nowS(), tags: [], content: "", pubkey: account.pubkey };
    expect(await limited.sign({ ...template, kind: 1 })).toMatch(/^[0-9a-f]{128}$/);
    await expect(limited.sign({ ...template, kind: 0 })).rejects.toMatch(/not allowed/);
  });
});
