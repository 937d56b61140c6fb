/** What page and vault worker say to each other. */
import type { Vault } from "./types";

/** A call of the page. `args` is JSON, which also takes the reactive objects that can't be sent as they are. */
export type Call = { id: number; method: keyof Vault; args: string };

/** An answer of the worker: an estimate of how long the call will take, or its end. */
export type Answer =
  | { id: number; estimate_ms: number }
  | { id: number; value: unknown }
  | { id: number; error: { code: string; message: string } }
  /** The vault's program broke down: it can't be used any more. */
  | { id: number; broken: { code: string; message: string } };
