/**
 * Checks an activity chain while it is loaded from its end backwards, page by page.
 *
 * Each page has to lead from the record before it to the record after it, the newest page to the head. So when the
 * first record is reached, nothing was changed, removed or put in. A cut at the end is found by the head that this
 * browser saw last time.
 */

import type { AuditRecord } from "./activity";

export type Head = { readonly n: number; readonly hash: string };
export type Verdict = { ok: true } | { ok: false; at: number; reason: string };
export type Verify = (args: { records: AuditRecord[]; head: Head; previous?: Head }) => Promise<Verdict>;

export const GENESIS: Head = { n: 0, hash: "0".repeat(64) };

/** The most records that the server gives at once. */
export const PAGE = 200;

/** What to ask for next to have what comes before `end`: null when nothing does. */
export function pageBefore(end: number): { after: number; limit: number } | null {
  if (end <= 0) return null;
  const after = Math.max(0, end - PAGE);
  return { after, limit: end - after };
}

/** Where a page has to begin from, by its own word. */
function before(records: readonly AuditRecord[]): Head {
  const first = records[0];
  return first ? { n: first.n - 1, hash: first.prev } : GENESIS;
}

/** Checks one page that ends at `head`; gives the head that the page before it has to end at. */
export async function checkPage(
  records: readonly AuditRecord[],
  head: Head,
  verify: Verify,
): Promise<{ verdict: Verdict; before: Head }> {
  const start = before(records);
  if (records.length === 0) {
    return { verdict: { ok: false, at: head.n, reason: `record ${head.n} is missing` }, before: start };
  }
  if (start.n === 0 && start.hash !== GENESIS.hash) {
    return { verdict: { ok: false, at: 1, reason: "the first record does not begin the chain" }, before: start };
  }
  const verdict = await verify({ records: [...records], head, ...(start.n === 0 ? {} : { previous: start }) });
  return { verdict, before: start };
}

/** Compares with the head that was seen before. `record` is the present record at that place. */
export function checkAgainstSeen(seen: Head | null, head: Head, record: AuditRecord | undefined): Verdict {
  if (seen === null || seen.n === 0) return { ok: true };
  if (head.n < seen.n) {
    const reason = `this browser saw ${seen.n} records before, and now there are ${head.n}`;
    return { ok: false, at: head.n + 1, reason };
  }
  if (record && record.hash !== seen.hash) {
    return { ok: false, at: seen.n, reason: `record ${seen.n} is another one than this browser saw before` };
  }
  return { ok: true };
}

const STORED = "passport.heads";

function all(): Record<string, Head> {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return typeof stored === "object" && stored !== null ? (stored as Record<string, Head>) : {};
  } catch {
    return {};
  }
}

/** The end of the group's chain when this browser last checked all of it. */
export function seenHead(group: string): Head | null {
  const head = all()[group];
  return head && Number.isSafeInteger(head.n) && typeof head.hash === "string" ? head : null;
}

export function rememberHead(group: string, head: Head): void {
  localStorage.setItem(STORED, JSON.stringify({ ...all(), [group]: { n: head.n, hash: head.hash } }));
}

export function forgetHead(group: string): void {
  const heads = all();
  delete heads[group];
  localStorage.setItem(STORED, JSON.stringify(heads));
}
