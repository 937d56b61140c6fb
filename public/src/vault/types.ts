/** What goes into the vault and comes out of it. The server's `docs/openapi.json` is the reference for its own types. */

/** Salt and cost of the password's derivation. */
export type Kdf = { salt: string; log_n: number; r: number; p: number };

/** Told how far a long call is: 0 to 1, by an estimate from a short measured run, so only about right. */
export type Progress = (fraction: number) => void;

/** A signed Nostr event. */
export type NostrEvent = {
  id: string;
  pubkey: string;
  created_at: number;
  kind: number;
  tags: string[][];
  content: string;
  sig: string;
};

/** What the owner says about a group: an event of kind 27433. */
export type Statement = NostrEvent;

/** `GET /holders` */
export type HolderList = { holders: HolderEntry[] };

/** A server-side holder: where to seal to, and under which key it speaks in ceremonies. */
export type HolderEntry = { role: string; index: number; receiving_key: string; signing_key: string };

/** Everything public about a group, as `GET /keys/{group}` has it. */
export type GroupPublic = {
  group: string;
  epoch: number;
  threshold: number;
  pubkey: string;
  holders: { index: number; role: string; verifying_share: string }[];
};

export type Permission =
  | "get_public_key"
  | "sign_event"
  | "nip04_encrypt"
  | "nip04_decrypt"
  | "nip44_encrypt"
  | "nip44_decrypt";

/** One rule: deny wins wherever it stands, otherwise the first allow or ask that matches decides. */
export type Rule = {
  effect: "allow" | "ask" | "deny";
  methods: "all" | Permission[];
  kinds?: "all" | number[];
  peers?: "all" | string[];
  uses?: number | null;
};

/** What a connection may do. No rule that matches, no answer. */
export type Policy = { rules: Rule[] };

/** The end of an activity chain. */
export type AuditHead = { n: number; hash: string };

/** One record of a group's activity, exactly as the server sent it. */
export type AuditRecord = { n: number; at_ms: number; prev: string; hash: string; entry: object };

/** Each server-side holder's part, sealed to it or by it. */
export type Packages = { "1": string; "2": string };

/** Who holds the shares of a key: bunker, cosigner and kit, or bunker, a device of the person's and kit. */
export type Custody = "hosted" | "device";

/** `POST /ceremony/start` */
export type CeremonyStart = {
  kind: "keygen" | "reshare";
  group: string;
  threshold: number;
  round_seconds: number;
  /** In a reshare: the group as it is. */
  present?: GroupPublic;
  participants: { role: string; owner?: string; receiving_key?: string; deals?: number; receives?: number }[];
};

/** One participant's signed word in one round. */
export type CeremonyPackage = { ceremony: string; party: number; round: number; body: string; signature: string };

/**
 * How a ceremony stands, as the server shows it. It is for the vault to judge; what is named here the page shows.
 */
export type CeremonyView = {
  operation_id: string;
  /** When the time of its round is over, Unix seconds. */
  due_at: number;
  participants: CeremonyParticipant[];
};

/** One who takes part: in a reshare `receives` is the number of the holder for which it gets a share. */
export type CeremonyParticipant = {
  number: number;
  role: string;
  owner?: string | null;
  joined: boolean;
  receives?: number | null;
};

/** With which this device joins a ceremony that another one began. */
export type CeremonyJoin = { keys: { number: number; receiving_key: string }[] };

/** What becomes of the person's other devices in a renewal: they lose their shares or take part, and one more joins. */
export type OtherDevices = { leave: boolean; add: boolean };

/**
 * What the vault has to say in a ceremony, and where that is: to be posted each to its round, with `?after=next`.
 * `keeps`: there are {@link Vault.newShares}, and nothing more is said before they are {@link Vault.kept}.
 */
export type CeremonyStand = {
  packages: CeremonyPackage[];
  next: number;
  round: number;
  keeps: boolean;
  verified: boolean;
};

/** A request as it was shown: what is contributed to has to be exactly that. */
export type ShownRequest = {
  request: string;
  connection: string;
  label: string;
  method: string;
  template: { kind: number; content: string; tags: string[][]; created_at: number } | null;
  peer: string | null;
  plaintext: string | null;
  ciphertext: string | null;
};

/** `POST /keys/{group}/requests/{request}/offer`: for the vault to judge, and never to be kept. */
export type Offer = { evidence: object; contribution: string; round: number };

/** What this device knows of a connection since it last contributed there. Nothing secret. */
export type ContributionMemory = { connection: string; client: string; seq: number };

/** What makes, or takes back, an account. `password` is the login secret, never what the person typed. */
export type Enrolment = {
  password: string;
  owner_pubkey: string;
  owner_blob: string;
  kdf: Kdf;
  proof: NostrEvent;
};

