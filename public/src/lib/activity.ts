/** What happened, from the audit chain: one item per request or statement, searchable, and as JSON lines. */

import { kindInfo } from "./kinds";
import { allowancePhrase, wish } from "./policy";

/** What an audit record says, with every field that any happening has. */
export type AuditEntry = {
  readonly what: string;
  readonly verb?: string;
  readonly seq?: number;
  readonly statement?: string;
  readonly signed?: string;
  readonly reason?: string;
  readonly connection?: string;
  readonly request?: string;
  readonly method?: string;
  readonly kind?: number;
  readonly peer?: string;
  readonly epoch?: number;
};

export type AuditRecord = {
  readonly n: number;
  readonly at_ms: number;
  readonly prev: string;
  readonly entry: AuditEntry;
  readonly hash: string;
};

export const OUTCOMES = ["done", "refused", "failed", "waiting", "unfinished", "owner"] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = {
  done: "done",
  refused: "refused",
  failed: "failed",
  waiting: "waited for you",
  unfinished: "no end recorded",
  owner: "by you",
};

export type Item = {
  /** Position of its first record: a name that stays. */
  readonly n: number;
  /** Unix seconds of its last record. */
  readonly at: number;
  readonly outcome: Outcome;
  /** "Signed a short note". */
  readonly title: string;
  /** Why not, as a stable code; null when it went well. */
  readonly reason: string | null;
  /** The same in words. */
  readonly why: string | null;
  readonly connection: string | null;
  readonly method: string | null;
  readonly kind: number | null;
  readonly peer: string | null;
  readonly signed: string | null;
  readonly records: readonly AuditRecord[];
};

/** Joins the records of one request. Newest first. */
export function itemsOf(records: readonly AuditRecord[]): Item[] {
  const groups = new Map<string, AuditRecord[]>();
  for (const record of records) {
    const key = record.entry.request ?? `record ${record.n}`;
    const group = groups.get(key);
    if (group) group.push(record);
    else groups.set(key, [record]);
  }
  return [...groups.values()].map(item).sort((a, b) => last(b.records).n - last(a.records).n);
}

function last(records: readonly AuditRecord[]): AuditRecord {
  const record = records.at(-1);
  if (!record) throw new RangeError("an item has a record");
  return record;
}

function item(records: readonly AuditRecord[]): Item {
  const end = last(records);
  const find = <Key extends keyof AuditEntry>(key: Key) => records.find((it) => it.entry[key] !== undefined)?.entry[key];
  const outcome = outcomeOf(records);
  const base = {
    n: records[0]?.n ?? end.n,
    at: Math.floor(end.at_ms / 1000),
    outcome,
    connection: find("connection") ?? null,
    method: find("method") ?? null,
    kind: find("kind") ?? null,
    peer: find("peer") ?? null,
    signed: find("signed") ?? null,
    records,
  };
  const reason = outcome === "refused" || outcome === "failed" ? (end.entry.reason ?? null) : null;
  return { ...base, title: title(end.entry, base), reason, why: reason === null ? null : reasonWords(reason) };
}

function outcomeOf(records: readonly AuditRecord[]): Outcome {
  const end = last(records).entry.what;
  switch (end) {
    case "request_answered":
      return "done";
    case "request_refused":
      return "refused";
    case "request_failed":
      return "failed";
    case "request_held":
      return "waiting";
    case "request_admitted":
    case "contributed":
      return "unfinished";
    default:
      return "owner";
  }
}

const VERBS: Readonly<Record<string, string>> = {
  create_group: "Created this identity",
  grant: "Connected an app",
  edit: "Changed what an app may do",
  pause: "Paused an app",
  resume: "Resumed an app",
  revoke: "Revoked an app",
  approve: "Approved a request",
  deny: "Denied a request",
  export: "Asked for the secret key",
  cancel_export: "Cancelled the request for the secret key",
  reshare: "Asked for new shares of the key",
  delete_group: "Deleted this identity",
};

const DONE: Readonly<Record<string, string>> = {
  connect: "Connected",
  ping: "Checked that the signer is there",
  get_public_key: "Read your public key",
  switch_relays: "Asked which relays to use",
  logout: "Logged out",
  nip04_decrypt: "Read a private message",
  nip44_decrypt: "Read a private message",
  nip04_encrypt: "Wrote a private message",
  nip44_encrypt: "Wrote a private message",
};

const WANTED: Readonly<Record<string, string>> = {
  connect: "Wanted to connect",
  ping: "Checked whether the signer is there",
  switch_relays: "Asked which relays to use",
  logout: "Wanted to log out",
};

