import { describe as suite, expect, test } from "vitest";
import {
  allowancePhrase,
  CUSTOM_START,
  decide,
  describe,
  type Effect,
  METHODS,
  type Policy,
  policyOf,
  PRESETS,
  type PresetId,
  presetOf,
  type Rule,
  sameTerms,
  summary,
  type Terms,
  termsOf,
  wish,
} from "./policy";

const preset = (id: PresetId) => PRESETS.find((it) => it.id === id) ?? expect.fail(id);
const rule = (part: Partial<Rule>): Rule => ({
  effect: "allow",
  methods: "all",
  kinds: "all",
  peers: "all",
  uses: null,
  ...part,
});

suite("rules", () => {
  test("deny wins wherever it stands, else the first match decides, else no", () => {
    const rules = [
      rule({ effect: "ask", methods: ["sign_event"], kinds: [1] }),
      rule({ methods: ["sign_event"] }),
      rule({ effect: "deny", methods: ["sign_event"], kinds: [0] }),
    ];
    expect(decide({ rules }, { method: "sign_event", kind: 1 })).toBe("ask");
    expect(decide({ rules: [...rules].reverse() }, { method: "sign_event", kind: 1 })).toBe("allow");
    expect(decide({ rules }, { method: "sign_event", kind: 0 })).toBe("deny");
    expect(decide({ rules }, { method: "nip44_decrypt" })).toBe("deny");
    expect(decide({ rules: [] }, { method: "get_public_key" })).toBe("deny");
  });

  test("a rule for some people does not speak about others", () => {
    const policy: Policy = { rules: [rule({ methods: ["nip44_decrypt"], peers: ["ab"] })] };
    expect(decide(policy, { method: "nip44_decrypt", peer: "ab" })).toBe("allow");
    expect(decide(policy, { method: "nip44_decrypt", peer: "cd" })).toBe("deny");
  });
});

suite("presets", () => {
  test("each says in its rules what it says in its words", () => {
    const sign = (id: PresetId, kind: number) => decide(policyOf(preset(id).terms), { method: "sign_event", kind });
    const read = (id: PresetId) => decide(policyOf(preset(id).terms), { method: "nip44_decrypt" });
    expect([1, 6, 7, 16, 1111].map((kind) => sign("post", kind))).toEqual(Array(5).fill("allow"));
    expect([0, 3, 5, 62, 10002].map((kind) => sign("post", kind))).toEqual(Array(5).fill("ask"));
    expect(read("post")).toBe("deny");
    expect([read("messages"), sign("messages", 13), sign("messages", 1)]).toEqual(["allow", "allow", "ask"]);
    expect([read("login"), sign("login", 27235), sign("login", 1)]).toEqual(["deny", "allow", "deny"]);
    expect([read("ask"), sign("ask", 1)]).toEqual(["ask", "ask"]);
    expect([read("everything"), sign("everything", 62)]).toEqual(["allow", "allow"]);
    for (const kind of [0, 5, 62, 10002, 10050, 9321, 9734, 24242]) expect(sign("daily", kind)).toBe("ask");
  });

  test("only the ones that say so let anything through without asking", () => {
    const open = PRESETS.filter((it) => it.terms.otherKinds === "allow").map((it) => it.id);
    expect(open).toEqual(["everything"]);
    for (const it of PRESETS) expect(it.terms.publicKey).toBe("allow");
  });

  test("everything is the one rule that the command line writes too", () => {
    expect(policyOf(preset("everything").terms)).toEqual({
      rules: [{ effect: "allow", methods: "all", kinds: "all", peers: "all", uses: null }],
    });
  });

  test("each is recognised from its rules, and differs from all others", () => {
    for (const it of PRESETS) {
      const back = termsOf(policyOf(it.terms));
      expect(back && presetOf(back)?.id).toBe(it.id);
    }
    expect(presetOf(CUSTOM_START)).toBeNull();
  });
});

