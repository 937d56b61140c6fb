import { expect, test } from "vitest";
import type { GroupPublic } from "../vault/types";
import { fits, numberOf, settled } from "./shares";

const shown = (epoch: number, verifying_share = `share of ${epoch}`): GroupPublic => {
  const holders = [{ index: 1, role: "bunker", verifying_share }];
  return { group: "g", epoch, threshold: 2, pubkey: "p", holders };
};
const sealed = (present: GroupPublic): string => JSON.stringify({ v: 1, public: present, shares: [] });

test("whether a share goes with the others is read without opening it", () => {
  expect(fits(sealed(shown(3)), shown(3))).toBe(true);
  expect(fits(sealed(shown(3)), shown(4))).toBe(false);
  expect(fits(sealed(shown(3)), shown(3, "of another ceremony"))).toBe(false);
});

test("so is which of the shares it is", () => {
  expect(numberOf(JSON.stringify({ ...JSON.parse(sealed(shown(3))), shares: [{ index: 4, sealed: "…" }] }))).toBe(4);
  expect(numberOf(sealed(shown(3)))).toBeNull();
});

test("a new share takes the old one's place when the server shows that it goes with the others, and not before", () => {
  const kept = { group: "g", shares: sealed(shown(0)), next: sealed(shown(1)) };
  expect(settled(kept, shown(0))).toEqual(kept);
  expect(settled(kept, shown(1))).toEqual({ group: "g", shares: kept.next });
});

test("one that came to nothing stays where it does no harm", () => {
  const kept = { group: "g", shares: null, next: sealed(shown(1)) };
  expect(settled(kept, shown(2))).toEqual(kept);
  expect(settled(kept, shown(1, "of another ceremony"))).toEqual(kept);
  expect(settled({ group: "g", shares: sealed(shown(0)) }, shown(1))).toEqual({ group: "g", shares: sealed(shown(0)) });
});
