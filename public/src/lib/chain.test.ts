import { describe, expect, test } from "vitest";
import type { AuditRecord } from "./activity";
import { checkAgainstSeen, checkPage, GENESIS, type Head, pageBefore, type Verify } from "./chain";

function chain(length: number): AuditRecord[] {
  let prev = GENESIS.hash;
  return Array.from({ length }, (_, at) => {
    const record = { n: at + 1, at_ms: at, prev, entry: { what: "request_admitted" }, hash: `h${at + 1}` };
    prev = record.hash;
    return record;
  });
}

/** Links only: whether a record's hash is its own is the vault's business. */
const verify: Verify = ({ records, head, previous = GENESIS }) => {
  let at: Head = previous;
  for (const record of records) {
    if (record.n !== at.n + 1 || record.prev !== at.hash) {
      return Promise.resolve({ ok: false, at: record.n, reason: "unlinked" });
    }
    at = record;
  }
  const ends = at.n === head.n && at.hash === head.hash;
  return Promise.resolve(ends ? { ok: true } : { ok: false, at: at.n, reason: "wrong head" });
};

async function walk(records: AuditRecord[], head: Head) {
  let end = head;
  for (let page = pageBefore(end.n); page; page = pageBefore(end.n)) {
    const { after, limit } = page;
    const part = records.filter((it) => it.n > after).slice(0, limit);
    const { verdict, before } = await checkPage(part, end, verify);
    if (!verdict.ok) return verdict;
    end = before;
  }
  return { ok: true };
}

describe("a chain loaded backwards", () => {
  test("pages cover it once", () => {
    expect(pageBefore(0)).toBeNull();
    expect(pageBefore(1)).toEqual({ after: 0, limit: 1 });
    expect(pageBefore(200)).toEqual({ after: 0, limit: 200 });
    expect(pageBefore(450)).toEqual({ after: 250, limit: 200 });
  });

  test("an untouched chain holds, whatever its length", async () => {
    for (const length of [1, 199, 200, 201, 450]) {
      const records = chain(length);
      expect(await walk(records, { n: length, hash: `h${length}` })).toEqual({ ok: true });
    }
  });

  test("a record changed, removed or put in is found, also at a page's edge", async () => {
    const head = { n: 450, hash: "h450" };
    for (const at of [0, 1, 249, 250, 251, 449]) {
      const changed = chain(450).map((it, index) => (index === at ? { ...it, hash: "x" } : it));
      expect(await walk(changed, head), `changed ${at}`).toMatchObject({ ok: false });
      const removed = chain(450).filter((_, index) => index !== at);
      expect(await walk(removed, head), `removed ${at}`).toMatchObject({ ok: false });
    }
  });

  test("a first record that follows on something is no first record", async () => {
    const records = chain(3).map((it, index) => (index === 0 ? { ...it, prev: "elsewhere" } : it));
    expect(await walk(records, { n: 3, hash: "h3" })).toMatchObject({ ok: false, at: 1 });
  });

  test("what this browser saw before has to be there still", () => {
    const records = chain(5);
    const head = { n: 5, hash: "h5" };
    expect(checkAgainstSeen(null, head, undefined)).toEqual({ ok: true });
    expect(checkAgainstSeen({ n: 3, hash: "h3" }, head, records[2])).toEqual({ ok: true });
    expect(checkAgainstSeen({ n: 6, hash: "h6" }, head, undefined)).toMatchObject({ ok: false, at: 6 });
    expect(checkAgainstSeen({ n: 3, hash: "other" }, head, records[2])).toMatchObject({ ok: false, at: 3 });
  });
});
