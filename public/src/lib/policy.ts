/**
 * What an app may do: presets in plain words, the rules they stand for, and the way back from rules to words.
 *
 * Rules as the holders read them: a matching deny wins wherever it stands; otherwise the first matching allow or ask
 * decides; what no rule matches is refused.
 */

import { kindInfo } from "./kinds";

export type Effect = "allow" | "ask" | "deny";

export const METHODS = [
  "get_public_key",
  "sign_event",
  "nip04_encrypt",
  "nip04_decrypt",
  "nip44_encrypt",
  "nip44_decrypt",
] as const;
export type Method = (typeof METHODS)[number];

export type Scope<T> = "all" | T[];

export type Rule = {
  effect: Effect;
  methods: Scope<Method>;
  kinds: Scope<number>;
  peers: Scope<string>;
  uses: number | null;
};

export type Policy = { rules: Rule[] };

type ReadRule = { effect: string; methods: unknown; kinds?: unknown; peers?: unknown; uses?: number | null };

/** A policy as the server gives it. What a rule leaves out is "all". */
export function policyFrom(read: { rules: readonly ReadRule[] }): Policy {
  const rules = read.rules.map(
    (rule): Rule => ({
      effect: rule.effect as Effect,
      methods: rule.methods as Scope<Method>,
      kinds: (rule.kinds ?? "all") as Scope<number>,
      peers: (rule.peers ?? "all") as Scope<string>,
      uses: rule.uses ?? null,
    }),
  );
  return { rules };
}

const CIPHERS = ["nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt"] as const;
type Cipher = (typeof CIPHERS)[number];

/** A policy without limits on people or counts, as a person edits it. */
export type Terms = {
  readonly publicKey: Effect;
  /** Kinds that are treated otherwise than the rest. */
  readonly kinds: ReadonlyMap<number, Effect>;
  readonly otherKinds: Effect;
  readonly ciphers: Readonly<Record<Cipher, Effect>>;
};

export function isMethod(text: string): text is Method {
  return (METHODS as readonly string[]).includes(text);
}

function covers<T>(scope: Scope<T>, item: T | undefined): boolean {
  return scope === "all" || (item !== undefined && scope.includes(item));
}

export type Question = { readonly method: Method; readonly kind?: number; readonly peer?: string };

/** What the holders would decide while no rule is used up. */
export function decide(policy: Policy, question: Question): Effect {
  const matching = policy.rules.filter(
    (rule) =>
      covers(rule.methods, question.method) && covers(rule.kinds, question.kind) && covers(rule.peers, question.peer),
  );
  if (matching.some((rule) => rule.effect === "deny")) return "deny";
  return matching[0]?.effect ?? "deny";
}

/** Reads a policy as terms. Null when it limits people or counts: such rules are made with the command line. */
export function termsOf(policy: Policy): Terms | null {
  if (policy.rules.some((rule) => rule.peers !== "all" || rule.uses !== null)) return null;
  const named = new Set(policy.rules.flatMap((rule) => (rule.kinds === "all" ? [] : rule.kinds)));
  const unnamed = -1;
  const otherKinds = decide(policy, { method: "sign_event", kind: unnamed });
  const kinds = [...named].map((kind) => [kind, decide(policy, { method: "sign_event", kind })] as const);
  const cipher = (method: Cipher) => decide(policy, { method });
  return normal({
    publicKey: decide(policy, { method: "get_public_key" }),
    kinds: new Map(kinds),
    otherKinds,
    ciphers: {
      nip04_encrypt: cipher("nip04_encrypt"),
      nip04_decrypt: cipher("nip04_decrypt"),
      nip44_encrypt: cipher("nip44_encrypt"),
      nip44_decrypt: cipher("nip44_decrypt"),
    },
  });
}

function normal(terms: Terms): Terms {
  const kinds = [...terms.kinds].filter(([, effect]) => effect !== terms.otherKinds).sort(([a], [b]) => a - b);
  return { ...terms, kinds: new Map(kinds) };
}

export function sameTerms(a: Terms, b: Terms): boolean {
  const text = (terms: Terms) => {
    const { publicKey, kinds, otherKinds, ciphers } = normal(terms);
    return JSON.stringify([publicKey, [...kinds], otherKinds, CIPHERS.map((method) => ciphers[method])]);
  };
  return text(a) === text(b);
}

function rule(effect: Effect, methods: Scope<Method>, kinds: Scope<number> = "all"): Rule {
  return { effect, methods, kinds, peers: "all", uses: null };
}

/** The rules that say exactly this. */
export function policyOf(input: Terms): Policy {
  const terms = normal(input);
  const everything: Effect[] = [terms.publicKey, terms.otherKinds, ...CIPHERS.map((method) => terms.ciphers[method])];
  if (terms.kinds.size === 0 && everything.every((effect) => effect === "allow")) {
    return { rules: [rule("allow", "all")] };
  }
  const methods = (effect: Effect): Method[] => [
    ...(terms.publicKey === effect ? (["get_public_key"] as const) : []),
    ...CIPHERS.filter((method) => terms.ciphers[method] === effect),
  ];
  const kinds = (effect: Effect) => [...terms.kinds].filter(([, it]) => it === effect).map(([kind]) => kind);
  const rules: Rule[] = [];
  for (const effect of ["allow", "ask"] as const) {
    if (methods(effect).length > 0) rules.push(rule(effect, methods(effect)));
    rules.push(...listed(effect, kinds(effect)));
  }
  // A deny is written only where something wider would let it through.
  if (terms.otherKinds !== "deny") {
    rules.push(...listed("deny", kinds("deny")), rule(terms.otherKinds, ["sign_event"]));
  }
  return { rules };
}

