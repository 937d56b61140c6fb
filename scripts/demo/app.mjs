/** The demo's app: nostr-tools as published, which knows nothing of Passport. */
import { generateSecretKey, getPublicKey, nip44, verifyEvent } from "nostr-tools";
import { BunkerSigner, parseBunkerInput } from "nostr-tools/nip46";

const { BUNKER_URL, EXPECTED_PUBKEY } = process.env;

const signer = BunkerSigner.fromBunker(generateSecretKey(), await parseBunkerInput(BUNKER_URL));

console.log("\n2. The app connects (nostr-tools, NIP-46)");
await signer.connect({ name: "Passport demo" });
const pubkey = await signer.getPublicKey();
check(pubkey === EXPECTED_PUBKEY, "the bunker's key is the account's");
console.log(`   connected; it signs as ${pubkey}`);

console.log("\n3. The app has a note signed: two shares, one signature");
const note = await signer.signEvent({
  kind: 1,
  created_at: Math.floor(Date.now() / 1000),
  tags: [["t", "passport"]],
  content: "Signed by a key that no machine holds.",
});
check(verifyEvent(structuredClone(note)), "nostr-tools verifies it");
console.log(JSON.stringify(note, null, 2).replace(/^/gm, "   "));

console.log("\n4. The app writes a private message to a stranger, and reads the answer (NIP-44)");
const strangerSecret = generateSecretKey();
const stranger = getPublicKey(strangerSecret);
const theirKey = nip44.getConversationKey(strangerSecret, pubkey);
const sent = await signer.nip44Encrypt(stranger, "Can you read this?");
check(nip44.decrypt(sent, theirKey) === "Can you read this?", "the stranger reads what was encrypted");
console.log("   the stranger decrypts what the bunker encrypted");
const answer = nip44.encrypt("Every word.", theirKey);
check((await signer.nip44Decrypt(stranger, answer)) === "Every word.", "the bunker reads the answer");
console.log("   the bunker decrypts what the stranger encrypted");

console.log("\n✓ Everything checked: the note verifies, and both messages were read.\n");
await signer.close();
process.exit(0);

function check(holds, what) {
  if (holds) return;
  console.error(`\n✗ Not so: ${what}`);
  process.exit(1);
}
