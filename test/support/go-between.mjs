/** Between a client and a server, over HTTP: sees what passes, and can hold it up or change it as a bad server could. */
import { createServer, request } from "node:http";

/** @typedef {{method: string, path: string, body: Buffer}} Asked */

export class GoBetween {
  /** Is told of each request before it goes on; what it returns as `false` is cut off. @type {(asked: Asked) => unknown} */
  before = () => true;
  /** Changes what is answered, given as JSON. @type {(asked: Asked, answer: any) => any} */
  after = (_, answer) => answer;
  /** What was asked for, as `METHOD path`. */
  asked = [];

  /** @param {{url: string}} server */
  static async open(server) {
    const it = new GoBetween();
    it.server = server;
    it.listener = createServer((incoming, outgoing) => void it.#pass(incoming, outgoing));
    await new Promise((resolve) => it.listener.listen(0, "127.0.0.1", resolve));
    it.url = `http://127.0.0.1:${it.listener.address().port}`;
    return it;
  }

  close() {
    this.listener.closeAllConnections();
    return new Promise((resolve) => this.listener.close(resolve));
  }

  async #pass(incoming, outgoing) {
    try {
      const asked = { method: incoming.method, path: incoming.url, body: await whole(incoming) };
      this.asked.push(`${asked.method} ${asked.path}`);
      if ((await this.before(asked)) === false) return incoming.socket.destroy();
      const answer = await this.#forward(incoming, asked);
      const text = await whole(answer);
      const body = answer.headers["content-type"]?.includes("json") ? JSON.stringify(this.after(asked, JSON.parse(text))) : text;
      outgoing.writeHead(answer.statusCode, { "content-type": answer.headers["content-type"] ?? "text/plain" }).end(body);
    } catch {
      incoming.socket.destroy();
    }
  }

  #forward(incoming, { method, path, body }) {
    return new Promise((resolve, reject) => {
      const headers = { ...incoming.headers, host: new URL(this.server.url).host };
      request(this.server.url + path, { method, headers, agent: false }, resolve).on("error", reject).end(body);
    });
  }
}

async function whole(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