/** Kinds that one rule may name. */
export const MAX_KINDS = 256;

function listed(effect: Effect, kinds: number[]): Rule[] {
  return kinds.length === 0 ? [] : [rule(effect, ["sign_event"], kinds)];
}

function terms(
  kinds: Partial<Record<Effect, readonly number[]>>,
  otherKinds: Effect,
  messages: Effect,
  publicKey: Effect = "allow",
): Terms {
  const map = new Map<number, Effect>();
  for (const effect of ["allow", "ask", "deny"] as const) {
    for (const kind of kinds[effect] ?? []) map.set(kind, effect);
  }
  const ciphers = {
    nip04_encrypt: messages,
    nip04_decrypt: messages,
    nip44_encrypt: messages,
    nip44_decrypt: messages,
  };
  return normal({ publicKey, kinds: map, otherKinds, ciphers });
}

export type PresetId = "post" | "messages" | "daily" | "login" | "ask" | "everything";

export type Preset = {
  readonly id: PresetId;
  readonly name: string;
  readonly words: string;
  /** What to think about before choosing it. */
  readonly caution: string | null;
  readonly terms: Terms;
};

// 22242: many relays take no note from someone who has not logged in.
const POSTS = [1, 6, 7, 16, 1111, 22242] as const;

export const PRESETS: readonly Preset[] = [
  {
    id: "post",
    name: "Post notes",
    words: "Notes, comments, reposts and reactions without asking. It asks before it signs anything else. No private messages.",
    caution: null,
    terms: terms({ allow: POSTS }, "ask", "deny"),
  },
  {
    id: "messages",
    name: "Read and write my messages",
    words: "Private messages without asking. It asks before it signs anything else.",
    caution: "The app can read every private message you were ever sent, and whatever else is encrypted to you.",
    terms: terms({ allow: [4, 13, 22242] }, "ask", "allow"),
  },
  {
    id: "daily",
    name: "My everyday app",
    words:
      "Posts, articles, follows, lists and private messages without asking. It asks before it changes your profile or relays, deletes anything, or signs something unusual.",
    caution: "The app can read your private messages and publish in your name. Choose it for an app you trust.",
    terms: terms(
      {
        allow: [
          ...POSTS, 3, 4, 9, 11, 13, 17, 20, 21, 22, 42, 1018, 1068, 1222, 1244, 1311, 9802, 10000, 10001, 10003,
          10015, 10030, 30000, 30003, 30015, 30023, 30024, 30030, 30078, 30315, 31234,
        ],
      },
      "ask",
      "allow",
    ),
  },
  {
    id: "login",
    name: "Log in only",
    words: "It may learn who you are and log in to relays and websites. It can't post, and it can't read messages.",
    caution: "A login is for one website, but the app chooses which.",
    terms: terms({ allow: [22242, 27235] }, "deny", "deny"),
  },
  {
    id: "ask",
    name: "Ask me every time",
    words: "It learns who you are. For everything else you get a question here first.",
    caution: "Apps that open many messages at once ask many times.",
    terms: terms({}, "ask", "ask"),
  },
  {
    id: "everything",
    name: "Everything",
    words: "Sign anything in your name, and read and write all private messages, without asking.",
    caution: "As good as having your key, until you pause or revoke it. Only for an app you would trust with all of it.",
    terms: terms({}, "allow", "allow"),
  },
];

/** What "choose myself" starts with. */
export const CUSTOM_START: Terms = terms({ allow: [1] }, "ask", "deny");

export function presetOf(terms: Terms): Preset | null {
  return PRESETS.find((preset) => sameTerms(preset.terms, terms)) ?? null;
}

/** "a, b and c". */
export function join(parts: readonly string[], last = "and"): string {
  if (parts.length < 2) return parts[0] ?? "";
  return `${parts.slice(0, -1).join(", ")} ${last} ${parts.at(-1)}`;
}

/** "sign short notes and reactions", "change your profile". */
function signPhrases(kinds: readonly number[], most: number): string[] {
  const words = [...new Set(kinds.map((kind) => kindInfo(kind).many))];
  const shown = words.length <= most + 1 ? words : words.slice(0, most);
  const own = shown.filter((it) => it.startsWith("your "));
  const others = shown.filter((it) => !it.startsWith("your "));
  if (shown.length < words.length) others.push(`${words.length - shown.length} more kinds`);
  return [
    ...(others.length > 0 ? [`sign ${join(others)}`] : []),
    ...(own.length > 0 ? [`change ${join(own)}`] : []),
  ];
}

