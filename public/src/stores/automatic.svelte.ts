// "Sign what my rules allow while this page is open": on by the person's word, until the page is left or locked.

import { api, call } from "../api/client";
import { isCode, NoAnswer } from "../api/problem";
import { isAllowed } from "../lib/contribution";
import { unasked } from "../lib/contributor";
import { shares } from "../lib/shares";
import { unlocked } from "../lib/signing";
import { VaultError } from "../vault";
import { identities } from "./identities.svelte";

/** The vault has to be unlocked again before it contributes. */
const LOCKED = ["locked", "vault_failed", "vault_unavailable"];

class Automatic {
  on = $state(false);
  /** Requests answered since it was switched on. */
  answered = $state(0);
  /** Why it switched itself off. */
  error = $state.raw<unknown>(null);
  /** What was tried and refused waits for the person. */
  readonly #left = new Set<string>();
  #running = false;
  #again = false;

  /** Unlocks first, if that is needed. */
  async switchOn(): Promise<void> {
    await unlocked();
    this.error = null;
    this.answered = 0;
    this.#left.clear();
    this.on = true;
    await this.run();
  }

  switchOff(): void {
    this.on = false;
  }

  /** Contributes to everything that waits for this device alone. */
  readonly run = async (): Promise<void> => {
    if (!this.on) return;
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#again && this.on) {
        this.#again = false;
        for (const { group } of identities.list ?? []) await this.#answer(group);
      }
    } catch (error) {
      // The next hint or look tries again, unless it has to be unlocked.
      if (error instanceof VaultError) {
        this.on = false;
        this.error = error;
      }
    } finally {
      this.#running = false;
    }
  };

  async #answer(group: string): Promise<void> {
    if (!(await shares.has(group))) return;
    const { requests } = await call(api.GET("/keys/{group}/requests", { params: { path: { group } } }));
    for (const request of requests.filter((it) => isAllowed(it) && !this.#left.has(it.request))) {
      if (!this.on) return;
      try {
        if ((await unasked.give(group, request)) === "answered") this.answered += 1;
      } catch (error) {
        if (error instanceof NoAnswer || (error instanceof VaultError && LOCKED.includes(error.code))) throw error;
        if (!isCode(error, "no_such_request")) this.#left.add(request.request);
      }
    }
  }
}

export const automatic = new Automatic();
