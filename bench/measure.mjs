/** The measuring itself: one app asks for signatures, alone or several at once. */
import { generateSecretKey, verifyEvent } from "nostr-tools";
import { BunkerSigner, parseBunkerInput } from "nostr-tools/nip46";

/**
 * @typedef {object} Sample
 * @property {number[]} times_ms of each signature, from asking to having it verified by the app
 * @property {number} signatures
 * @property {number} wall_ms for all of them
 */

/** Connects an app to a bunker. @param {string} bunkerUrl */
export async function connectApp(bunkerUrl) {
  const signer = BunkerSigner.fromBunker(generateSecretKey(), await parseBunkerInput(bunkerUrl));
  await signer.connect();
  return signer;
}

/**
 * Has `count` different notes signed with `inFlight` requests open at any time.
 * nostr-tools verifies each before it hands it over.
 * @param {BunkerSigner} signer
 * @returns {Promise<Sample>}
 */
export async function sample(signer, count, inFlight) {
  const times_ms = [];
  let left = count;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) {
        const at = performance.now();
        const note = await signer.signEvent({
          kind: 1,
          created_at: Math.floor(Date.now() / 1000),
          tags: [],
          content: `A note to be signed, number ${left}: ${Math.random()}`,
        });
        times_ms.push(performance.now() - at);
        if (!verifyEvent(note)) throw new Error("an invalid signature was handed over");
      }
    }),
  );
  return { times_ms, signatures: times_ms.length, wall_ms: performance.now() - began };
}

/** Figures over all samples of one kind. @param {Sample[]} samples */
export function figures(samples) {
  const sorted = samples.flatMap(({ times_ms }) => times_ms).sort((a, b) => a - b);
  const rank = (share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  const signatures = samples.reduce((total, one) => total + one.signatures, 0);
  const wall_ms = samples.reduce((total, one) => total + one.wall_ms, 0);
  return {
    signatures,
    p50_ms: round(rank(0.5)),
    p95_ms: round(rank(0.95)),
    signatures_per_s: round((signatures * 1000) / wall_ms),
  };
}

const round = (number) => Math.round(number * 100) / 100;
