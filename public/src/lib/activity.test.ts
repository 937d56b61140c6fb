import { describe, expect, test } from "vitest";
import { type AuditEntry, type AuditRecord, filterItems, isFiltered, itemsOf, jsonLines, kindsIn, NO_FILTER, reasonWords } from "./activity";

const entries: AuditEntry[] = [
  { what: "statement_applied", verb: "grant", seq: 2, statement: "s1", connection: "c1" },
  { what: "request_admitted", connection: "c1", request: "r1", method: "sign_event", kind: 1 },
  { what: "request_refused", reason: "not_granted", connection: "c2", request: "r2", method: "sign_event", kind: 0 },
  { what: "request_answered", signed: "e1", connection: "c1", request: "r1", method: "sign_event", kind: 1 },
  { what: "request_held", connection: "c1", request: "r3", method: "nip44_decrypt", peer: "ab" },
  { what: "request_admitted", connection: "c1", request: "r4", method: "nip44_encrypt", peer: "ab" },
  { what: "request_failed", reason: "cosigner_refused:revoked", connection: "c1", request: "r4", method: "nip44_encrypt", peer: "ab" },
];
const records: AuditRecord[] = entries.map((entry, at) => ({
  n: at + 1,
  at_ms: 1_700_000_000_000 + at * 1000,
  prev: "00",
  entry,
  hash: `h${at + 1}`,
}));
const labels = new Map([
  ["c1", "Coracle"],
  ["c2", "Games"],
]);

describe("activity", () => {
  test("records of one request are one item, newest first", () => {
    const items = itemsOf(records);
    expect(items.map((it) => [it.n, it.outcome, it.title])).toEqual([
      [6, "failed", "Wanted to write a private message"],
      [5, "waiting", "Wanted to read a private message"],
      [2, "done", "Signed a short note"],
      [3, "refused", "Wanted to change your profile"],
      [1, "owner", "Connected an app"],
    ]);
    expect(items[2]?.signed).toBe("e1");
    expect(items[2]?.records.map((it) => it.n)).toEqual([2, 4]);
    expect(items[0]?.why).toBe("The second holder refused. You had revoked it.");
  });

  test("logins and deletions are told by what they do", () => {
    const signed = (kind: number) =>
      itemsOf([{ n: 1, at_ms: 0, prev: "0", hash: "h", entry: { what: "request_answered", request: "r", method: "sign_event", kind } }])[0]?.title;
    expect(signed(27235)).toBe("Signed to log in to a website");
    expect(signed(3)).toBe("Changed your follow list");
    expect(signed(30023)).toBe("Signed an article");
  });

  test("search finds words, names, kinds and ids", () => {
    const items = itemsOf(records);
    const found = (text: string) => filterItems(items, { ...NO_FILTER, text }, labels).map((it) => it.n);
    expect(found("coracle note")).toEqual([2]);
    expect(found("games")).toEqual([3]);
    expect(found("E1")).toEqual([2]);
    expect(found("kind 0")).toEqual([3]);
    expect(found("nothing like it")).toEqual([]);
    expect(found("  ")).toHaveLength(5);
  });

  test("filters add up", () => {
    const items = itemsOf(records);
    const found = (filter: object) => filterItems(items, { ...NO_FILTER, ...filter }, labels).map((it) => it.n);
    expect(found({ connection: "c1", outcome: "failed" })).toEqual([6]);
    expect(found({ connection: "owner" })).toEqual([1]);
    expect(found({ kind: 1 })).toEqual([2]);
    expect(kindsIn(items)).toEqual([0, 1]);
    expect(isFiltered(NO_FILTER)).toBe(false);
    expect(isFiltered({ ...NO_FILTER, kind: 0 })).toBe(true);
  });

  test("the download holds the records as they came, in the chain's order", () => {
    const lines = jsonLines(itemsOf(records)).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(records);
    expect(jsonLines([])).toBe("");
  });

  test("new shares are told from the word to their end", () => {
    const said: AuditEntry[] = [
      { what: "statement_applied", verb: "reshare", seq: 3, statement: "s2" },
      { what: "epoch_entered", epoch: 1 },
    ];
    const items = itemsOf(said.map((entry, at) => ({ n: at + 1, at_ms: 0, prev: "0", hash: "h", entry })));
    expect(items.map((it) => [it.outcome, it.title])).toEqual([
      ["owner", "Replaced all shares of the key. Old shares and kits no longer work"],
      ["owner", "Asked for new shares of the key"],
    ]);
  });

  test("an unknown reason is shown as it is", () => {
    expect(reasonWords("moon_phase")).toBe("moon_phase");
    expect(reasonWords("cosigner_refused:moon")).toContain("moon");
  });
});
