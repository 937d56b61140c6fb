import { describe, expect, test } from "vitest";
import { findKinds, isKnownKind, kindClass, kindEffect, kindInfo, kindLabel, knownKinds, readKinds } from "./kinds";

describe("kinds in words", () => {
  test("a known kind has its name, an unknown one its number and a warning", () => {
    expect(kindLabel(1)).toBe("short note (kind 1)");
    expect(kindInfo(27235).one).toBe("login to a website (NIP-98)");
    expect(kindLabel(12345)).toBe("event of kind 12345");
    expect(kindInfo(12345).risk).toMatch(/doesn't know/);
  });

  test("what can do harm says so", () => {
    for (const kind of [0, 3, 5, 62, 9321, 9734, 10002, 22242, 24242, 27235, 30078]) {
      expect(kindInfo(kind).risk, String(kind)).toBeTruthy();
    }
    expect(kindInfo(1).risk).toBeNull();
    expect(kindInfo(7).risk).toBeNull();
  });

  test("ranges have names where single kinds have none", () => {
    expect(isKnownKind(9005)).toBe(true);
    expect(kindInfo(5050).one).toBe("job request");
    expect(isKnownKind(4999)).toBe(false);
  });

  test("the table is in order and names no kind twice", () => {
    const numbers = knownKinds().map((it) => it.kind);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(numbers.length).toBeGreaterThan(100);
  });

  test("NIP-01's ranges", () => {
    expect([0, 3, 10_000, 19_999].map(kindClass)).toEqual(Array(4).fill("replaceable"));
    expect([20_000, 29_999].map(kindClass)).toEqual(Array(2).fill("ephemeral"));
    expect([30_000, 39_999].map(kindClass)).toEqual(Array(2).fill("addressable"));
    expect([1, 4, 9_999, 40_000].map(kindClass)).toEqual(Array(4).fill("regular"));
    expect(kindEffect(30_023)).toMatch(/replaces/);
  });

  test("a kind is found by words and by number", () => {
    expect(findKinds("profile")[0]?.kind).toBe(0);
    expect(findKinds("artic")[0]?.kind).toBe(30023);
    expect(findKinds("website login").map((it) => it.kind)).toContain(27235);
    expect(findKinds("3002").map((it) => it.kind)).toEqual([3002, 30020, 30023, 30024]);
    expect(findKinds("99999")).toEqual([]);
    expect(findKinds(" ")).toEqual([]);
  });

  test("a list of numbers is read, and what is none is named", () => {
    expect(readKinds("7, 1;1 30023")).toEqual({ kinds: [1, 7, 30023] });
    expect(readKinds("")).toEqual({ kinds: [] });
    expect(readKinds("1, note")).toEqual({ wrong: expect.stringContaining("“note”") });
    expect(readKinds("70000")).toEqual({ wrong: expect.stringContaining("70000") });
    expect(readKinds("-1")).toHaveProperty("wrong");
  });
});
