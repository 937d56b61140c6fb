/**
 * An app that speaks NIP-46 over a plain socket, so that a test can send what no
 * published client would. Cryptography is nostr-tools', not ours.
 */
import { nip44, finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools";
import { parseBunkerInput } from "nostr-tools/nip46";
import { RelaySocket } from "./relay-socket.mjs";

/** NIP-46's kind. */
export const KIND = 24133;

export class RawApp {
  #serial = 0;

  /** Opens the socket and subscribes; does not send `connect`. @param {string} bunkerUrl @param {Uint8Array} [secretKey] */
  static async open(bunkerUrl, secretKey = generateSecretKey()) {
    const app = new RawApp();
    app.secretKey = secretKey;
    app.pubkey = getPublicKey(secretKey);
    app.bunker = await parseBunkerInput(bunkerUrl);
    app.conversationKey = nip44.getConversationKey(secretKey, app.bunker.pubkey);
    app.relay = await RelaySocket.open(app.bunker.relays[0]);
    app.relay.send(["REQ", "replies", { kinds: [KIND], "#p": [app.pubkey] }]);
    await app.relay.message(([type, id]) => type === "EOSE" && id === "replies", "EOSE");
    return app;
  }

  /** A signed request event. Anything in `over` replaces a field before signing. */
  event(request, over = {}) {
    const content = typeof request === "string" ? request : JSON.stringify(request);
    const template = {
      kind: KIND,
      created_at: Math.floor(Date.now() / 1000),
      tags: [["p", this.bunker.pubkey]],
      content: nip44.encrypt(content, this.conversationKey),
      ...over,
    };
    return finalizeEvent(template, this.secretKey);
  }

  /** A fresh request with its own id. */
  request(method, params) {
    return { id: `raw-${++this.#serial}`, method, params };
  }

  /** Sends a request and returns its decrypted reply, with the frame it came in. */
  async ask(method, params = [], over = {}) {
    const request = this.request(method, params);
    const event = this.event(request, over);
    this.relay.send(["EVENT", event]);
    const ok = await this.relay.ok(event.id);
    if (!ok.accepted) throw new Error(`not accepted: ${ok.reason}`);
    return { event, ...(await this.reply(request.id)) };
  }

  /** The reply to a request id. @returns {Promise<{reply: {id: string, result: string, error?: string}, frame: string}>} */
  async reply(requestId) {
    let reply;
    const frame = await this.relay.frame((text) => {
      const [type, , event] = JSON.parse(text);
      if (type !== "EVENT") return false;
      reply = this.open(event);
      return reply.id === requestId;
    }, `reply to ${requestId}`);
    return { reply, frame };
  }

  /** Decrypts a reply event. */
  open(event) {
    return JSON.parse(nip44.decrypt(event.content, this.conversationKey));
  }

  /** `connect` with the bunker URL's secret. */
  async connect() {
    const { reply } = await this.ask("connect", [this.bunker.pubkey, this.bunker.secret]);
    if (reply.result !== "ack") throw new Error(`connect was refused: ${reply.error}`);
  }

  close() {
    return this.relay.close();
  }
}
