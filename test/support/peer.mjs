/** Someone else on Nostr, with a whole key and nostr-tools' own cryptography: the judge of what the bunker encrypts. */
import { generateSecretKey, getPublicKey, nip04, nip44 } from "nostr-tools";

export class Peer {
  constructor() {
    this.secretKey = generateSecretKey();
    this.pubkey = getPublicKey(this.secretKey);
  }

  encrypt44(to, text) {
    return nip44.encrypt(text, nip44.getConversationKey(this.secretKey, to));
  }

  decrypt44(from, payload) {
    return nip44.decrypt(payload, nip44.getConversationKey(this.secretKey, from));
  }

  encrypt04(to, text) {
    return nip04.encrypt(this.secretKey, to, text);
  }

  decrypt04(from, payload) {
    return nip04.decrypt(this.secretKey, from, payload);
  }
}
