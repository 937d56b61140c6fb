// Making an account, getting into it, and taking it back: vault and server, in the right order.

import { api, call } from "../api/client";
import { isCode, NoAnswer } from "../api/problem";
import type { SignIn } from "../api/types";
import { session } from "../stores/session.svelte";
import { vault, VaultError, type Enrolment, type Progress } from "../vault";
import { deviceName, deviceToken } from "./device";
import { resent } from "./resent";

/** What a username may be; the server says the same. */
export const USERNAME = /^[a-z0-9_.-]{3,32}$/;

/** Makes the owner key, registers, and signs in. The vault is open afterwards. */
export class Registration {
  /** Sent, and perhaps received: with the same name it is the same account, so it is not made anew. */
  #sent: { username: string; typed: string; enrolment: Enrolment } | null = null;

  async run(username: string, password: string, progress: Progress): Promise<void> {
    const before = this.#sent;
    const again = before?.username === username && before.typed === password;
    const enrolment = again
      ? before.enrolment
      : await vault.register({ origin: location.origin, username, password }, progress);
    this.#sent = null;
    let unsure = again;
    try {
      await resent(() => {
        const answer = call(api.POST("/auth/register", { body: { username, ...enrolment } }));
        answer.catch((error: unknown) => (unsure ||= error instanceof NoAnswer));
        return answer;
      });
    } catch (error) {
      if (error instanceof NoAnswer) this.#sent = { username, typed: password, enrolment };
      // The name may be taken by the very request whose answer was lost: then its login secret opens it.
      if (!unsure || !isCode(error, "username_taken", "owner_key_taken")) throw error;
    }
    try {
      await session.begin(await token(username, enrolment.password));
    } catch (error) {
      if (error instanceof NoAnswer) this.#sent = { username, typed: password, enrolment };
      throw error;
    }
  }
}

/** Signs in with a password. The vault is open afterwards, if the account keeps its owner key here. */
export async function signIn(username: string, password: string, progress: Progress): Promise<void> {
  const { kdf } = await call(api.POST("/auth/params", { body: { username } }));
  const secret = await vault.loginSecret({ password, kdf }, progress);
  const answer = await token(username, secret);
  await open(answer);
  await session.begin(answer);
}

/** Takes an account back with its kit, under a new password, and signs in. Gives back the username. */
export async function recoverAccount(
  args: { kit: string; passphrase: string; ownerPubkey: string; password: string },
  progress: Progress,
): Promise<string> {
  const { challenge } = await call(
    api.POST("/auth/recover/challenge", { body: { owner_pubkey: args.ownerPubkey } }),
  );
  const { kit, passphrase, password } = args;
  const made = await vault.recover({ origin: location.origin, kit, passphrase, challenge, password }, progress);
  const { owner_pubkey, owner_blob, kdf, proof } = made;
  const body = { owner_pubkey, challenge, password: made.password, owner_blob, kdf, proof };
  const { username } = await call(api.POST("/auth/recover", { body }));
  await session.begin(await token(username, made.password));
  return username;
}

function token(username: string, password: string): Promise<SignIn> {
  const known = deviceToken(username);
  const body = { username, password, device: deviceName(), ...(known ? { device_token: known } : {}) };
  return call(api.POST("/auth/token", { body }));
}

/** Opens the vault with what a sign-in brought. An owner blob of another password stays shut; one can still be signed in. */
async function open(answer: SignIn): Promise<void> {
  if (!answer.owner_blob) return;
  try {
    await vault.unlock({ owner_pubkey: answer.owner_pubkey, owner_blob: answer.owner_blob });
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== "blob_does_not_open") throw error;
  }
}
