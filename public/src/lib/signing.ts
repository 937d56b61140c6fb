// Doing something that only the owner may do: with the owner key, or after a fresh look at who is there.

import { api, call } from "../api/client";
import { isCode } from "../api/problem";
import { prompts } from "../stores/prompts.svelte";
import { vault, VaultError } from "../vault";
import { resent } from "./resent";

/** How often a statement that another tab or device overtook is signed anew. */
const RENEWALS = 3;

/** Resolves when the vault is open, after asking for password or passkey if it has to. */
export async function unlocked(): Promise<void> {
  if (!(await vault.isUnlocked())) await prompts.ask("unlock");
}

/** Runs `action`; when the vault turns out to be locked, opens it and runs it again. */
export async function withVault<T>(action: () => Promise<T>): Promise<T> {
  await unlocked();
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== "locked") throw error;
  }
  await prompts.ask("unlock");
  return action();
}

/** Whether the vault was locked or restarted meanwhile, so that what it had prepared is gone. */
export function isLost(error: unknown): boolean {
  return error instanceof VaultError && ["locked", "vault_failed", "no_draft", "no_ceremony", "no_identity"].includes(error.code);
}

/**
 * Signs and sends one owner statement about a group.
 *
 * `make` gets the number to use. What it makes is sent again when no answer comes, and made again when another
 * statement was faster.
 */
export async function withStatement<Made, Result>(
  group: string,
  make: (seq: number) => Promise<Made>,
  send: (made: Made) => Promise<Result>,
): Promise<Result> {
  for (let renewals = 0; ; renewals += 1) {
    await unlocked();
    const { sequence } = await call(api.GET("/keys/{group}", { params: { path: { group } } }));
    const made = await withVault(() => make(sequence + 1));
    try {
      return await resent(() => send(made));
    } catch (error) {
      if (!isCode(error, "statement_not_newer") || renewals >= RENEWALS) throw error;
    }
  }
}

/** Runs `action`; when the server wants to know again who is there, asks for password or passkey and runs it again. */
export async function withReauth<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!isCode(error, "reauthentication_required")) throw error;
  }
  await prompts.ask("reauthenticate");
  return action();
}
