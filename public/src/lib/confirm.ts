// Password or passkey, asked for in the middle of something: opens the vault, and tells the server who is there.

import { api, call } from "../api/client";
import { isCode } from "../api/problem";
import type { PromptKind } from "../stores/prompts.svelte";
import { session } from "../stores/session.svelte";
import { vault, VaultError, type Progress } from "../vault";
import { deviceName } from "./device";
import { PasskeyError, usePasskey } from "./passkeys";

const NO_BLOB = new VaultError(
  "no_owner_blob",
  "This account keeps its owner key elsewhere. Use the command-line client that made it, or recover here with the kit.",
);
const WRONG = "That is not your password. Check it and try again.";

/** Gives back what is wrong with the password, or null when it was right. */
export async function confirmWithPassword(
  kind: PromptKind,
  password: string,
  progress: Progress,
): Promise<string | null> {
  const account = session.account;
  if (!account) return WRONG;
  const kdf = account.kdf ?? (await call(api.POST("/auth/params", { body: { username: account.username } }))).kdf;
  const secret = await vault.loginSecret({ password, kdf }, progress);
  if (!account.owner_blob && kind === "unlock") throw NO_BLOB;
  if (account.owner_blob) {
    const { owner_pubkey, owner_blob } = account;
    try {
      await vault.unlock({ owner_pubkey, owner_blob });
    } catch (error) {
      if (!(error instanceof VaultError) || error.code !== "blob_does_not_open") throw error;
      // The password may have been changed on another device since this page was loaded.
      const before = account.owner_blob;
      await session.loadAccount();
      if (session.account?.owner_blob === before) return WRONG;
      return confirmWithPassword(kind, password, progress);
    }
  }
  if (kind === "reauthenticate") {
    try {
      await call(api.POST("/auth/reauthenticate", { body: { password: secret } }));
    } catch (error) {
      if (isCode(error, "credentials_invalid")) return WRONG;
      throw error;
    }
  }
  return null;
}

/**
 * With a passkey. The owner key's blob for a passkey comes with a sign-in only, so to unlock is to sign in again, in
 * place of the present session.
 */
export async function confirmWithPasskey(kind: PromptKind): Promise<void> {
  const options = await call(api.POST("/auth/passkeys/challenge", { body: {} }));
  const { credential, prf } = await usePasskey(options);
  const { challenge } = options;
  if (kind === "reauthenticate") {
    await call(api.POST("/auth/reauthenticate", { body: { challenge, credential } }));
    return;
  }
  if (!prf) throw new PasskeyError("This passkey or browser cannot unlock your owner key. Use your password.");
  const answer = await call(api.POST("/auth/passkeys/token", { body: { challenge, credential, device: deviceName() } }));
  if (answer.username !== session.username) {
    throw new PasskeyError(`That is a passkey of ${answer.username}. Choose one of ${session.username}.`);
  }
  await session.replace(answer);
  if (!answer.owner_blob) {
    throw new PasskeyError("This passkey can sign in but was not set up to unlock. Use your password.");
  }
  await vault.unlockWithPasskey({ prf, owner_pubkey: answer.owner_pubkey, owner_blob: answer.owner_blob });
}
