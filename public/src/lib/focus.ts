/** Where the keyboard goes on when what had the focus is gone. */

import { tick } from "svelte";

/** Moves the focus there once the page has changed. The element needs `tabindex="-1"`. */
export async function focusOn(find: () => HTMLElement | null | undefined): Promise<void> {
  await tick();
  find()?.focus({ preventScroll: true });
}

/** Moves the focus to the first field of a form that says what is wrong with it, if one does. */
export function focusOnError(form: HTMLFormElement): Promise<void> {
  return focusOn(() => form.querySelector<HTMLElement>("[aria-invalid=true]"));
}
