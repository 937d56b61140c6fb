/** Ticks a progress function along an estimate, since the work itself can't be watched. */
import type { Progress } from "./types";

/** Pause between two ticks, in milliseconds. */
const TICK_MS = 100;
/** As far as the estimate's time leads; what then is left is approached and never reached. */
const PLANNED = 0.9;

/** How far a work is that was expected to take `estimateMs`. */
export function fraction(elapsedMs: number, estimateMs: number): number {
  const planned = elapsedMs / Math.max(estimateMs, 1);
  return planned < 1 ? PLANNED * planned : 1 - (1 - PLANNED) / planned;
}

/** Ticks until the returned function is called, with whether the work was done. */
export function ticking(progress: Progress, estimateMs: number): (done: boolean) => void {
  const start = performance.now();
  progress(0);
  const timer = setInterval(() => progress(fraction(performance.now() - start, estimateMs)), TICK_MS);
  return (done) => {
    clearInterval(timer);
    if (done) progress(1);
  };
}
