/** A group's activity: the newest first, older pages as they are wanted, each checked against the chain. */

import { api, call } from "../api/client";
import type { ActivityPage } from "../api/types";
import { vault, VaultError } from "../vault";
import type { AuditRecord } from "./activity";
import { checkAgainstSeen, checkPage, type Head, PAGE, pageBefore, rememberHead, seenHead, type Verdict } from "./chain";

export class History {
  /** Oldest first, without gaps, ending at the head. */
  records = $state.raw<readonly AuditRecord[]>([]);
  /** The end of the chain; null until something was read. */
  head = $state.raw<Head | null>(null);
  busy = $state(false);
  error = $state.raw<unknown>(null);
  /** What is wrong with the chain; null while nothing is. */
  broken = $state.raw<{ at: number; reason: string } | null>(null);
  /** Why the chain could not be checked here, in words. */
  unchecked = $state<string | null>(null);

  /** Where the next older page has to end. */
  #before = $state.raw<Head | null>(null);
  #ended = false;
  #turn: Promise<void> = Promise.resolve();

  constructor(readonly group: string) {}

  /** Whether the first record has been reached. */
  get complete(): boolean {
    return this.head !== null && (this.#before === null || this.#before.n === 0);
  }

  /** Whether everything was read and found in order. */
  get verified(): boolean {
    return this.complete && this.broken === null && this.unchecked === null;
  }

  /** Ends what still runs. */
  end(): void {
    this.#ended = true;
  }

  /** Reads the newest page. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.head !== null) return;
      const first = await this.#page(0, PAGE);
      const head = first.head;
      if (first.next === null) {
        await this.#take(records(first), head);
        return;
      }
      const newest = pageBefore(head.n);
      if (newest) await this.#take(records(await this.#page(newest.after, newest.limit)), head);
    });
  }

  /** Reads older pages, until `enough` says so or the first record is reached. */
  older(enough: () => boolean = () => true): Promise<void> {
    return this.#inTurn(async () => {
      while (!this.#ended && this.#before !== null) {
        const end = this.#before;
        const page = pageBefore(end.n);
        if (!page) return;
        await this.#take(records(await this.#page(page.after, page.limit)), end);
        if (enough()) return;
      }
    });
  }

  /** Reads what is new since the head. */
  newer(): Promise<void> {
    return this.#inTurn(async () => {
      for (let more = true; more && !this.#ended; ) {
        const known = this.head;
        if (known === null) return;
        const page = await this.#page(known.n, PAGE);
        const fresh = records(page);
        const last = fresh.at(-1);
        if (!last) {
          if (page.head.n !== known.n || page.head.hash !== known.hash) {
            this.#judge({ ok: false, at: page.head.n, reason: "the record does not go on from what was read before" });
          }
          return;
        }
        more = page.next !== null;
        const head = more ? { n: last.n, hash: last.hash } : page.head;
        await this.#verify(async () => {
          const previous = known.n === 0 ? {} : { previous: known };
          return vault.verifyChain({ records: fresh, head, ...previous });
        });
        this.records = [...this.records, ...fresh];
        this.head = head;
        this.#remember();
      }
    });
  }

  async #page(after: number, limit: number): Promise<ActivityPage> {
    const params = { path: { group: this.group }, query: { after, limit } };
    return call(api.GET("/keys/{group}/activity", { params }));
  }

  async #take(page: readonly AuditRecord[], end: Head): Promise<void> {
    if (this.#ended) return;
    let before: Head = { n: 0, hash: "" };
    if (end.n > 0) {
      await this.#verify(async () => {
        const checked = await checkPage(page, end, (args) => vault.verifyChain(args));
        before = checked.before;
        return checked.verdict;
      });
      before = page[0] ? { n: page[0].n - 1, hash: page[0].prev } : before;
    }
    this.records = [...page, ...this.records];
    this.head ??= end;
    this.#before = before;
    const seen = seenHead(this.group);
    const record = seen && page.find((it) => it.n === seen.n);
    if (record || this.complete) this.#judge(checkAgainstSeen(seen, this.head, record ?? undefined));
    this.#remember();
  }

  async #verify(check: () => Promise<Verdict>): Promise<void> {
    if (this.unchecked !== null) return;
    try {
      this.#judge(await check());
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      this.unchecked = error.message;
    }
  }

  #judge(verdict: Verdict): void {
    if (!verdict.ok) this.broken ??= { at: verdict.at, reason: verdict.reason };
  }

  #remember(): void {
    if (this.verified && this.head) rememberHead(this.group, this.head);
  }

  /** One thing at a time, in the order asked for. */
  #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (this.#ended) return;
      this.busy = true;
      try {
        await action();
        this.error = null;
      } catch (error) {
        this.error = error;
      } finally {
        this.busy = false;
      }
    });
    this.#turn = turn;
    return turn;
  }
}

function records(page: ActivityPage): AuditRecord[] {
  return page.records as unknown as AuditRecord[];
}
