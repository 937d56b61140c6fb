/** The device program as WebAssembly, judged by nostr-tools and by Node's cryptography. */
import { createHash, generateKeyPairSync, hkdfSync, randomBytes, scryptSync } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { generateSecretKey, getPublicKey, nip19, verifyEvent } from "nostr-tools";
import { encrypt as nip49Encrypt } from "nostr-tools/nip49";
import { hexToBytes } from "nostr-tools/utils";
import { describe, expect, test } from "vitest";
import { Vault, memory, nowS, program, refusal, stretchedAnew } from "../support/device-program.mjs";
import { open, seal } from "../support/hpke.mjs";

const NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
const SECRET = nip19.decode(NSEC).data;
const NPUB = nip19.npubEncode(getPublicKey(SECRET));
const PASSPHRASE = "a passphrase for tests only";

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const hkdf = (root, info) => Buffer.from(hkdfSync("sha256", root, Buffer.alloc(0), info, 32));
const u32 = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const u64 = (n) => Buffer.concat([u32(Math.floor(n / 2 ** 32)), u32(n % 2 ** 32)]);
const scrypt = (text, { salt, log_n, r, p }) =>
  scryptSync(text.normalize("NFKC"), Buffer.from(salt, "hex"), 32, { N: 2 ** log_n, r, p, maxmem: 2 ** 29 });
const code = (work) => refusal(work)?.code ?? null;

/** Two holders whose keys are known here. */
function holders() {
  const pairs = [1, 2].map(() => generateKeyPairSync("x25519"));
  const keys = pairs.map((pair) => Buffer.from(pair.publicKey.export({ format: "jwk" }).x, "base64url").toString("hex"));
  const signing = pairs.map(() => getPublicKey(generateSecretKey()));
  const entry = (role, at) => ({ role, index: at + 1, receiving_key: keys[at], signing_key: signing[at] });
  const list = { holders: ["bunker", "cosigner"].map(entry) };
  return { list, secrets: pairs.map((pair) => pair.privateKey) };
}

/** A vault with a prepared identity. */
function identity() {
  const vault = Vault.unlocked();
  vault.call("draft", NSEC);
  const { list, secrets } = holders();
  const made = vault.call("prepare_identity", { holders: list }, nowS());
  expect(JSON.parse(made.statement.content).public).toEqual(made.public);
  return { vault, list, secrets, ...made, group: made.public.group };
}

const kit = (vault, passphrase = PASSPHRASE) => {
  const { kdf, key } = stretchedAnew(passphrase);
  return vault.call("make_kit", kdf, key);
};
const kitKey = (file, passphrase = PASSPHRASE) => program.stretch(passphrase, program.kit_kdf(file));

describe("passwords", () => {
  test("the login secret and the owner blob are what scrypt, HKDF and XChaCha20-Poly1305 make of the password", () => {
    const vault = new Vault();
    const made = vault.register({ password: "Ångström im Regal" });
    const root = scrypt("Ångström im Regal", made.kdf);
    expect(made.password).toBe(hkdf(root, "passport/v1/login-secret").toString("hex"));
    expect(vault.call("login_secret", made.kdf, root)).toBe(made.password);
    const blob = Buffer.from(made.owner_blob, "base64");
    const aad = Buffer.concat([Buffer.from("passport/v1/owner-blob"), Buffer.from([1]), Buffer.from(made.owner_pubkey, "hex")]);
    const key = hkdf(root, "passport/v1/owner-blob");
    const owner = xchacha20poly1305(key, blob.subarray(1, 25), aad).decrypt(blob.subarray(25));
    expect(getPublicKey(owner)).toBe(made.owner_pubkey);
    expect(vault.device.unlocked()).toBe(made.owner_pubkey);
  });

  test("another vault unlocks with the same password, and not with another", () => {
    const { account } = Vault.unlocked("a password for tests only");
    const other = new Vault();
    const login = (text) => other.call("login_secret", account.kdf, program.stretch(text, JSON.stringify(account.kdf)));
    expect(code(() => other.call("unlock", account))).toBe("locked");
    login("another password");
    expect(code(() => other.call("unlock", account))).toBe("blob_does_not_open");
    expect(other.device.unlocked()).toBeUndefined();
    expect(login("a password for tests only")).toBe(account.password);
    other.call("unlock", account);
    expect(other.device.unlocked()).toBe(account.owner_pubkey);
    expect(code(() => other.call("unlock", account)), "the keys are used once").toBe("locked");
  });

  test("a new password seals the same owner key", () => {
    const vault = Vault.unlocked();
    const { kdf, key } = stretchedAnew("quite another password");
    const changed = vault.call("change_password", kdf, key);
    expect(changed.password).not.toBe(vault.account.password);
    const other = new Vault();
    other.call("login_secret", kdf, program.stretch("quite another password", kdf));
    other.call("unlock", { owner_pubkey: vault.account.owner_pubkey, owner_blob: changed.owner_blob });
    expect(other.device.unlocked()).toBe(vault.account.owner_pubkey);
  });

  test("a cost out of bounds is refused before it is tried", () => {
    const kdf = JSON.parse(program.fresh_kdf());
    for (const wrong of [{ log_n: 16 }, { log_n: 21 }, { r: 1 }, { p: 5 }]) {
      expect(code(() => program.stretch("some password", JSON.stringify({ ...kdf, ...wrong })))).toBe("kdf_refused");
    }
    expect(code(() => program.stretch("", JSON.stringify(kdf)))).toBe("nothing_typed");
  });

  test("what is tried first is refused with words for people", () => {
    expect(program.password_problem("Password2024!")).toMatch(/tried first/);
    expect(program.password_problem("alice-alice-9", "alice")).toMatch(/username/);
    expect(program.password_problem("short")).toMatch(/10 characters/);
    expect(program.password_problem("four words of mine", "alice")).toBeUndefined();
  });

  test("scrypt at the usual cost stays under 192 MiB", () => {
    const start = performance.now();
    program.stretch("some password", program.fresh_kdf());
    const mib = memory.buffer.byteLength / 2 ** 20;
    console.log(`scrypt 2^17 in WebAssembly: ${(performance.now() - start).toFixed(0)} ms, memory ${mib.toFixed(0)} MiB`);
    expect(mib).toBeLessThan(192);
  });
});

