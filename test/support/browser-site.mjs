/** A server as a browser sees it: at `localhost`, so that passkeys work there, through a {@link Tap}. */
import { startServer } from "./server.mjs";
import { Tap } from "./browser-tap.mjs";

export class Site {
  constructor(server, tap) {
    this.server = server;
    this.tap = tap;
  }

  /** The origin that people open. */
  get url() {
    return originOf(this.tap);
  }

  async stop() {
    await this.tap.close();
    await this.server.stop();
  }
}

/** Starts one with empty storage. @param {Parameters<typeof startServer>[0]} [options] */
export async function startSite({ vars = {}, ...options } = {}) {
  const tap = await Tap.open();
  try {
    const server = await startServer({ ...options, vars: { PUBLIC_URL: originOf(tap), ...vars } });
    tap.leadTo(server.port);
    return new Site(server, tap);
  } catch (error) {
    await tap.close();
    throw error;
  }
}

const originOf = (tap) => `http://localhost:${tap.port}`;
