/** Choosing a new password. Shares and apps are not touched: only the owner key is sealed anew. */

import { api, call } from "../api/client";
import { isCode, NoAnswer } from "../api/problem";
import { session } from "../stores/session.svelte";
import { type Progress, vault, VaultError } from "../vault";

/** Gives back false when the present password is not right. */
export async function changePassword(current: string, next: string, progress: Progress): Promise<boolean> {
  const secret = await currentSecret(current, half(progress, 0));
  if (secret === null) return false;
  const { password, owner_blob, kdf } = await vault.changePassword({ password: next }, half(progress, 1));
  try {
    await call(api.POST("/auth/password", { body: { current: secret, password, owner_blob, kdf } }));
  } catch (error) {
    const unsure = error instanceof NoAnswer;
    if (!unsure && !isCode(error, "credentials_invalid")) throw error;
    // The answer may have been lost on its way back: the account tells which password holds now.
    await session.loadAccount();
    if (session.account?.owner_blob === owner_blob) return true;
    if (unsure) throw error;
    return false;
  }
  await session.loadAccount();
  return true;
}

/** The login secret of the password, which has also opened the owner key; null when it does not. */
async function currentSecret(password: string, progress: Progress): Promise<string | null> {
  const account = session.account;
  if (!account) return null;
  const kdf = account.kdf ?? (await call(api.POST("/auth/params", { body: { username: account.username } }))).kdf;
  const secret = await vault.loginSecret({ password, kdf }, progress);
  const { owner_pubkey, owner_blob } = account;
  if (!owner_blob) return secret;
  try {
    await vault.unlock({ owner_pubkey, owner_blob });
    return secret;
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== "blob_does_not_open") throw error;
  }
  // It may have been changed on another device since this page was loaded.
  await session.loadAccount();
  return session.account?.owner_blob === owner_blob ? null : currentSecret(password, progress);
}

/** One of two equal halves of a progress. */
function half(progress: Progress, which: 0 | 1): Progress {
  return (fraction) => progress((fraction + which) / 2);
}