describe("proofs", () => {
  const digest = (...parts) => sha256(...parts.flatMap((part) => [u32(Buffer.byteLength(part)), part])).toString("hex");
  const kdfText = ({ salt, log_n, r, p }) => `${salt}:${log_n}:${r}:${p}`;

  test("a registration is proved by the owner key, for this server and exactly this body", () => {
    const made = new Vault().register({ username: "alice", password: "four words of mine" });
    expect(verifyEvent(made.proof)).toBe(true);
    expect([made.proof.kind, made.proof.tags, made.proof.pubkey]).toEqual([27434, [], made.owner_pubkey]);
    expect(JSON.parse(made.proof.content)).toEqual({
      v: 1,
      verb: "register",
      origin: "https://passport.example",
      challenge: null,
      body: digest("alice", made.password, made.owner_pubkey, made.owner_blob, kdfText(made.kdf)),
    });
  });

  test("a recovery is proved by the kit's owner key, for the challenge", () => {
    const { vault, group, npub } = identity();
    const { file } = kit(vault);
    const fresh = new Vault();
    const { kdf, key } = stretchedAnew("quite another password");
    const args = { origin: "https://passport.example", challenge: "c-1", kit: file, kdf: JSON.parse(kdf) };
    const back = fresh.call("recover", args, kitKey(file), key, nowS());
    expect(back.owner_pubkey).toBe(vault.account.owner_pubkey);
    expect(back.group).toBe(group);
    expect(verifyEvent(back.proof)).toBe(true);
    expect(JSON.parse(back.proof.content)).toMatchObject({
      verb: "recover",
      challenge: "c-1",
      body: digest("", back.password, back.owner_pubkey, back.owner_blob, kdfText(back.kdf)),
    });
    expect(fresh.call("open_kit", file, kitKey(file))).toEqual({ owner_pubkey: back.owner_pubkey, group, epoch: 0, npub });
    const wrong = kitKey(file, "not the passphrase");
    expect(code(() => new Vault().call("recover", args, wrong, key, nowS()))).toBe("wrong_passphrase");
  });
});

describe("passkeys", () => {
  test("a passkey's blob opens with its PRF output, and with no other", () => {
    const vault = Vault.unlocked();
    const [prf, other] = [randomBytes(32).toString("hex"), randomBytes(32).toString("hex")];
    const sealed = { owner_pubkey: vault.account.owner_pubkey, owner_blob: vault.device.seal_for_passkey(prf) };
    const key = hkdf(Buffer.from(prf, "hex"), "passport/v1/passkey-blob");
    const blob = Buffer.from(sealed.owner_blob, "base64");
    const aad = Buffer.concat([Buffer.from("passport/v1/passkey-blob"), Buffer.from([1]), Buffer.from(sealed.owner_pubkey, "hex")]);
    expect(getPublicKey(xchacha20poly1305(key, blob.subarray(1, 25), aad).decrypt(blob.subarray(25)))).toBe(sealed.owner_pubkey);
    const fresh = new Vault();
    expect(code(() => fresh.call("unlock_with_passkey", sealed, other))).toBe("blob_does_not_open");
    expect(code(() => fresh.call("unlock_with_passkey", sealed, "00"))).toBe("passkey_unusable");
    fresh.call("unlock_with_passkey", sealed, prf);
    expect(fresh.device.unlocked()).toBe(sealed.owner_pubkey);
    expect(code(() => new Vault().device.seal_for_passkey(prf))).toBe("locked");
  });
});

