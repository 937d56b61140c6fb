/**
 * Stands between the browser and the server, and keeps every byte that the browser sends: what a page, a worker or a
 * closing tab says, by whatever API. The messages of WebSockets are kept unmasked.
 */
import { connect, createServer } from "node:net";

const HEAD_END = "\r\n\r\n";
/** Would compress messages, so that nobody could look into them here. */
const EXTENSIONS = /\r\nsec-websocket-extensions:[^\r]*/i;
const UPGRADE = /\r\nupgrade: *websocket/i;

export class Tap {
  #listener;
  #conversations = [];
  #sockets = new Set();
  #target = 0;

  /** Listens on a free port. */
  static async open() {
    const tap = new Tap();
    tap.#listener = createServer((socket) => tap.#join(socket));
    await new Promise((resolve, reject) => tap.#listener.once("error", reject).listen(0, "127.0.0.1", resolve));
    return tap;
  }

  get port() {
    return this.#listener.address().port;
  }

  /** Where everything goes on to. @param {number} port */
  leadTo(port) {
    this.#target = port;
  }

  /** What each connection said so far. @returns {Buffer[]} */
  sent() {
    return this.#conversations.flatMap((it) => it.heard());
  }

  /** Cuts every connection that is open now. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close() {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  #join(client) {
    const server = connect({ host: "127.0.0.1", port: this.#target });
    const conversation = new Conversation();
    this.#conversations.push(conversation);
    client.on("data", (bytes) => server.write(conversation.hear(bytes)));
    server.on("data", (bytes) => client.write(bytes));
    for (const [one, other] of [[client, server], [server, client]]) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on("end", () => other.end());
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

/** One connection, in the direction from the browser. */
class Conversation {
  #raw = [];
  #messages = null;

  /** Keeps bytes, and gives back what is passed on. */
  hear(bytes) {
    this.#raw.push(bytes);
    if (this.#messages) {
      this.#messages.hear(bytes);
      return bytes;
    }
    const text = bytes.toString("latin1");
    const end = text.indexOf(HEAD_END);
    const head = text.slice(0, end);
    if (end < 0 || !UPGRADE.test(head)) return bytes;
    this.#messages = new Messages();
    this.#messages.hear(bytes.subarray(end + HEAD_END.length));
    return Buffer.concat([Buffer.from(head.replace(EXTENSIONS, ""), "latin1"), bytes.subarray(end)]);
  }

  heard() {
    return [Buffer.concat(this.#raw), ...(this.#messages ? [this.#messages.all()] : [])];
  }
}

/** A client's frames (RFC 6455, section 5), unmasked; parts of one message stand behind each other. */
class Messages {
  #left = Buffer.alloc(0);
  #payloads = [];

  hear(bytes) {
    this.#left = Buffer.concat([this.#left, bytes]);
    for (let frame = this.#frame(); frame; frame = this.#frame()) this.#payloads.push(frame);
  }

  all() {
    return Buffer.concat(this.#payloads);
  }

  #frame() {
    const it = this.#left;
    if (it.length < 2) return null;
    const short = it[1] & 127;
    const lengthBytes = { 126: 2, 127: 8 }[short] ?? 0;
    const masked = it[1] & 128 ? 4 : 0;
    const start = 2 + lengthBytes + masked;
    if (it.length < start) return null;
    const length = lengthBytes === 2 ? it.readUInt16BE(2) : lengthBytes === 8 ? Number(it.readBigUInt64BE(2)) : short;
    if (it.length < start + length) return null;
    const mask = it.subarray(start - masked, start);
    const payload = Buffer.from(it.subarray(start, start + length), 0, length).map((byte, n) => (masked ? byte ^ mask[n % 4] : byte));
    this.#left = it.subarray(start + length);
    return payload;
  }
}
