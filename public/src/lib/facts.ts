/** What matters in an event, taken out of its tags: where a login goes, what is deleted, how much is paid. */

import { exactly } from "./when";

export type Template = {
  readonly kind: number;
  readonly content: string;
  readonly tags: readonly (readonly string[])[];
  readonly created_at: number;
};

export type Fact = { readonly name: string; readonly value: string; readonly warn?: boolean };

function first(template: Template, name: string): string | null {
  return template.tags.find((tag) => tag[0] === name)?.[1] ?? null;
}

function count(template: Template, ...names: string[]): number {
  return template.tags.filter((tag) => names.includes(tag[0] ?? "")).length;
}

function things(n: number, one: string, many = `${one}s`): string {
  return n === 0 ? `no ${many}` : `${n} ${n === 1 ? one : many}`;
}

/** How far an event's own time may be from now before it is worth a word. */
const ODD_S = 15 * 60;
/** NIP-98: a login is good for about this long. */
const LOGIN_S = 60;

/** A login that no holder signs any more, because it says that it was made too long ago. */
export function isStaleLogin(it: Template, now: number): boolean {
  return it.kind === 27235 && Math.abs(it.created_at - now) > LOGIN_S;
}

export function factsOf(template: Template, now: number): Fact[] {
  return [...special(template), ...times(template, now)];
}

function special(it: Template): Fact[] {
  const given = (name: string, value: string | null): Fact[] => (value === null ? [] : [{ name, value }]);
  const missing = (name: string, value: string | null): Fact[] => [
    value === null ? { name, value: "not named", warn: true } : { name, value },
  ];
  switch (it.kind) {
    case 3:
      return [{ name: "You will follow", value: things(count(it, "p"), "person", "people"), warn: count(it, "p") === 0 }];
    case 5:
      return [{ name: "Will be deleted", value: things(count(it, "e", "a"), "post") }, ...given("Reason", it.content || null)];
    case 62: {
      const relay = first(it, "relay");
      return [{ name: "Erases you from", value: relay === "ALL_RELAYS" ? "all relays" : (relay ?? "not named"), warn: true }];
    }
    case 9734: {
      const msat = Number(first(it, "amount"));
      const amount = Number.isFinite(msat) && msat > 0 ? `${(msat / 1000).toLocaleString("en")} sats` : "not named";
      return [{ name: "Amount", value: amount }];
    }
    case 10002:
    case 10050: {
      const relays = count(it, it.kind === 10002 ? "r" : "relay");
      return [{ name: "People will look for you at", value: things(relays, "relay"), warn: relays === 0 }];
    }
    case 22242:
      return [...missing("Logs in to", first(it, "relay"))];
    case 24242: {
      const until = Number(first(it, "expiration"));
      return [
        ...missing("Lets the app", first(it, "t")),
        ...given("At", first(it, "server")),
        ...(Number.isSafeInteger(until) && until > 0 ? [{ name: "Until", value: exactly(until) }] : []),
      ];
    }
    case 27235:
      return [...missing("Logs in to", first(it, "u")), ...given("To do", first(it, "method"))];
    case 30078:
      return [...given("Settings of", first(it, "d"))];
    default:
      return [...given("Title", first(it, "title"))];
  }
}

function times(it: Template, now: number): Fact[] {
  const off = it.created_at - now;
  if (isStaleLogin(it, now)) return [{ name: "Dated", value: `${exactly(it.created_at)}: too old`, warn: true }];
  const odd = Math.abs(off) > ODD_S;
  const note = off > 0 ? " (in the future)" : " (in the past)";
  return [{ name: "Dated", value: exactly(it.created_at) + (odd ? note : ""), warn: odd }];
}

const TAGS: Readonly<Record<string, string>> = {
  a: "addresses",
  amount: "amount",
  bolt11: "invoice",
  challenge: "challenge",
  client: "app",
  d: "name",
  e: "event",
  E: "thread",
  emoji: "emoji",
  expiration: "expires",
  g: "place",
  image: "image",
  imeta: "media",
  k: "kind",
  K: "thread's kind",
  l: "label",
  L: "label group",
  lnurl: "payment address",
  method: "method",
  p: "person",
  P: "thread's author",
  payload: "content hash",
  published_at: "published",
  q: "quote",
  r: "link or relay",
  relay: "relay",
  relays: "relays",
  server: "server",
  subject: "subject",
  summary: "summary",
  t: "topic",
  title: "title",
  u: "web address",
  url: "web address",
  "-": "protected",
  "content-warning": "content warning",
};

/** A tag's name in words, if it has any. */
export function tagWords(name: string): string | null {
  return TAGS[name] ?? null;
}
