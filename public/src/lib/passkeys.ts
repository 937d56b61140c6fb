// WebAuthn as this site uses it. The PRF output opens the owner key, so it never leaves the page: it is taken out
// of the credential before that is sent.

import { Cancelled } from "../api/problem";
import type { PasskeyAnswer, PasskeyMade, PasskeyOptions } from "../api/types";

export type Assertion = { credential: PasskeyAnswer; prf: Uint8Array | null };
export type NewPasskey = { credential: PasskeyMade; prf: Uint8Array | null; prfEnabled: boolean };

/** What kept the browser from making or using a passkey; the message is for people. */
export class PasskeyError extends Error {
  override name = "PasskeyError";
}

type PrfResults = { prf?: { enabled?: boolean; results?: { first?: BufferSource } } };
type OptionsJson = { extensions?: { prf?: { eval?: { first?: string } } } };

export function passkeysSupported(): boolean {
  return (
    typeof PublicKeyCredential !== "undefined" &&
    typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function" &&
    typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function"
  );
}

/** Whether the browser can offer passkeys inside the username field. */
export async function canOfferInField(): Promise<boolean> {
  return passkeysSupported() && ((await PublicKeyCredential.isConditionalMediationAvailable?.()) ?? false);
}

/** Asks for a passkey. `mediation: 'conditional'` waits inside the username field until `signal` ends it. */
export async function usePasskey(
  options: PasskeyOptions,
  how: { mediation?: CredentialMediationRequirement; signal?: AbortSignal } = {},
): Promise<Assertion> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    withoutPrf(options.public_key) as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  addPrf(publicKey, options.public_key);
  const credential = await asked(() => navigator.credentials.get({ publicKey, ...how }));
  return { credential: sendable<PasskeyAnswer>(credential), prf: prfOf(credential) };
}

/** Makes a passkey. Some authenticators tell the PRF output only when it is used: then `prf` is null. */
export async function makePasskey(options: PasskeyOptions): Promise<NewPasskey> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    withoutPrf(options.public_key) as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  addPrf(publicKey, options.public_key);
  const credential = await asked(() => navigator.credentials.create({ publicKey }));
  const { prf } = credential.getClientExtensionResults() as PrfResults;
  return { credential: sendable<PasskeyMade>(credential), prf: prfOf(credential), prfEnabled: prf?.enabled ?? false };
}

async function asked(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  let credential: Credential | null;
  try {
    credential = await ask();
  } catch (error) {
    throw explained(error);
  }
  if (!(credential instanceof PublicKeyCredential)) throw new PasskeyError("Your browser gave no passkey. Try again.");
  return credential;
}

function explained(error: unknown): unknown {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "AbortError") return new Cancelled();
  if (name === "NotAllowedError") {
    return new PasskeyError("No passkey was used: the request was closed, or took too long. Try again when ready.");
  }
  if (name === "InvalidStateError") {
    return new PasskeyError("This device already has a passkey for this account.");
  }
  if (name === "SecurityError") {
    return new PasskeyError("Your browser allows no passkeys at this address. Use your password.");
  }
  return error;
}

// Not every browser's parser reads the extension, so it is added by hand.
function withoutPrf(json: Record<string, unknown>): Record<string, unknown> {
  const extensions = { ...(json["extensions"] as Record<string, unknown> | undefined) };
  delete extensions["prf"];
  return { ...json, extensions };
}

function addPrf(
  publicKey: PublicKeyCredentialCreationOptions | PublicKeyCredentialRequestOptions,
  json: Record<string, unknown>,
): void {
  const first = (json as OptionsJson).extensions?.prf?.eval?.first;
  const prf = first ? { eval: { first: fromBase64Url(first) } } : {};
  publicKey.extensions = { ...publicKey.extensions, prf } as AuthenticationExtensionsClientInputs;
}

function prfOf(credential: PublicKeyCredential): Uint8Array | null {
  const first = (credential.getClientExtensionResults() as PrfResults).prf?.results?.first;
  if (!first) return null;
  return first instanceof ArrayBuffer
    ? new Uint8Array(first)
    : new Uint8Array(first.buffer, first.byteOffset, first.byteLength);
}

function sendable<T>(credential: PublicKeyCredential): T {
  return { ...(credential.toJSON() as T), clientExtensionResults: {} };
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
