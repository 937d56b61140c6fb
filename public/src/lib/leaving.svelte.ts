// Leaving a page with something unfinished: asked about first, and then told to whoever waits for it.

import { router } from "./router.svelte";

type Unfinished = {
  /** What to ask before it is left; null when nothing would be lost. */
  question: () => string | null;
  /** The page is left, finished or not. */
  left: () => void;
};

/** Called while a component is made. */
export function guardLeaving({ question, left }: Unfinished): void {
  $effect(() => {
    const asked = question();
    if (asked === null) return;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    router.mayLeave = () => confirm(asked);
    addEventListener("beforeunload", warn);
    return () => {
      router.mayLeave = null;
      removeEventListener("beforeunload", warn);
    };
  });
  $effect(() => {
    // A page that the browser keeps may come back and go on.
    const closed = ({ persisted }: PageTransitionEvent): void => {
      if (!persisted) left();
    };
    addEventListener("pagehide", closed);
    return () => {
      removeEventListener("pagehide", closed);
      left();
    };
  });
}