/** A recovery kit for the person to keep. */
export type KitFile = { file: string; name: string };

/** What a statement is about, and its number: one more than the group's last. */
export type Place = { group: string; seq: number };

/** What a connection is to be from now on. */
export type Terms = { label: string; policy: Policy; expires_at: number | null; auth_url: boolean };

/**
 * Everything that needs a secret. It runs in a worker of its own, and secrets stay there: a password or kit passphrase
 * goes in and is forgotten when the call ends; the owner key stays until `lock()` or until the page is left.
 * Every call can fail with a {@link VaultError}, whose message is for people.
 */
export interface Vault {
  /** Looks at a password that is being chosen. */
  checkPassword(password: string, username?: string): Promise<{ ok: boolean; reason?: string }>;
  /** Makes the owner key of a new account. The vault is unlocked afterwards. */
  register(args: { origin: string; username: string; password: string }, progress?: Progress): Promise<Enrolment>;
  /** What is sent in the password's place; the keys are kept for {@link unlock}. */
  loginSecret(args: { password: string; kdf: Kdf }, progress?: Progress): Promise<string>;
  /** Opens the owner key with the keys of the last {@link loginSecret}. Fails with `blob_does_not_open`. */
  unlock(args: { owner_pubkey: string; owner_blob: string }): Promise<void>;
  /** The owner's public key, while the vault is unlocked. */
  isUnlocked(): Promise<string | null>;
  /** Forgets everything. */
  lock(): Promise<void>;
  /** Seals the owner key under a new password. Needs to be unlocked. */
  changePassword(
    args: { password: string },
    progress?: Progress,
  ): Promise<{ password: string; owner_blob: string; kdf: Kdf }>;
  /** Takes an account back with the kit, under a new password. The vault is unlocked afterwards. */
  recover(
    args: { origin: string; kit: string; passphrase: string; challenge: string; password: string },
    progress?: Progress,
  ): Promise<Enrolment & { group: string }>;
  /** Looks into a kit. Fails with `wrong_passphrase`, `kit_altered` or `kit_malformed`. */
  openKit(
    args: { kit: string; passphrase: string },
    progress?: Progress,
  ): Promise<{ owner_pubkey: string; group: string; epoch: number; npub: string }>;

  /** Seals the owner key under a passkey's PRF output. Needs to be unlocked. */
  sealForPasskey(prf: Uint8Array): Promise<string>;
  /** Opens the owner key with a passkey's PRF output. Fails with `blob_does_not_open`. */
  unlockWithPasskey(args: { prf: Uint8Array; owner_pubkey: string; owner_blob: string }): Promise<void>;

  /**
   * Reads a secret key that the person has, and keeps it in the vault as the draft. Fails with `not_a_secret_key`,
   * `needs_password`, `wrong_password` or `too_costly`.
   */
  readSecret(
    args: { text: string; password?: string },
    progress?: Progress,
  ): Promise<{ npub: string; kind: "nsec" | "hex" | "ncryptsec" }>;
  /** Splits the draft, which is then gone, and keeps the recovery share. Needs to be unlocked. */
  prepareIdentity(args: {
    holders: HolderList;
  }): Promise<{ npub: string; public: GroupPublic; statement: Statement; packages: Packages }>;
  /** Begins a new key in this custody, and forgets a ceremony that was begun before. Needs to be unlocked. */
  beginKeygen(args: { holders: HolderList; custody: Custody }): Promise<CeremonyStart>;
  /**
   * Begins new shares of a key in use, with what the person has of it: in device custody this device's `shares`, or the
   * kit, or both. `needs_export`: the holders take part only when an export's delay is over. `waits_for`: so many other
   * devices have to join first. Fails as {@link checkKit} does, or with `share_of_another_epoch`, `share_missing` or
   * `key_is_shared`. Needs to be unlocked.
   */
  beginRenewal(
    args: {
      public: GroupPublic;
      holders: HolderList;
      custody: Custody;
      others: OtherDevices;
      shares: string | null;
      kit: { kit: string; passphrase: string } | null;
    },
    progress?: Progress,
  ): Promise<{ request: CeremonyStart; needs_export: boolean; waits_for: number }>;
  /**
   * Comes to new shares that another device of the person's began: for the place of this device's `shares`, or without
   * any as a new device. Fails with `nothing_to_join` or `ceremony_misled`. Needs to be unlocked.
   */
  joinRenewal(args: {
    public: GroupPublic;
    holders: HolderList;
    shares: string | null;
    view: CeremonyView;
  }): Promise<CeremonyJoin>;
  /**
   * Takes in how the ceremony stands; the same once more changes nothing. Fails with `no_ceremony`, `ceremony_failed` or
   * `ceremony_misled`, and it is forgotten then.
   */
  takeCeremony(args: { view: CeremonyView }): Promise<CeremonyStand>;
  /** The identity that came out, once it is verified. Keeps the recovery share. */
  finishKeygen(): Promise<{
    npub: string;
    public: GroupPublic;
    statement: Statement;
    ceremony: string;
    /** This device's share, sealed, for the device to keep; null in hosted custody. */
    shares: string | null;
  }>;
  /** The owner's word that the holders deal new shares in the ceremony that was begun. */
  reshare(args: { seq: number }): Promise<Statement>;
  /** What is to be kept of it before this device accepts; `shares` as in {@link finishKeygen}. Keeps the recovery share. */
  newShares(): Promise<{ npub: string; public: GroupPublic; shares: string | null }>;
  /** Share and kit are kept: the next {@link takeCeremony} accepts, with which the present shares end. */
  kept(): Promise<void>;
  /** Forgets the ceremony, and with it the shares that it was begun with and the recovery share that came of it. */
  endCeremony(): Promise<void>;
  /** The recovery kit of the prepared identity, or of the new shares. */
  makeKit(args: { passphrase: string }, progress?: Progress): Promise<KitFile>;
  /**
   * Fails unless the kit is this account's, this identity's, and of these shares: `wrong_passphrase`, `kit_altered`,
   * `kit_malformed`, `kit_of_another_account`, `kit_of_another_identity` or `kit_of_another_epoch`.
   */
  checkKit(args: { kit: string; passphrase: string; public: GroupPublic }, progress?: Progress): Promise<void>;
  /** The same kit under a new passphrase. */
  renewKit(
    args: { kit: string; passphrase: string; newPassphrase: string; public: GroupPublic },
    progress?: Progress,
  ): Promise<KitFile>;

