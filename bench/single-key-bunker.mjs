/**
 * The other side of the comparison: NDK's bunker as published, with one whole
 * key in this process. Argument: the relay's URL. Prints its bunker URL.
 */
import NDK, { NDKNip46Backend, NDKPrivateKeySigner } from "@nostr-dev-kit/ndk";

process.stdin.resume().on("close", () => process.exit()); // when the benchmark ends, however it ends

const relay = process.argv[2];
const ndk = new NDK({ explicitRelayUrls: [relay], enableOutboxModel: false });
await ndk.connect();
const signer = NDKPrivateKeySigner.generate();
const backend = new NDKNip46Backend(ndk, signer, async () => true, [relay]);
backend.applyToken = async () => {}; // any secret will do: only signing is measured
await backend.start();
await new Promise((resolve) => setTimeout(resolve, 1000)); // its subscription has no sign of being open
console.log(`bunker://${signer.pubkey}?relay=${encodeURIComponent(relay)}&secret=benchmarkbenchmark`);
