// Sending again what may safely arrive twice.

import { isCode, NoAnswer } from "../api/problem";

/** Waits before what got no answer is sent again. */
const RESEND_AFTER_MS = [800, 3_000];
/** Answers that say: not now, send the same again. */
const LATER = ["unavailable", "ceremony_unfinished"];

/** Repeats an action that may safely happen twice while no answer comes. */
export async function resent<T>(send: () => Promise<T>): Promise<T> {
  for (const wait_ms of RESEND_AFTER_MS) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof NoAnswer) && !isCode(error, ...LATER)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
  return send();
}
