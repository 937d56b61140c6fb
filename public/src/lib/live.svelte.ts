/** What a page shows, kept fresh: by hints while they arrive, else by asking again. */

import { events, type Hint } from "../stores/events.svelte";
import { identities } from "../stores/identities.svelte";
import { nowSeconds } from "./when";

/**
 * Runs `read` on each hint about `group`, and every `poll_ms` while no hints arrive and the page is looked at. Called
 * while a component is made; ends with it.
 */
export function keepFresh(group: () => string | null, hint: Hint, read: () => unknown, poll_ms = 15_000): void {
  $effect(() => {
    const of = group();
    if (of === null) return;
    return events.on(of, hint, () => void read());
  });
  $effect(() => {
    const of = group();
    if (of === null || events.isLive(of)) return;
    const timer = setInterval(() => {
      if (!document.hidden) void read();
    }, poll_ms);
    return () => clearInterval(timer);
  });
}

/** The same for all identities of the account. */
export function keepAllFresh(hint: Hint, read: () => unknown, poll_ms = 15_000): void {
  $effect(() => events.on(null, hint, () => void read()));
  $effect(() => {
    if ((identities.list ?? []).every((key) => events.isLive(key.group))) return;
    const timer = setInterval(() => {
      if (!document.hidden) void read();
    }, poll_ms);
    return () => clearInterval(timer);
  });
}

/** The time in Unix seconds, ticking while somebody looks at it. */
export class Clock {
  now = $state(nowSeconds());

  constructor(every_ms = 1_000) {
    $effect(() => {
      const timer = setInterval(() => (this.now = nowSeconds()), every_ms);
      return () => clearInterval(timer);
    });
  }
}
