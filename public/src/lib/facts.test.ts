import { describe, expect, test } from "vitest";
import { factsOf, type Template } from "./facts";
import { pieces, size } from "./visible";

const now = 1_800_000_000;
const event = (part: Partial<Template>): Template => ({ kind: 1, content: "", tags: [], created_at: now, ...part });
const fact = (template: Template, name: string) => factsOf(template, now).find((it) => it.name === name);

describe("what matters in an event", () => {
  test("a login says where it goes", () => {
    const login = event({ kind: 27235, tags: [["u", "https://example.com/x"], ["method", "POST"]] });
    expect(fact(login, "Logs in to")?.value).toBe("https://example.com/x");
    expect(fact(login, "To do")?.value).toBe("POST");
    expect(fact(event({ kind: 22242 }), "Logs in to")).toEqual({ name: "Logs in to", value: "not named", warn: true });
  });

  test("a stale login is called stale", () => {
    expect(fact(event({ kind: 27235, created_at: now - 61 }), "Dated")).toMatchObject({ warn: true });
    expect(fact(event({ kind: 27235, created_at: now - 59 }), "Dated")).toMatchObject({ warn: false });
  });

  test("an empty list that replaces a full one stands out", () => {
    expect(fact(event({ kind: 3 }), "You will follow")).toEqual({ name: "You will follow", value: "no people", warn: true });
    expect(fact(event({ kind: 3, tags: [["p", "a"], ["p", "b"]] }), "You will follow")?.value).toBe("2 people");
    expect(fact(event({ kind: 10002 }), "People will look for you at")?.warn).toBe(true);
  });

  test("an event dated elsewhere says so", () => {
    expect(fact(event({ created_at: now + 3600 }), "Dated")?.value).toMatch(/future/);
    expect(fact(event({ created_at: now - 3600 }), "Dated")?.value).toMatch(/past/);
    expect(fact(event({}), "Dated")?.warn).toBe(false);
  });
});

describe("text made visible", () => {
  test("characters that turn or hide text stand out", () => {
    expect(pieces("pay \u202e001")).toEqual([
      { text: "pay ", unseen: false },
      { text: "U+202E", unseen: true },
      { text: "001", unseen: false },
    ]);
    expect(pieces("\u0000")).toEqual([{ text: "U+0000", unseen: true }]);
    expect(pieces("a\u{e0041}b").map((it) => it.text)).toEqual(["a", "U+E0041", "b"]);
  });

  test("ordinary text stays as it is", () => {
    for (const text of ["🏴󠁧󠁢󠁥󠁮󠁧󠁿 línea\ttab\nnew 👩‍👩‍👧 שלום", ""]) {
      expect(pieces(text).map((it) => it.text).join("")).toBe(text);
      expect(pieces(text).every((it) => !it.unseen)).toBe(true);
    }
  });

  test("sizes", () => {
    expect(size("é")).toBe("2 bytes");
    expect(size("a".repeat(1200))).toBe("1.2 KB");
  });
});
