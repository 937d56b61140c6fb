import { expect, test } from "vitest";
import { epochOf, settled } from "./shares";

const sealed = (epoch: number): string => JSON.stringify({ v: 1, public: { epoch }, shares: [] });

test("the epoch of a share is read without opening it", () => {
  expect(epochOf(sealed(3))).toBe(3);
});

test("a new share takes the old one's place when the server shows its epoch, and not before", () => {
  const kept = { group: "g", shares: sealed(0), next: sealed(1) };
  expect(settled(kept, 0)).toEqual(kept);
  expect(settled(kept, 1)).toEqual({ group: "g", shares: sealed(1) });
});

test("one that came to nothing stays where it does no harm", () => {
  const kept = { group: "g", shares: null, next: sealed(1) };
  expect(settled(kept, 2)).toEqual(kept);
  expect(settled({ group: "g", shares: sealed(0) }, 1)).toEqual({ group: "g", shares: sealed(0) });
});
