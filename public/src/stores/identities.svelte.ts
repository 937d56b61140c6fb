// The identities of the account, and the one that pages about apps and activity show.

import { api, call } from "../api/client";
import { Cancelled } from "../api/problem";
import type { KeyView, SharedKey } from "../api/types";
import { session } from "./session.svelte";

const STORED = "passport.identity";

class Identities {
  /** Null until they were read. */
  list = $state.raw<KeyView[] | null>(null);
  /** Keys of others of which this account holds a share. Read with the list. */
  shared = $state.raw<SharedKey[]>([]);
  #chosen = $state(localStorage.getItem(STORED));
  #of = "";

  /** The chosen one, or the oldest. */
  readonly current = $derived.by((): KeyView | null => {
    const list = this.list ?? [];
    return list.find((key) => key.group === this.#chosen) ?? list[0] ?? null;
  });

  choose(group: string): void {
    this.#chosen = group;
    localStorage.setItem(STORED, group);
  }

  /** Reads them, once for all pages; `again` reads them afresh. */
  async load(again = false): Promise<KeyView[]> {
    const username = session.username;
    if (!username) throw new Cancelled(); // signed out, and a page that is about to go asks once more
    if (this.list && !again && this.#of === username) return this.list;
    if (this.#of !== username) this.forget();
    const { keys, shared } = await call(api.GET("/keys"));
    if (session.username === username) {
      this.list = keys;
      this.shared = shared ?? [];
      this.#of = username;
    }
    return keys;
  }

  forget(): void {
    this.list = null;
    this.shared = [];
  }

  find(group: string): KeyView | undefined {
    return this.list?.find((key) => key.group === group);
  }
}

export const identities = new Identities();
