/** What the vault's worker and the worker that stretches passphrases say to each other. */

/** The work of one such worker, which ends with it: scrypt takes 128 MiB and more, and WASM memory never shrinks. */
export type Stretching = {
  module: WebAssembly.Module;
  /** A password or kit passphrase with its salt and cost as JSON, or an ncryptsec with its password. */
  of: { passphrase: string; kdf: string } | { password: string; key: string };
  /** log2 of scrypt's rounds, for the estimate. */
  log_n: number;
};

/** An estimate; then the result, what the program threw, or that it broke down: memory ran out. */
export type Stretched =
  | { estimate_ms: number }
  | { stretched: Uint8Array<ArrayBuffer> }
  | { thrown: string }
  | { broken: true };
