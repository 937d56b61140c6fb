/** Runs scrypt once, in memory of its own. */
import { initSync, run_to_measure, stretch, stretch_encrypted } from "../generated/device/passport_device.js";
import type { Stretched, Stretching } from "./stretching";

/** What is used of the worker's global scope. */
type Scope = {
  onmessage: ((event: MessageEvent<Stretching>) => void) | null;
  postMessage(answer: Stretched, transfer?: Transferable[]): void;
};
const scope = globalThis as unknown as Scope;

/** log2 of the rounds that are measured: a sixteenth of the usual 2^17. */
const MEASURED_LOG_N = 13;
/** A large table is slower per round than a small one, which fits the processor's cache. */
const SLOWER = 1.2;

scope.onmessage = ({ data: { module, of, log_n } }) => {
  try {
    initSync({ module });
    scope.postMessage({ estimate_ms: measured(log_n) });
    const secret = "kdf" in of ? stretch(of.passphrase, of.kdf) : stretch_encrypted(of.password, of.key);
    const stretched = new Uint8Array(secret);
    secret.fill(0);
    scope.postMessage({ stretched }, [stretched.buffer]);
  } catch (thrown) {
    scope.postMessage(typeof thrown === "string" ? { thrown } : { broken: true });
  }
};

/** How long scrypt will take, from a short run. */
function measured(log_n: number): number {
  // The first run is also compiled.
  run_to_measure(MEASURED_LOG_N - 3);
  const start = performance.now();
  run_to_measure(MEASURED_LOG_N);
  return SLOWER * (performance.now() - start) * 2 ** (log_n - MEASURED_LOG_N);
}
