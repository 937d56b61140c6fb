/** The requests that wait for the owner, over all identities; what was settled stays until it is cleared. */

import { api, call } from "../api/client";
import { Cancelled } from "../api/problem";
import type { KeyView, PendingRequest } from "../api/types";
import { events } from "../stores/events.svelte";
import { identities } from "../stores/identities.svelte";
import { Approval } from "./approval.svelte";
import { shares } from "./shares";
import { type Sharing, sharingOf } from "./sharing";
import { learnTime } from "./when";

type Contributors = { shareHere: boolean; sharing: Sharing | null };
const NOBODY: Contributors = { shareHere: false, sharing: null };

export class Inbox {
  /** Oldest first; new ones come at the end, so that nothing moves under a pointer. */
  approvals = $state.raw<readonly Approval[]>([]);
  /** Whether every identity was read at least once. */
  loaded = $state(false);
  error = $state.raw<unknown>(null);

  readonly waiting = $derived(this.approvals.filter((it) => it.phase !== "given" && it.phase !== "gone"));

  readonly load = async (): Promise<void> => {
    try {
      const keys = await identities.load();
      await Promise.all(keys.map((key) => this.read(key)));
      this.loaded = true;
      this.error = null;
    } catch (error) {
      if (!(error instanceof Cancelled)) this.error = error;
    }
  };

  async read(key: KeyView): Promise<void> {
    const answer = api.GET("/keys/{group}/requests", { params: { path: { group: key.group } } });
    const { requests } = await call(answer);
    learnTime((await answer).response.headers.get("date"));
    events.counted(key.group, requests.length);
    const known = new Set(this.approvals.map((it) => it.request.request));
    const asksDevice = requests.some((it) => it.waits_for.includes("device") && !known.has(it.request));
    this.#merge(key, requests, asksDevice ? await contributorsOf(key.group) : NOBODY);
  }

  clearSettled(): void {
    this.approvals = this.waiting;
  }

  #merge(key: KeyView, requests: readonly PendingRequest[], { shareHere, sharing }: Contributors): void {
    const listed = new Map(requests.map((it) => [it.request, it]));
    const known = new Set<string>();
    for (const approval of this.approvals) {
      if (approval.key.group !== key.group) continue;
      known.add(approval.request.request);
      const now = listed.get(approval.request.request);
      if (now) approval.heard(now);
      else approval.settled();
    }
    const fresh = requests
      .filter((it) => !known.has(it.request))
      .sort((a, b) => a.held_at - b.held_at)
      .map((request) => new Approval(key, request, shareHere, sharing));
    if (fresh.length > 0) this.approvals = [...this.approvals, ...fresh];
  }
}

/** Who contributes to a key's requests, and whether this browser has a share that goes with the others. */
async function contributorsOf(group: string): Promise<Contributors> {
  const key = await call(api.GET("/keys/{group}", { params: { path: { group } } }));
  const shareHere = (await shares.fitting(key.public).catch(() => null)) !== null;
  return { shareHere, sharing: sharingOf(key) };
}
