/** A plain WebSocket to a relay that keeps every frame it receives, for tests of the protocol itself. */
import { WebSocket } from "ws";

/** How long to wait for a frame that must come, in milliseconds. */
const FRAME_LIMIT_MS = 60_000;

export class RelaySocket {
  #waiting = new Set();

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.socket = socket;
    /** Raw text of every frame received, in order. */
    this.frames = [];
    this.closed = new Promise((resolve) => {
      socket.on("close", (code) => resolve(code));
    });
    socket.on("error", () => {}); // `closed` tells
    socket.on("message", (data) => {
      this.frames.push(data.toString());
      for (const look of this.#waiting) look();
    });
  }

  /** @param {string} url */
  static open(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, { maxPayload: 64 * 1024 * 1024 });
      const relay = new RelaySocket(socket);
      socket.once("open", () => resolve(relay));
      socket.once("error", reject);
    });
  }

  /** Sends a message, or a text as it is. @param {unknown[]|string} message */
  send(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /**
   * The first message, of those received or still to come, that `wanted` accepts.
   * @param {(message: any[]) => unknown} wanted
   * @param {string} [what] for the error
   * @returns {Promise<any[]>}
   */
  async message(wanted, what = "message") {
    return JSON.parse(await this.frame((text) => wanted(JSON.parse(text)), what));
  }

  /** As {@link message}, with the text as it came. */
  frame(wanted, what = "frame") {
    return new Promise((resolve, reject) => {
      let next = 0;
      const done = (finish) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        finish();
      };
      const look = () => {
        while (next < this.frames.length) {
          const text = this.frames[next++];
          if (wanted(text)) return done(() => resolve(text));
        }
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`No ${what}; received: ${this.frames.join("\n").slice(0, 2000)}`))),
        FRAME_LIMIT_MS,
      );
      this.#waiting.add(look);
      void this.closed.then(() => {
        if (this.#waiting.has(look)) done(() => reject(new Error(`The socket closed before the ${what} came.`)));
      });
      look();
    });
  }

  /** The `OK` for an event. @returns {Promise<{accepted: boolean, reason: string}>} */
  async ok(eventId) {
    const [, , accepted, reason] = await this.message(([type, id]) => type === "OK" && id === eventId, `OK for ${eventId}`);
    return { accepted, reason };
  }

  /** Forgets what was received, so that the next wait is for something new. */
  forget() {
    this.frames.length = 0;
  }

  close() {
    this.socket.close();
    return this.closed;
  }
}
