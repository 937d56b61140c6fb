// One request: answers that are errors, and answers that do not come, are thrown.

import { NoAnswer, problemOf } from "./problem";

/** Longest wait for an answer. The slowest route hashes a password: about a second. */
const PATIENCE_MS = 30_000;

export async function send(request: Request): Promise<Response> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]);
  let response: Response;
  try {
    response = await fetch(request, { signal, cache: "no-store" });
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw new NoAnswer("No answer came from the server.", { cause });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}