suite("terms and rules are the same thing", () => {
  const effects: readonly Effect[] = ["allow", "ask", "deny"];

  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state;
    };
  }

  test("there and back, for every method and kind", () => {
    const next = random(7);
    const effect = () => effects[Math.floor(next() / 1000) % 3] ?? "deny";
    for (let round = 0; round < 200; round += 1) {
      const kinds = new Map(Array.from({ length: round % 6 }, () => [Math.floor(next() / 1000) % 9, effect()] as const));
      const terms: Terms = {
        publicKey: effect(),
        kinds,
        otherKinds: effect(),
        ciphers: {
          nip04_encrypt: effect(),
          nip04_decrypt: effect(),
          nip44_encrypt: effect(),
          nip44_decrypt: effect(),
        },
      };
      const policy = policyOf(terms);
      const back = termsOf(policy);
      expect(back && sameTerms(back, terms)).toBe(true);
      const every = Array.from({ length: 10 }, (_, kind) => kind);
      const decided = every.map((kind) => decide(policy, { method: "sign_event", kind }));
      expect(decided).toEqual(every.map((kind) => kinds.get(kind) ?? terms.otherKinds));
      expect(decide(policy, { method: "get_public_key" })).toBe(terms.publicKey);
      expect(decide(policy, { method: "nip04_decrypt" })).toBe(terms.ciphers.nip04_decrypt);
      expect(policy.rules.length).toBeLessThanOrEqual(64);
      // What the holders refuse to read: kinds on rules of other methods, empty lists.
      const unreadable = policy.rules.filter(
        ({ kinds, methods }) => kinds.length === 0 || methods.length === 0 || (kinds !== "all" && String(methods) !== "sign_event"),
      );
      expect(unreadable).toEqual([]);
    }
  });

  test("a policy with limits on people or counts is not pressed into terms", () => {
    expect(termsOf({ rules: [rule({ uses: 3 })] })).toBeNull();
    expect(termsOf({ rules: [rule({ methods: ["nip44_encrypt"], peers: ["ab"] })] })).toBeNull();
  });
});

suite("policies in words", () => {
  test("presets as sentences", () => {
    expect(summary(policyOf(preset("post").terms))).toBe(
      "May sign short notes, reposts, reactions and 3 more kinds. Asks before it may sign anything else in your name.",
    );
    expect(summary(policyOf(preset("everything").terms))).toBe("May do everything without asking.");
    expect(summary(policyOf(preset("ask").terms))).toBe("Asks you every time.");
    expect(summary({ rules: [] })).toBe("May do nothing.");
  });

  test("phrases name every kind when they are asked to", () => {
    const words = describe(policyOf(preset("login").terms));
    expect(words.allow).toEqual(["see your public key", "sign logins to relays and logins to websites"]);
    expect(words.deny).toEqual(["sign anything else in your name", "read your private messages", "write private messages"]);
    expect(words.ask).toEqual([]);
  });

  test("limits on people and counts are said", () => {
    const policy: Policy = {
      rules: [
        rule({ methods: ["sign_event"], kinds: [1], uses: 3 }),
        rule({ methods: ["nip44_decrypt"], peers: ["ab", "cd"] }),
        rule({ effect: "deny", methods: ["sign_event"], kinds: [0] }),
      ],
    };
    expect(describe(policy)).toEqual({
      allow: ["sign short notes, at most 3 times", "read your private messages (NIP-44) with 2 people only"],
      ask: [],
      deny: ["change your profile", "anything not named here"],
    });
  });

  test("requests", () => {
    expect(wish("sign_event", 1)).toBe("wants to sign a short note");
    expect(wish("sign_event", 30023)).toBe("wants to sign an article");
    expect(wish("sign_event", 0)).toBe("wants to change your profile");
    expect(wish("sign_event", 27235)).toBe("wants to log in to a website");
    expect(wish("nip44_decrypt", null)).toBe("wants to read a private message");
    for (const method of METHODS) expect(wish(method, null)).toMatch(/^wants/);
  });

  test("remembered permissions", () => {
    expect(allowancePhrase("sign_event", 7)).toBe("sign reactions");
    expect(allowancePhrase("sign_event", 3)).toBe("change your follow list");
    expect(allowancePhrase("nip44_decrypt", null)).toBe("read your private messages (NIP-44)");
  });
});