  /** Makes a connection. `secret` goes behind the server's `bunker_url` as `&secret=`. */
  grant(
    args: Place & Terms & { holders: HolderList },
  ): Promise<{ statement: Statement; transport: string; connection: string; secret: string }>;
  edit(args: Place & Terms & { connection: string }): Promise<Statement>;
  pause(args: Place & { connection: string }): Promise<Statement>;
  resume(args: Place & { connection: string }): Promise<Statement>;
  revoke(args: Place & { connection: string }): Promise<Statement>;
  approve(
    args: Place & {
      connection: string;
      request: string;
      method: string;
      kind: number | null;
      remember: null | { until: number | null };
    },
  ): Promise<Statement>;
  deny(args: Place & { connection: string; request: string }): Promise<Statement>;
  deleteGroup(args: Place): Promise<Statement>;
  exportBegin(args: Place): Promise<Statement>;
  exportCancel(args: Place): Promise<Statement>;
  /** Puts the released shares together. The nsec is for the page to show, and is never sent. */
  exportFinish(args: {
    group: string;
    statement: Statement;
    public: GroupPublic;
    packages: Packages;
  }): Promise<{ nsec: string; npub: string }>;

  /**
   * Contributes with this device's share, as it was kept, to what an app asked for. `memory` is to be kept in place of
   * the one that went in, before `reply` is sent with `round`; without a reply it is the turn of other devices, which
   * only happens where several have to contribute. Fails with `request_misled`, `request_refused`,
   * `share_of_another_epoch`, `share_does_not_open` or `share_damaged`. Needs to be unlocked.
   */
  contribute(args: {
    shares: string;
    request: ShownRequest;
    offer: Offer;
    memory: ContributionMemory | null;
  }): Promise<{ reply: object | null; round: number; memory: ContributionMemory }>;
  /**
   * Puts the key together out of this device's share and the recovery kit, without the server. Fails as
   * {@link checkKit} and {@link contribute} do. Needs to be unlocked.
   */
  leaveWithKit(
    args: { shares: string; kit: string; passphrase: string },
    progress?: Progress,
  ): Promise<{ nsec: string; npub: string }>;

  /** As {@link exportFinish} in device custody, without the device: with the bunker's share, and the kit's. */
  exportFinishWithKit(
    args: { group: string; statement: Statement; public: GroupPublic; bunker: string; kit: string; passphrase: string },
    progress?: Progress,
  ): Promise<{ nsec: string; npub: string }>;

  /** Follows a group's activity, link by link, from the record after `previous` (or the first) to `head`. */
  verifyChain(args: {
    records: AuditRecord[];
    head: AuditHead;
    previous?: AuditHead;
  }): Promise<{ ok: true } | { ok: false; at: number; reason: string }>;
}

/**
 * Why the vault did not do what it was asked. Besides the codes named at its calls: `locked` (sign in again or unlock
 * first), `vault_failed` (the vault was restarted and is locked) and `vault_unavailable` (it can't start here).
 */
export class VaultError extends Error {
  override readonly name = "VaultError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}