describe("keys that people bring", () => {
  test("nsec, hex and ncryptsec are one key", () => {
    const vault = new Vault();
    expect(vault.call("draft", NSEC)).toEqual({ npub: NPUB, kind: "nsec" });
    expect(vault.call("draft", Buffer.from(SECRET).toString("hex"))).toEqual({ npub: NPUB, kind: "hex" });
    const encrypted = nip49Encrypt(SECRET, "Ångström", 16, 1);
    expect(JSON.parse(program.secret_kind(encrypted))).toEqual({ kind: "ncryptsec", log_n: 16 });
    expect(code(() => vault.call("draft", encrypted))).toBe("needs_password");
    // Typed on another system, with combining marks.
    const key = program.stretch_encrypted("A\u030angstro\u0308m", encrypted);
    expect(vault.call("draft_encrypted", encrypted, key)).toEqual({ npub: NPUB, kind: "ncryptsec" });
    const wrong = program.stretch_encrypted("Angstrom", encrypted);
    expect(code(() => vault.call("draft_encrypted", encrypted, wrong))).toBe("wrong_password");
  });

  test("an ncryptsec that no device can bear is refused without trying", () => {
    const bytes = Buffer.concat([Buffer.from([2, 21]), randomBytes(40), Buffer.from([1]), randomBytes(48)]);
    const text = nip19.encodeBytes("ncryptsec", bytes);
    const before = memory.buffer.byteLength;
    const said = refusal(() => program.stretch_encrypted("password", text));
    expect(said.code).toBe("too_costly");
    expect(said.message).toMatch(/2 GiB/);
    expect(memory.buffer.byteLength).toBe(before);
  });

  test("what is no secret key is refused and not repeated", () => {
    for (const text of ["", "hello", NPUB, NSEC.slice(0, -1), NSEC.toUpperCase(), "f".repeat(64), "0".repeat(64)]) {
      const said = refusal(() => program.secret_kind(text));
      expect(said.code, text).toBe("not_a_secret_key");
      if (text) expect(said.message).not.toContain(text);
    }
  });
});

describe("identities", () => {
  test("a key is split so that two holders' shares are the key, each sealed to its holder under the owner's statement", () => {
    const { vault, secrets, statement, packages, npub, group } = identity();
    expect(npub).toBe(NPUB);
    expect(verifyEvent(statement)).toBe(true);
    expect(statement.pubkey).toBe(vault.account.owner_pubkey);
    expect(JSON.parse(statement.content)).toMatchObject({ v: 1, verb: "create_group", group, seq: 1 });
    const [one, two] = secrets.map((secret, at) => share(secret, packages[at + 1], statement, at + 1, "passport/v1/share"));
    expect(nip19.npubEncode(getPublicKey(combined(one, two)))).toBe(NPUB);
    expect(() => share(secrets[1], packages[1], statement, 1, "passport/v1/share")).toThrow();
  });

  test("a locked vault splits nothing, and holders with one key get nothing", () => {
    const { list } = holders();
    const locked = new Vault();
    locked.call("draft", NSEC);
    expect(code(() => locked.call("prepare_identity", { holders: list }, nowS()))).toBe("locked");
    const vault = Vault.unlocked();
    expect(code(() => vault.call("prepare_identity", { holders: list }, nowS()))).toBe("no_draft");
    vault.call("draft", NSEC);
    const [bunker, cosigner] = list.holders;
    const same = { holders: [bunker, { ...cosigner, receiving_key: bunker.receiving_key }] };
    expect(code(() => vault.call("prepare_identity", { holders: same }, nowS()))).toBe("holders_not_separate");
    expect(vault.call("prepare_identity", { holders: list }, nowS()).npub).toBe(NPUB);
  });

  test("a kit tells passphrase, damage, account and identity apart, and is made anew under another passphrase", () => {
    const { vault, public: present, secrets, packages, statement } = identity();
    const { file, name } = kit(vault);
    expect(name).toBe(`${NPUB.slice(0, 16)}.kit.json`);
    const check = (of, text, passphrase = PASSPHRASE, other = {}) =>
      code(() => of.call("check_kit", { kit: text, public: { ...present, ...other } }, kitKey(text, passphrase)));
    expect(check(vault, file)).toBe(null);
    expect(check(vault, file, "not the passphrase")).toBe("wrong_passphrase");
    expect(check(vault, file.replace(/"epoch": 0/, '"epoch": 1'))).toBe("kit_altered");
    expect(check(vault, file, PASSPHRASE, { group: "00".repeat(16) })).toBe("kit_of_another_identity");
    expect(check(vault, file, PASSPHRASE, { epoch: 1 })).toBe("kit_of_another_epoch");
    expect(check(Vault.unlocked(), file)).toBe("kit_of_another_account");
    for (const text of ["", "{}", "no kit", file.slice(1)]) expect(code(() => program.kit_kdf(text))).toBe("kit_malformed");

    const { kdf, key } = stretchedAnew("another passphrase for tests");
    const renewed = vault.call("renew_kit", { kit: file, public: present }, kitKey(file), kdf, key).file;
    expect(check(vault, renewed)).toBe("wrong_passphrase");
    expect(check(vault, renewed, "another passphrase for tests")).toBe(null);

    // With others' cryptography: the owner key, and a share that makes the key with the bunker's.
    const stored = JSON.parse(renewed);
    const root = scrypt("another passphrase for tests", stored.kdf);
    const plain = xchacha20poly1305(hkdf(root, "passport/v1/recovery-kit"), hexToBytes(stored.nonce), kitAad(stored)).decrypt(
      Buffer.from(stored.ciphertext, "base64"),
    );
    expect(getPublicKey(plain.subarray(0, 32))).toBe(vault.account.owner_pubkey);
    const bunker = share(secrets[0], packages[1], statement, 1, "passport/v1/share");
    expect(nip19.npubEncode(getPublicKey(combined(bunker, plain.subarray(32), 1, 3)))).toBe(NPUB);
  });
});