function cipherPhrases(methods: readonly string[]): string[] {
  const phrase = (verb: "decrypt" | "encrypt", words: string) => {
    const old = methods.includes(`nip04_${verb}`);
    const today = methods.includes(`nip44_${verb}`);
    if (old && today) return [words];
    if (old) return [`${words} (old style, NIP-04)`];
    return today ? [`${words} (NIP-44)`] : [];
  };
  return [...phrase("decrypt", "read your private messages"), ...phrase("encrypt", "write private messages")];
}

export type Words = {
  /** Phrases that follow "it may" and so on: "sign short notes". */
  readonly allow: readonly string[];
  readonly ask: readonly string[];
  readonly deny: readonly string[];
};

/** A policy in phrases; at most `most` kinds are named in each. */
export function describe(policy: Policy, most = Number.POSITIVE_INFINITY): Words {
  const terms = termsOf(policy);
  return terms ? describeTerms(terms, most) : describeRules(policy, most);
}

function describeTerms(terms: Terms, most: number): Words {
  const phrases = (effect: Effect): string[] => {
    const kinds = [...terms.kinds].filter(([, it]) => it === effect).map(([kind]) => kind);
    const sign =
      terms.otherKinds === effect
        ? [`sign ${terms.kinds.size === 0 ? "anything" : "anything else"} in your name`]
        : signPhrases(kinds, most);
    const methods = CIPHERS.filter((method) => terms.ciphers[method] === effect);
    return [...(terms.publicKey === effect ? ["see your public key"] : []), ...sign, ...cipherPhrases(methods)];
  };
  return { allow: phrases("allow"), ask: phrases("ask"), deny: phrases("deny") };
}

function describeRules(policy: Policy, most: number): Words {
  const phrases = (effect: Effect) =>
    policy.rules.filter((rule) => rule.effect === effect).map((rule) => rulePhrase(rule, most));
  return { allow: phrases("allow"), ask: phrases("ask"), deny: [...phrases("deny"), "anything not named here"] };
}

function rulePhrase(rule: Rule, most: number): string {
  const methods = rule.methods === "all" ? METHODS : rule.methods;
  const sign = methods.includes("sign_event")
    ? rule.kinds === "all"
      ? ["sign anything in your name"]
      : signPhrases(rule.kinds, most)
    : [];
  const parts = [...(methods.includes("get_public_key") ? ["see your public key"] : []), ...sign, ...cipherPhrases(methods)];
  const people =
    rule.peers === "all" ? "" : ` with ${rule.peers.length === 1 ? "one person" : `${rule.peers.length} people`} only`;
  const uses = rule.uses === null ? "" : `, ${rule.uses === 1 ? "once" : `at most ${rule.uses} times`}`;
  return `${join(parts)}${people}${uses}`;
}

/** One or two sentences for a list. */
export function summary(policy: Policy): string {
  const terms = termsOf(policy);
  const effects = terms && [terms.otherKinds, ...CIPHERS.map((method) => terms.ciphers[method])];
  if (terms && effects && terms.kinds.size === 0) {
    if (effects.every((effect) => effect === "allow")) return "May do everything without asking.";
    if (effects.every((effect) => effect === "ask")) return "Asks you every time.";
  }
  const words = describe(policy, 3);
  const useful = words.allow.filter((phrase) => phrase !== "see your public key");
  const may = useful.length > 0 ? useful : words.allow;
  const sentences = [
    ...(may.length > 0 ? [`May ${join(may)}.`] : []),
    ...(words.ask.length > 0 ? [`Asks before it may ${join(words.ask, "or")}.`] : []),
  ];
  return sentences.length > 0 ? sentences.join(" ") : "May do nothing.";
}

/** A remembered permission: "sign short notes". */
export function allowancePhrase(method: string, kind: number | null): string {
  if (method === "sign_event") return kind === null ? "sign anything" : join(signPhrases([kind], 1));
  if (method === "get_public_key") return "see your public key";
  return cipherPhrases([method])[0] ?? method;
}

/** Kinds whose signature is better told by what it does. */
const DEEDS: Readonly<Record<number, string>> = {
  5: "delete things you published",
  62: "delete everything you published",
  22242: "log in to a relay",
  24242: "upload or delete a file",
  27235: "log in to a website",
};

/** What an app asks for, after its name: "wants to sign a short note". */
export function wish(method: string, kind: number | null): string {
  switch (method) {
    case "sign_event": {
      if (kind === null) return "wants a signature";
      const deed = DEEDS[kind];
      if (deed) return `wants to ${deed}`;
      const { one, many } = kindInfo(kind);
      if (many.startsWith("your ")) return `wants to change ${many}`;
      return `wants to sign ${article(one)} ${one}`;
    }
    case "get_public_key":
      return "wants to see your public key";
    case "nip04_decrypt":
    case "nip44_decrypt":
      return "wants to read a private message";
    case "nip04_encrypt":
    case "nip44_encrypt":
      return "wants to write a private message";
    default:
      return `asks for ${method}`;
  }
}

function article(noun: string): string {
  return /^(?:[aeio]|up)/i.test(noun) ? "an" : "a";
}
