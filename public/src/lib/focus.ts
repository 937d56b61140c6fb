/** Where the keyboard goes on when what had the focus is gone. */

import { tick } from "svelte";

/** Moves the focus there once the page has changed. The element needs `tabindex="-1"`. */
export async function focusOn(find: () => HTMLElement | null | undefined): Promise<void> {
  await tick();
  find()?.focus({ preventScroll: true });
}