describe("a key that is made with the holders", () => {
  const ID = "c0".repeat(16);

  /** A vault that has begun a keygen, and how it stands on an honest server where nobody has spoken. */
  function begun(vault = Vault.unlocked()) {
    const { list } = holders();
    const request = vault.call("begin_keygen", { holders: list, custody: "hosted" });
    const { group, threshold, participants } = request;
    const server = (number) => list.holders[number - 1];
    const parties = participants.map(({ role, owner, receiving_key }, at) => ({
      number: at + 1,
      signing: owner ?? server(at + 1).signing_key,
      receiving: receiving_key ?? server(at + 1).receiving_key,
      deals: at + 1,
      receives: { index: at + 1, role },
    }));
    const terms = { v: 1, ceremony: ID, purpose: { kind: "keygen" }, group, epoch: 0, threshold, parties };
    const shown = parties.map(({ number }) => {
      const { role, owner = null } = participants[number - 1];
      return { number, role, owner, joined: true };
    });
    const stand = { kind: "keygen", operation_id: ID, status: "running", round: 1, waits_for: [1, 2, 3], due_at: nowS() + 60 };
    const nothing = { packages: [], next: 0, reason: null, culprits: [], public: null, proof: null };
    const view = { ...stand, ...nothing, group, threshold, participants: shown, terms };
    const take = (over = {}) => vault.call("take_ceremony", { view: { ...view, ...over } });
    return { vault, request, view, take };
  }

  test("is asked for with two holders and this device, which names its owner key and a receiving key of its own", () => {
    const [one, two] = [begun(), begun()];
    const { kind, group, threshold, round_seconds, participants } = one.request;
    expect([kind, threshold, round_seconds]).toEqual(["keygen", 2, 60]);
    expect(group).toMatch(/^[0-9a-f]{32}$/);
    expect(participants.slice(0, 2)).toEqual([{ role: "bunker" }, { role: "cosigner" }]);
    const owner = one.vault.account.owner_pubkey;
    expect(participants.slice(2)).toEqual([{ role: "recovery", owner, receiving_key: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(two.request.group).not.toBe(group);
    expect(two.request.participants[2].receiving_key).not.toBe(participants[2].receiving_key);
  });

  test("begins with this device's word, which is the same when it is asked for again", () => {
    const { take } = begun();
    const first = take();
    expect(first).toMatchObject({ next: 0, round: 1, keeps: false, verified: false });
    expect(first.packages).toHaveLength(1);
    expect(first.packages[0]).toMatchObject({ ceremony: ID, party: 3, round: 1, signature: expect.stringMatching(/^[0-9a-f]{128}$/) });
    expect(JSON.parse(first.packages[0].body).says).toBe("deal");
    expect(take()).toEqual(first);
    expect(take({ packages: first.packages, next: 1 })).toMatchObject({ packages: [], next: 1, round: 1 });
  });

  test("is given up when the server changes what was agreed upon, and nothing of it stays", () => {
    const changed = (change) => {
      const { view, take } = begun();
      const terms = structuredClone(view.terms);
      change(terms);
      return [code(() => take({ terms })), code(() => take())];
    };
    const others = holders().list.holders[0];
    for (const change of [
      (terms) => (terms.threshold = 3),
      (terms) => (terms.group = "00".repeat(16)),
      (terms) => (terms.ceremony = "00".repeat(16)),
      (terms) => (terms.parties[0].receiving = others.receiving_key),
      (terms) => (terms.parties[1].signing = others.signing_key),
      (terms) => terms.parties.pop(),
    ]) {
      expect(changed(change), String(change)).toEqual(["ceremony_misled", "no_ceremony"]);
    }
  });

  test("is given up when the server passes on what no participant said", () => {
    const { take } = begun();
    const [own] = take().packages;
    for (const foreign of [{ ...own, party: 1 }, { ...own, body: own.body.replace("deal", "lost") }, { ...own, round: 2 }]) {
      const { take: other } = begun();
      expect(code(() => other({ packages: [foreign], next: 1 }))).toBe("ceremony_misled");
    }
    const failure = refusal(() => take({ status: "expired", culprits: [2] }));
    expect(failure).toEqual({
      code: "ceremony_failed",
      message: "No key was made: the server's cosigner did not answer in time. Nothing of it is kept; begin again.",
    });
    expect(code(() => take())).toBe("no_ceremony");
  });

  test("gives no identity and no kit before everybody has accepted it", () => {
    const { vault, take } = begun();
    take();
    expect(code(() => vault.device.finish_keygen(nowS()))).toBe("keygen_unfinished");
    expect(code(() => kit(vault))).toBe("no_identity");
  });

  test("is forgotten for another keygen and for another owner, and is nothing for a locked vault", () => {
    const first = begun();
    begun(first.vault);
    expect(code(() => first.take())).toBe("ceremony_misled");

    const { vault, take } = begun();
    vault.register({ username: "bob", password: "another password of mine" });
    expect(code(() => take())).toBe("no_ceremony");
    expect(code(() => vault.device.finish_keygen(nowS()))).toBe("no_ceremony");

    const locked = new Vault();
    expect(code(() => locked.call("begin_keygen", { holders: holders().list, custody: "hosted" }))).toBe("locked");
    expect(code(() => locked.device.finish_keygen(nowS()))).toBe("locked");
    const [bunker, cosigner] = holders().list.holders;
    const same = { holders: [bunker, { ...cosigner, receiving_key: bunker.receiving_key }] };
    expect(code(() => Vault.unlocked().call("begin_keygen", { holders: same, custody: "hosted" }))).toBe("holders_not_separate");
  });
});

describe("new shares of a key in use", () => {
  const begin = ({ vault, list, public: present }, over = {}, ...rest) =>
    vault.call("begin_renewal", { public: present, holders: list, custody: "hosted", shares: null, kit: null, ...over }, ...rest);

  /** The view of an honest server on which nobody has spoken. */
  function shown({ list, public: present }, request) {
    const server = (role) => list.holders.find((it) => it.role === role);
    const parties = request.participants.map(({ role, owner, receiving_key, deals = null, receives }, at) => ({
      number: at + 1,
      signing: owner ?? server(role).signing_key,
      receiving: receiving_key ?? server(role)?.receiving_key ?? null,
      deals,
      receives: receives === undefined ? null : { index: receives, role },
    }));
    const ceremony = "c1".repeat(16);
    const { group, threshold } = request;
    const purpose = { kind: "reshare", from: present };
    const terms = { v: 1, ceremony, purpose, group, epoch: present.epoch + 1, threshold, parties };
    const participants = request.participants.map(({ role, owner = null }, at) => ({ number: at + 1, role, owner, joined: true }));
    const stand = { kind: "reshare", operation_id: ceremony, status: "running", round: 1, waits_for: [1, 2], due_at: nowS() + 60 };
    return { ...stand, group, threshold, participants, terms, packages: [], next: 0, reason: null, culprits: [] };
  }

  test("are asked for with the group as it is: in hosted custody the server's holders deal, and this device gets the kit's", () => {
    const it = identity();
    const { request, needs_export } = begin(it);
    expect([request.kind, request.group, request.threshold, request.present]).toEqual(["reshare", it.group, 2, it.public]);
    const owner = it.vault.account.owner_pubkey;
    expect(request.participants).toEqual([
      { role: "bunker", deals: 1, receives: 1 },
      { role: "cosigner", deals: 2, receives: 2 },
      { role: "recovery", owner, receiving_key: expect.stringMatching(/^[0-9a-f]{64}$/), receives: 3 },
    ]);
    expect(needs_export).toBe(false);
  });

  test("given to a device's care leave the cosigner without one, and want an export's delay to be over", () => {
    const { request, needs_export } = begin(identity(), { custody: "device" });
    expect(request.participants.map(({ role, deals = 0, receives = 0 }) => [role, deals, receives])).toEqual([
      ["bunker", 1, 1],
      ["cosigner", 2, 0],
      ["device", 0, 2],
      ["recovery", 0, 3],
    ]);
    expect(needs_export).toBe(true);
  });

  test("that another device of the same owner began are joined in the place that waits, and in no other", () => {
    const it = identity();
    const { request, waits_for } = begin(it, { custody: "device", others: { leave: false, add: true } });
    const owner = it.vault.account.owner_pubkey;
    expect([waits_for, request.participants.at(-1)]).toEqual([1, { role: "device", owner, receives: 4 }]);
    const participants = request.participants.map(({ role, owner = null, receiving_key, deals = null, receives = null }, at) => {
      return { number: at + 1, role, owner, joined: owner === null || receiving_key !== undefined, deals, receives };
    });
    const view = { ...shown(it, request), status: "joining", round: 0, terms: null, participants };
    const join = (over = {}, vault = it.vault) =>
      vault.call("join_renewal", { public: it.public, holders: it.list, shares: null, view: { ...view, ...over } });
    expect(code(() => join({ status: "running" }))).toBe("nothing_to_join");
    expect(code(() => join({ participants: participants.slice(0, -1) }))).toBe("nothing_to_join");
    const stranger = { ...participants[3], owner: "ab".repeat(32) };
    expect(code(() => join({ participants: participants.with(3, stranger) }))).toBe("ceremony_misled");
    expect(code(() => join({}, new Vault()))).toBe("locked");
    expect(join()).toEqual({ keys: [{ number: 5, receiving_key: expect.stringMatching(/^[0-9a-f]{64}$/) }] });
    expect(it.vault.call("take_ceremony", { view })).toMatchObject({ packages: [], round: 0, keeps: false, verified: false });
  });

  test("are dealt under the owner's word for exactly the terms, which is signed once they are known", () => {
    const it = identity();
    const word = (seq) => it.vault.call("reshare", { seq }, nowS());
    expect(code(() => word(5))).toBe("no_ceremony");
    const { request } = begin(it);
    expect(code(() => word(5))).toBe("renewal_not_begun");
    const view = shown(it, request);
    expect(it.vault.call("take_ceremony", { view })).toEqual({ packages: [], next: 0, round: 1, keeps: false, verified: false });
    const statement = word(5);
    expect(verifyEvent(statement)).toBe(true);
    expect([statement.kind, statement.tags, statement.pubkey]).toEqual([27433, [], it.vault.account.owner_pubkey]);
    const said = JSON.parse(statement.content);
    expect(said).toEqual({ v: 1, verb: "reshare", group: it.group, seq: 5, terms: expect.stringMatching(/^[0-9a-f]{64}$/) });
    it.vault.call("take_ceremony", { view });
    expect(JSON.parse(word(6).content).terms).toBe(said.terms);
  });

  test("are not there to be kept before all have signed with them, and go when the ceremony is ended", () => {
    const it = identity();
    it.vault.call("take_ceremony", { view: shown(it, begin(it).request) });
    expect(code(() => it.vault.device.new_shares())).toBe("renewal_unfinished");
    expect(code(() => it.vault.device.finish_keygen(nowS()))).toBe("keygen_unfinished");
    it.vault.device.end_ceremony();
    expect(code(() => it.vault.device.new_shares())).toBe("no_ceremony");
    expect(code(() => it.vault.device.kept())).toBe("no_ceremony");
    expect(code(() => kit(it.vault))).toBe("no_identity");
  });

  test("are not begun with terms of other dealers, of another epoch, or by a locked vault", () => {
    for (const change of [
      ({ terms }) => (terms.epoch = 2),
      ({ terms }) => (terms.parties[1].deals = null),
      ({ terms }) => (terms.parties[2].receives = { index: 2, role: "recovery" }),
      ({ terms }) => (terms.purpose = { kind: "keygen" }),
    ]) {
      const it = identity();
      const view = shown(it, begin(it).request);
      change(view);
      expect(code(() => it.vault.call("take_ceremony", { view })), String(change)).toBe("ceremony_misled");
      expect(code(() => it.vault.call("reshare", { seq: 5 }, nowS()))).toBe("no_ceremony");
    }
    const it = identity();
    expect(code(() => begin({ ...it, vault: new Vault() }))).toBe("locked");
  });

  test("in device custody want a share of the person's, from a kit that opens and is of the present shares", () => {
    const it = identity();
    const { file } = kit(it.vault);
    const holders = it.public.holders.map((holder) => ({ ...holder, role: holder.role === "cosigner" ? "device" : holder.role }));
    const inDevice = { ...it, public: { ...it.public, holders } };
    expect(code(() => begin(inDevice, { custody: "device" }))).toBe("share_missing");
    expect(code(() => begin(inDevice, { custody: "hosted" }))).toBe("share_missing");
    const given = (of, passphrase) => code(() => begin(of, { custody: "device", kit: file }, kitKey(file, passphrase)));
    expect(given(inDevice, "not the passphrase")).toBe("wrong_passphrase");
    expect(given({ ...inDevice, public: { ...inDevice.public, epoch: 1 } })).toBe("kit_of_another_epoch");
    expect(code(() => begin(inDevice, { custody: "device", kit: file }))).toBe("misunderstood");
    expect(code(() => begin(it, { shares: "{}" }))).toBe("share_damaged");
  });
});

describe("statements", () => {
  const POLICY = { rules: [{ effect: "ask", methods: ["sign_event"], kinds: [1], peers: "all", uses: null }] };
  const [GROUP, CONNECTION, REQUEST] = ["ab".repeat(16), "cd".repeat(16), "ef".repeat(32)];
  const place = { group: GROUP, seq: 9 };
  const terms = { label: "An app", policy: POLICY, expires_at: null, auth_url: true };

  test("each verb is signed by the owner key, with the content that holders read", () => {
    const vault = Vault.unlocked();
    const approve = { connection: CONNECTION, request: REQUEST, method: "sign_event", kind: 1, remember: { until: 5 } };
    const cases = [
      ["edit", { connection: CONNECTION, ...terms }, "edit"],
      ["pause", { connection: CONNECTION }, "pause"],
      ["resume", { connection: CONNECTION }, "resume"],
      ["revoke", { connection: CONNECTION }, "revoke"],
      ["approve", approve, "approve"],
      ["approve", { ...approve, method: "nip44_decrypt", kind: null, remember: null }, "approve"],
      ["deny", { connection: CONNECTION, request: REQUEST }, "deny"],
      ["delete_group", {}, "delete_group"],
      ["export_cancel", {}, "cancel_export"],
    ];
    for (const [method, said, verb] of cases) {
      const statement = vault.call(method, { ...place, ...said }, nowS());
      expect(verifyEvent(statement), method).toBe(true);
      expect([statement.kind, statement.tags, statement.pubkey]).toEqual([27433, [], vault.account.owner_pubkey]);
      expect(JSON.parse(statement.content), method).toEqual({ v: 1, verb, ...place, ...said });
      expect(code(() => new Vault().call(method, { ...place, ...said }, nowS())), method).toBe("locked");
    }
  });

  test("a grant is for the transport key that is sealed to the bunker, and for the secret's hash", () => {
    const vault = Vault.unlocked();
    const { list, secrets } = holders();
    const made = vault.call("grant", { ...place, ...terms, holders: list }, nowS());
    expect(verifyEvent(made.statement)).toBe(true);
    const said = JSON.parse(made.statement.content);
    const transport = open(secrets[0], made.transport, { purpose: "passport/v1/transport", aad: Buffer.from(made.statement.id, "hex") });
    expect(said).toEqual({
      v: 1,
      verb: "grant",
      ...place,
      ...terms,
      connection: made.connection,
      transport_pubkey: getPublicKey(transport),
      secret_sha256: sha256(made.secret).toString("hex"),
    });
  });

  test("what no holder would take is not signed", () => {
    const vault = Vault.unlocked();
    const edit = (over) => code(() => vault.call("edit", { ...place, connection: CONNECTION, ...terms, ...over }, nowS()));
    expect(edit({ label: "x".repeat(129) })).toBe("statement_unacceptable");
    expect(edit({ policy: { rules: [{ effect: "allow", methods: [] }] } })).toBe("statement_unacceptable");
    expect(edit({ seq: 0 })).toBe("sequence_exhausted");
    expect(edit({ seq: 2 ** 53 })).toBe("sequence_exhausted");
    expect(edit({ connection: "no id" })).toBe("misunderstood");
    expect(edit({ policy: { rules: [{ effect: "allow", methods: ["sing_event"] }] } })).toBe("misunderstood");
  });
});

describe("leaving with the key", () => {
  function released() {
    const it = identity();
    const statement = it.vault.call("export_begin", { group: it.group, seq: 5 }, nowS());
    const { receiver } = JSON.parse(statement.content);
    const packages = {};
    it.secrets.forEach((secret, at) => {
      const plaintext = share(secret, it.packages[at + 1], it.statement, at + 1, "passport/v1/share");
      packages[at + 1] = seal(receiver, { purpose: "passport/v1/export", aad: shareAad(statement, at + 1), plaintext });
    });
    return { ...it, args: { group: it.group, statement, public: it.public, packages } };
  }

  test("the shares that the holders release are the key again, on a device that knows the owner key only", () => {
    const { vault, args } = released();
    const { nsec, npub } = vault.call("export_finish", args);
    expect(npub).toBe(NPUB);
    expect(nip19.npubEncode(getPublicKey(nip19.decode(nsec).data))).toBe(NPUB);
    const other = new Vault();
    other.call("login_secret", vault.account.kdf, scrypt("a password for tests only", vault.account.kdf));
    other.call("unlock", vault.account);
    expect(other.call("export_finish", args).nsec).toBe(nsec);
  });

  test("what was sealed by another holder, for another statement or for another account gives nothing", () => {
    const { vault, args } = released();
    const finish = (over, of = vault) => code(() => of.call("export_finish", { ...args, ...over }));
    expect(finish({ packages: { 1: args.packages[2], 2: args.packages[1] } })).toBe("export_damaged");
    const later = vault.call("export_begin", { group: args.group, seq: 6 }, nowS());
    expect(finish({ statement: later })).toBe("export_damaged");
    expect(finish({}, Vault.unlocked())).toBe("export_of_another");
    expect(finish({ group: "00".repeat(16) })).toBe("export_of_another");
  });
});

describe("activity", () => {
  function chain(length) {
    let prev = "00".repeat(32);
    return Array.from({ length }, (_, at) => {
      const entry = { what: "request_refused", reason: "not_granted", method: "sign_event", kind: at };
      const [n, at_ms] = [at + 1, 1_790_000_000_000 + at];
      const hash = sha256("passport/v1/audit", u64(n), u64(at_ms), Buffer.from(prev, "hex"), JSON.stringify(entry)).toString("hex");
      const record = { n, at_ms, prev, entry, hash };
      prev = hash;
      return record;
    });
  }
  const head = (record) => ({ n: record.n, hash: record.hash });
  const verdict = (args) => new Vault().call("verify_chain", args);

  test("a whole chain is whole, also from where it was seen last", () => {
    const records = chain(6);
    expect(verdict({ records, head: head(records[5]) })).toEqual({ ok: true });
    expect(verdict({ records: records.slice(3), head: head(records[5]), previous: head(records[2]) })).toEqual({ ok: true });
    expect(verdict({ records: [], head: { n: 0, hash: "00".repeat(32) } })).toEqual({ ok: true });
  });

  test("a changed, missing or cut record is named", () => {
    const broken = (change, at) => {
      const records = chain(6);
      const end = head(records[5]);
      change(records);
      expect(verdict({ records, head: end })).toMatchObject({ ok: false, at });
    };
    broken((records) => (records[2].entry.kind = 7), 3);
    broken((records) => records.splice(2, 1), 3);
    broken((records) => records.pop(), 6);
    broken((records) => (records[4].prev = records[0].hash), 5);
  });
});

test("the vault's program has no secret in what it throws, and leaves none behind that was used once", () => {
  const password = `only here ${randomBytes(9).toString("hex")}`;
  const vault = new Vault();
  vault.register({ password });
  const found = Buffer.from(memory.buffer).includes(Buffer.from(password));
  expect(found, "the password is still in the program's memory").toBe(false);
});

function shareAad(statement, holder) {
  return Buffer.concat([Buffer.from(statement.id, "hex"), Buffer.from([0, holder])]);
}

function share(secret, packed, statement, holder, purpose) {
  return open(secret, packed, { purpose, aad: shareAad(statement, holder) });
}

/** The value at 0 of the line through two shares. */
function combined(one, two, i = 1, j = 2) {
  const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const [a, b] = [one, two].map((bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
  const inverse = (value) => power(((value % N) + N) % N, N - 2n, N);
  const [x, y] = [BigInt(i), BigInt(j)];
  const whole = (a * y * inverse(y - x) + b * x * inverse(x - y)) % N;
  return hexToBytes((((whole % N) + N) % N).toString(16).padStart(64, "0"));
}

function power(base, exponent, modulus) {
  let result = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}

function kitAad({ v, public: facts, holder, kdf }) {
  const u16 = (n) => Buffer.from([n >> 8, n & 255]);
  const group = sha256(
    Buffer.from(facts.group, "hex"),
    u32(facts.epoch),
    u16(facts.threshold),
    Buffer.from(facts.pubkey, "hex"),
    ...facts.holders.flatMap((it) => [u16(it.index), sha256(it.role), Buffer.from(it.verifying_share, "hex")]),
  );
  return Buffer.concat([
    Buffer.from("passport/v1/recovery-kit"),
    u32(v),
    group,
    u16(holder),
    Buffer.from(kdf.salt, "hex"),
    Buffer.from([kdf.log_n]),
    u32(kdf.r),
    u32(kdf.p),
  ]);
}
