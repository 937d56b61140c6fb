/** The vault's worker: hands each call to the device program and answers with what it says. */
import type { Answer, Call } from "./messages";

/** What is used of the worker's global scope. */
type Scope = { onmessage: ((event: MessageEvent<Call>) => void) | null; postMessage(answer: Answer): void };
const scope = globalThis as unknown as Scope;

scope.onmessage = ({ data: { id } }) => {
  const message = "The part of this page that keeps your keys is missing from this build. Reload the page later.";
  scope.postMessage({ id, broken: { code: "vault_unavailable", message } });
};
