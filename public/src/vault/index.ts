/** The vault of this page. */
import { createVault } from "./client";
import type { Vault } from "./types";

export * from "./types";

export const vault: Vault = createVault(
  () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "vault" }),
);
