/** The socket over which a signed-in page, or a participant of a ceremony, hears that it should look again. */
import WebSocket from "ws";

const PROTOCOL = "passport.events.v1";

export class PagesSocket {
  /** All hints so far, oldest first. */
  hints = [];
  #waiting = [];

  /**
   * Opens an identity's, or fails with the status of the answer.
   * @param {{url: string}} server
   * @param {string} group
   * @param {string} token
   * @returns {Promise<PagesSocket>}
   */
  static open(server, group, token, protocols) {
    return PagesSocket.openAt(server, `/keys/${group}/events`, token, protocols);
  }

  /** The same at another path. */
  static openAt(server, path, token, protocols = [PROTOCOL, `token.${token}`]) {
    const page = new PagesSocket();
    page.socket = new WebSocket(server.url.replace("http", "ws") + path, protocols);
    page.socket.on("message", (text) => page.#hear(JSON.parse(text)));
    return new Promise((resolve, reject) => {
      page.socket.once("open", () => resolve(page));
      page.socket.once("error", () => {});
      page.socket.once("unexpected-response", (_, response) => {
        reject(Object.assign(new Error(`status ${response.statusCode}`), { status: response.statusCode }));
        page.socket.terminate();
      });
    });
  }

  /** The next hint of a type that was not waited for yet. @param {string} type */
  async hint(type) {
    const at = this.hints.findIndex((hint) => hint.type === type && !hint.taken);
    if (at >= 0) return Object.assign(this.hints[at], { taken: true });
    return new Promise((resolve) => this.#waiting.push({ type, resolve }));
  }

  close() {
    this.socket.terminate();
  }

  #hear(hint) {
    this.hints.push(hint);
    const at = this.#waiting.findIndex((it) => it.type === hint.type);
    if (at < 0) return;
    const [{ resolve }] = this.#waiting.splice(at, 1);
    resolve(Object.assign(hint, { taken: true }));
  }
}
