import { describe, expect, test } from "vitest";
import type { KeyDetail } from "../api/types";
import { atIt, enoughForTheKey, sharingInWords, sharingOf, signersOf, type Sharing, whoAnswers } from "./sharing";

const [OWNER, BERT, CLEO] = ["a".repeat(64), "b".repeat(64), "c".repeat(64)];

/** A key whose device shares, from number 2 on, these people have. */
function key(threshold: number, ...people: string[]): Pick<KeyDetail, "owner" | "public" | "members"> {
  const holders = ["bunker", ...people.map(() => "device")].map((role, at) => ({ role, index: at + 1, verifying_share: "" }));
  const members = people.map((person, at) => ({ person, holder: at + 2 })).filter(({ person }) => person !== OWNER);
  return {
    owner: OWNER,
    public: { group: "g1", epoch: 0, threshold, pubkey: "p", holders },
    ...(members.length > 0 ? { members } : {}),
  };
}

describe("who shares a key", () => {
  test("is nobody where its owner alone has it, on however many devices", () => {
    expect(sharingOf(key(2))).toBeNull();
    expect(sharingOf(key(2, OWNER, OWNER))).toBeNull();
    expect(sharingOf({ ...key(2, OWNER), members: [] })).toBeNull();
  });

  test("are the people with devices; the server signs besides", () => {
    expect(sharingOf(key(3, OWNER, BERT, CLEO))).toEqual({ people: 3, signers: 2, amongThem: true });
    expect(sharingOf(key(2, BERT, CLEO))).toEqual({ people: 2, signers: 1, amongThem: false });
  });

  test("is seen from where one stands", () => {
    expect(sharingOf(key(2, BERT, CLEO), CLEO)?.amongThem).toBe(true);
    expect(sharingOf(key(2, OWNER, BERT), OWNER)?.amongThem).toBe(true);
    expect(sharingOf(key(2, OWNER, BERT), CLEO)?.amongThem).toBe(false);
  });
});

const sharing = (people: number, signers: number, amongThem = true): Sharing => ({ people, signers, amongThem });

describe("in words", () => {
  test.each([
    [sharing(3, 2), "Shared by 3 people; any 2 of you sign together with this server."],
    [sharing(3, 1), "Shared by 3 people; any one of you signs together with this server."],
    [sharing(2, 2), "Shared by 2 people; both of you sign together with this server."],
    [sharing(4, 4), "Shared by 4 people; all 4 of you sign together with this server."],
    [sharing(3, 2, false), "Shared by 3 people; any 2 of them sign together with this server."],
  ])("%o is a sentence", (of, words) => expect(sharingInWords(of)).toBe(words));

  test.each([
    [sharing(3, 2), "any 2 of the 3 people who share it"],
    [sharing(3, 1), "any one of the 3 people who share it"],
    [sharing(2, 2), "both people who share it"],
    [sharing(3, 3), "all 3 people who share it"],
  ])("%o fits on the card", (of, words) => expect(signersOf(of)).toBe(words));

  test.each([
    [sharing(3, 2), "any 2 of you"],
    [sharing(3, 1, false), "any one of them"],
    [sharing(2, 2), "both of you"],
  ])("%o says who answers", (of, words) => expect(whoAnswers(of)).toBe(words));

  test.each([
    [2, [], "2 of you have to answer"],
    [1, [], "1 of you has to answer"],
    [2, [3], "1 of 2 is at it"],
    [3, [2, 4], "2 of 3 are at it"],
  ])("%i that are needed and %o that are at it", (needed, given, words) => {
    expect(atIt(sharing(4, 2), { needed, given })).toBe(words);
  });

  test("nobody who is at it is counted where the server says nothing", () => {
    expect(atIt(sharing(3, 2), undefined)).toBe("2 of you have to answer");
    expect(atIt(sharing(3, 1, false), null)).toBe("1 of the people who share the key has to answer");
  });
});

test("one more than signs with the server has enough for the key, where there is one more", () => {
  expect([sharing(3, 2), sharing(3, 1), sharing(2, 2)].map(enoughForTheKey)).toEqual([3, 2, null]);
});
