/**
 * Listens to everything that a browser profile asks for, sends, logs and keeps, beside the {@link Tap} on its line, and
 * says what should not have been there.
 */
/** How Chromium reports an answer with an error status; every other error on the console is a page's own. */
const REFUSED = /^Failed to load resource: the server responded with a status of (\d{3})/;

export class Wiretap {
  /** Each thing heard: where, and what. @type {{where: string, bytes: Buffer}[]} */
  #heard = [];
  #waiting = [];
  #context;
  #tap;
  /** Origins asked. @type {Set<string>} */
  origins = new Set();
  /** Errors and warnings of pages and workers. @type {string[]} */
  complaints = [];
  /** Requests that were answered with an error, as `403 POST /auth/reauthenticate from /security`. @type {string[]} */
  refusals = [];

  /**
   * From now on, for all pages of a profile.
   * @param {import("playwright-core").BrowserContext} context
   * @param {import("./browser-tap.mjs").Tap} [tap] the line to the server
   */
  static on(context, tap) {
    const wiretap = new Wiretap();
    wiretap.#context = context;
    wiretap.#tap = tap;
    context.on("request", (request) => wiretap.#asked(request));
    context.on("response", (response) => {
      if (response.status() < 400) return;
      const request = response.request();
      const asker = request.serviceWorker() ? "a service worker" : new URL(request.frame().url()).pathname;
      wiretap.refusals.push(`${response.status()} ${request.method()} ${new URL(response.url()).pathname} from ${asker}`);
    });
    context.on("console", (message) => {
      const text = message.text();
      wiretap.#hear("console", text);
      if (!["error", "warning"].includes(message.type()) || REFUSED.test(text)) return;
      wiretap.complaints.push(`${message.type()}: ${text} (${message.location().url})`);
    });
    context.on("weberror", (error) => {
      const { message, stack } = error.error();
      wiretap.#hear("error", `${message}\n${stack}`);
      wiretap.complaints.push(`uncaught: ${message}\n${stack}`);
    });
    const follow = (page) => wiretap.#follow(page);
    context.pages().forEach(follow);
    context.on("page", follow);
    return wiretap;
  }

  #follow(page) {
    page.on("framenavigated", (frame) => this.#hear("address", frame.url()));
    page.on("websocket", (socket) => {
      this.origins.add(origin(socket.url()));
      this.#hear(`WebSocket ${socket.url()}`, socket.url());
      socket.on("framesent", ({ payload }) => this.#hear(`WebSocket ${socket.url()}`, payload));
    });
  }

  #asked(request) {
    const where = `${request.method()} ${request.url()}`;
    this.origins.add(origin(request.url()));
    this.#hear(where, request.url());
    this.#hear(where, request.postDataBuffer() ?? "");
    const headers = request.allHeaders().catch(() => request.headers()); // a page that is closed meanwhile
    this.#waiting.push(headers.then((it) => this.#hear(where, JSON.stringify(it))));
  }

  #hear(where, what) {
    this.#heard.push({ where, bytes: Buffer.from(what) });
  }

  /** What the profile keeps on disk. */
  async #kept() {
    const pages = this.#context.pages().filter((page) => page.url().startsWith("http"));
    const kept = await Promise.all(
      pages.map((page) => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))),
    );
    const state = await this.#context.storageState({ indexedDB: true });
    return [...kept, JSON.stringify(state)].map((text) => ({ where: "the browser's storage", bytes: Buffer.from(text) }));
  }

  /**
   * Where one of these was sent, logged, put into an address or stored, in any form.
   * @param {import("./browser-secrets.mjs").Watched[]} secrets
   * @returns {Promise<string[]>}
   */
  async leaks(secrets) {
    await Promise.all(this.#waiting);
    const line = (this.#tap?.sent() ?? []).map((bytes) => ({ where: `the line: ${firstLine(bytes)}`, bytes }));
    const all = [...this.#heard, ...line, ...(await this.#kept())];
    const found = secrets.flatMap((secret) =>
      all.flatMap(({ where, bytes }) => {
        const way = secret.foundIn(bytes);
        return way ? [`${secret.name}, ${way}: ${where}`] : [];
      }),
    );
    return [...new Set(found)];
  }

  /** Other origins that were asked. @param {string} url of the site */
  foreignTo(url) {
    const own = new URL(url).host;
    return [...this.origins].filter((it) => new URL(it).host !== own);
  }

  /**
   * What pages complained of, and the requests that were refused.
   * @param {RegExp[]} [refusals] those that had to be
   */
  troubles(refusals = []) {
    return [...this.complaints, ...this.refusals.filter((it) => !refusals.some((expected) => expected.test(it)))];
  }

  /** How much was heard: a test of silence first makes sure that there was something to hear. */
  get requests() {
    return this.#heard.filter(({ where }) => /^[A-Z]+ http/.test(where)).length;
  }
}

function origin(url) {
  const { protocol, host, origin: of } = new URL(url);
  if (protocol === "blob:" || protocol === "data:") return of === "null" ? `${protocol}//inline` : of;
  return `${protocol}//${host}`;
}

const firstLine = (bytes) => bytes.subarray(0, 100).toString("latin1").split("\r\n", 1)[0].replace(/[^\x20-\x7e]/g, "·");