function title(end: AuditEntry, about: Pick<Item, "outcome" | "method" | "kind">): string {
  if (end.what === "statement_applied") return VERBS[end.verb ?? ""] ?? `Signed the statement “${end.verb ?? "?"}”`;
  if (end.what === "share_released") return "Handed out a share of the secret key to your device";
  if (end.what === "epoch_entered") return "Replaced all shares of the key. Old shares and kits no longer work";
  const { outcome, method, kind } = about;
  if (outcome === "owner") return end.what.replaceAll("_", " ");
  if (method === null) return "Sent something that could not be read";
  if (outcome === "done") {
    if (method === "sign_event") return kind === null ? "Signed something" : signedWords(kind);
    return DONE[method] ?? `Called ${method}`;
  }
  return WANTED[method] ?? capital(wish(method, kind).replace(/^wants/, "wanted").replace(/^asks/, "asked"));
}

function signedWords(kind: number): string {
  const words = wish("sign_event", kind).replace(/^wants to /, "");
  if (/^(sign|change) /.test(words)) return capital(words.replace(/^sign/, "signed").replace(/^change/, "changed"));
  return `Signed to ${words}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const REASONS: Readonly<Record<string, string>> = {
  bad_request: "The request was malformed: the app has a fault.",
  unknown_method: "The app asked for something that signers don't do.",
  not_connected: "The app had not connected with its link yet.",
  secret_missing: "The app connected without the secret of its link.",
  secret_wrong: "The secret in the link was wrong. Copy the whole link again.",
  secret_spent: "Its link had been used by another app. If that wasn't you, revoke the connection.",
  other_client: "Another app holds this connection. If that wasn't you, revoke it.",
  logged_out: "The app had logged out. Connect it again.",
  revoked: "You had revoked it.",
  paused: "You had paused it.",
  expired: "Its time was over.",
  forbidden: "You forbade it.",
  not_granted: "You had not allowed it.",
  used_up: "You allowed it a number of times, and they were used up.",
  too_many_attempts: "The app repeated it too often.",
  needs_approval: "It needed your approval.",
  denied_by_owner: "You denied it.",
  not_approved_in_time: "Nobody answered it in time.",
  too_many_pending: "Too many of its requests were already waiting for you.",
  stale_auth: "The login was too old to be safe.",
  cannot_decrypt: "The message could not be decrypted. It may not be for you.",
  cannot_encrypt: "The message could not be encrypted.",
  bad_peer: "The other person's key is not a valid one.",
  internal: "Something failed inside Passport. Nothing was released.",
  "holder_unavailable:cosigner": "The second holder could not be reached. Nothing was released; the app may try again.",
  "holder_misbehaved:cosigner": "The second holder answered wrongly. Nothing was released; tell the operator.",
};

/** A stable code in words; an unknown one as it is. */
export function reasonWords(code: string): string {
  const known = REASONS[code];
  if (known) return known;
  if (code.startsWith("cosigner_refused:")) {
    const inner = REASONS[code.slice("cosigner_refused:".length)];
    return `The second holder refused.${inner ? ` ${inner}` : ` (${code})`}`;
  }
  return code;
}

export type Filter = {
  readonly text: string;
  /** A connection, or "owner" for what no app did. */
  readonly connection: string | null;
  readonly kind: number | null;
  readonly outcome: Outcome | null;
};

export const NO_FILTER: Filter = { text: "", connection: null, kind: null, outcome: null };

export function isFiltered(filter: Filter): boolean {
  return filter.text.trim() !== "" || filter.connection !== null || filter.kind !== null || filter.outcome !== null;
}

/** `labels` names connections; every word typed has to be found somewhere in an item. */
export function filterItems(items: readonly Item[], filter: Filter, labels: ReadonlyMap<string, string>): Item[] {
  const words = filter.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return items.filter(
    (it) =>
      (filter.connection === null ||
        (filter.connection === "owner" ? it.outcome === "owner" : it.connection === filter.connection)) &&
      (filter.kind === null || it.kind === filter.kind) &&
      (filter.outcome === null || it.outcome === filter.outcome) &&
      (words.length === 0 || matches(haystack(it, labels), words)),
  );
}

function matches(text: string, words: readonly string[]): boolean {
  return words.every((word) => text.includes(word));
}

function haystack(it: Item, labels: ReadonlyMap<string, string>): string {
  const parts = [
    it.title,
    it.why,
    OUTCOME_WORDS[it.outcome],
    it.method,
    it.method && allowancePhrase(it.method, it.kind),
    it.kind === null ? null : `kind ${it.kind} ${kindInfo(it.kind).one}`,
    it.peer,
    it.signed,
    it.connection,
    it.connection && labels.get(it.connection),
    ...it.records.flatMap((record) => [record.entry.request, record.entry.statement, record.entry.reason]),
  ];
  return parts.filter(Boolean).join(" ").toLowerCase();
}

/** Kinds that occur, in order. */
export function kindsIn(items: readonly Item[]): number[] {
  return [...new Set(items.flatMap((it) => (it.kind === null ? [] : [it.kind])))].sort((a, b) => a - b);
}

/** The records behind items, oldest first, one JSON object per line, as the server wrote them. */
export function jsonLines(items: readonly Item[]): string {
  const records = items.flatMap((it) => it.records).sort((a, b) => a.n - b.n);
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}
