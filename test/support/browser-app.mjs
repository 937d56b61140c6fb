/** A Nostr app of somebody else, as published: what it asks for, and the questions that its user is sent to. */
import { generateSecretKey } from "nostr-tools";
import { BunkerSigner, parseBunkerInput } from "nostr-tools/nip46";
import { nowS } from "./clock.mjs";

export class App {
  /** Addresses that the app opened for its user. @type {string[]} */
  opened = [];
  #waiting = [];

  /** Connects by a link. @param {string} url @param {object} [metadata] what it says of itself */
  static async connect(url, metadata = { name: "A test app", url: "https://app.example" }) {
    const app = new App();
    const onauth = (to) => {
      app.opened.push(to);
      app.#waiting.shift()?.(to);
    };
    app.signer = BunkerSigner.fromBunker(generateSecretKey(), await parseBunkerInput(url), { onauth });
    await app.signer.connect(metadata);
    return app;
  }

  /** The next address that it is sent to. @returns {Promise<string>} */
  nextQuestion(timeout_ms = 15_000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the app was sent nowhere")), timeout_ms);
      this.#waiting.push((to) => {
        clearTimeout(timer);
        resolve(to);
      });
    });
  }

  /** Asks for a signature. The answer may take as long as a person. */
  sign(template) {
    return handled(this.signer.signEvent({ kind: 1, created_at: nowS(), tags: [], content: "", ...template }));
  }

  ask(method, params) {
    return handled(this.signer.sendRequest(method, params));
  }

  close() {
    return this.signer?.close();
  }
}

/** A refusal may come before anybody waits for it. */
function handled(promise) {
  promise.catch(() => undefined);
  return promise;
}
