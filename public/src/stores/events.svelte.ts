// What is new at the server, live: one socket for each identity. Messages are hints to read again; a page
// subscribes with `events.on(group, 'requests', read)` in an $effect and gets an unsubscriber back.

import { untrack } from "svelte";
import { api, call } from "../api/client";
import { session } from "./session.svelte";

export type Hint = "requests" | "connections" | "activity";

const PROTOCOL = "passport.events.v1";
/** The server's word for "your token has run out". */
const TOKEN_ENDED = 4401;
const WAIT_FIRST_MS = 1_000;
const WAIT_MOST_MS = 60_000;
/** The server ends a socket with its token, after 15 minutes. One that broke unnoticed is replaced by then too. */
const RENEW_AFTER_MS = 14 * 60_000;
/** A page that was out of sight for longer may have slept, and its sockets with it. */
const SLEPT_AFTER_MS = 60_000;

class Feed {
  #socket: WebSocket | null = null;
  #wait_ms = WAIT_FIRST_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #refused: string | undefined;
  #ended = false;
  open = $state(false);

  constructor(
    readonly group: string,
    readonly hear: (hint: Hint) => void,
  ) {
    void this.#connect();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** Connects now: instead of at the end of the wait, or anew. */
  renew(): void {
    if (this.#ended) return;
    this.#drop();
    clearTimeout(this.#timer);
    this.#wait_ms = WAIT_FIRST_MS;
    void this.#connect();
  }

  get connected(): boolean {
    return this.#socket !== null;
  }

  #drop(): void {
    clearTimeout(this.#renewal);
    const socket = this.#socket;
    this.#socket = null;
    this.open = false;
    socket?.close();
  }

  async #connect(): Promise<void> {
    this.#timer = undefined;
    let token: string | null;
    try {
      token = await session.accessToken(this.#refused ? { not: this.#refused } : {});
    } catch {
      return this.#later();
    }
    if (this.#ended || !token || this.#socket) return;
    this.#refused = undefined;
    const url = new URL(`/keys/${this.group}/events`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, [PROTOCOL, `token.${token}`]);
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      opened = true;
      this.open = true;
      this.#wait_ms = WAIT_FIRST_MS;
      this.#renewal = setTimeout(() => this.renew(), RENEW_AFTER_MS);
      // What happened while nobody listened is unknown, so everything is read again.
      for (const hint of ["requests", "connections", "activity"] as const) this.hear(hint);
    };
    socket.onmessage = ({ data }) => {
      const hint = typeOf(data);
      if (hint) this.hear(hint);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket) return;
      this.#drop();
      if (code === TOKEN_ENDED) this.#refused = token;
      // A browser does not tell why a socket was refused. Asking over HTTP does, and renews an ended token.
      if (!opened) this.hear("requests");
      this.#later();
    };
  }

  #later(): void {
    if (this.#ended || this.#timer) return;
    const jitter = 0.75 + Math.random() / 2;
    this.#timer = setTimeout(() => void this.#connect(), this.#refused ? 0 : this.#wait_ms * jitter);
    this.#wait_ms = Math.min(this.#wait_ms * 2, WAIT_MOST_MS);
  }
}

function typeOf(data: unknown): Hint | null {
  try {
    const { type } = JSON.parse(String(data)) as { type?: unknown };
    return type === "requests" || type === "connections" || type === "activity" ? type : null;
  } catch {
    return null;
  }
}

type Listener = { group: string | null; hint: Hint; run: (group: string) => void };

class Events {
  #feeds = $state.raw<ReadonlyMap<string, Feed>>(new Map());
  #listeners = new Set<Listener>();
  #waiting = $state<Record<string, number>>({});

  /** Requests that wait for the person's answer, over all identities. */
  readonly waiting = $derived(Object.values(this.#waiting).reduce((sum, count) => sum + count, 0));

  constructor() {
    let hidden_at_ms = 0;
    addEventListener("online", () => this.#renew(true));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) hidden_at_ms = Date.now();
      else this.#renew(Date.now() - hidden_at_ms > SLEPT_AFTER_MS);
    });
    this.on(null, "requests", (group) => void this.#count(group));
  }

  /** Listens to exactly these identities from now on. */
  follow(groups: string[]): void {
    // What is followed already decides nothing for the caller.
    untrack(() => this.#follow(groups));
  }

  #follow(groups: string[]): void {
    const feeds = new Map<string, Feed>();
    for (const group of groups) {
      feeds.set(group, this.#feeds.get(group) ?? new Feed(group, (hint) => this.#hear(group, hint)));
    }
    for (const [group, feed] of this.#feeds) {
      if (feeds.has(group)) continue;
      feed.end();
      delete this.#waiting[group];
    }
    this.#feeds = feeds;
  }

  /** Whether news of this identity arrive at once. */
  isLive(group: string): boolean {
    return this.#feeds.get(group)?.open ?? false;
  }

  /** Runs on each hint about one identity, or about any with `null`. Gives back what ends it. */
  on(group: string | null, hint: Hint, run: (group: string) => void): () => void {
    const listener = { group, hint, run };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For a page that has just read the requests itself. */
  counted(group: string, waiting: number): void {
    this.#waiting[group] = waiting;
  }

  #hear(group: string, hint: Hint): void {
    for (const listener of this.#listeners) {
      if (listener.hint === hint && (listener.group ?? group) === group) listener.run(group);
    }
  }

  async #count(group: string): Promise<void> {
    try {
      const { requests } = await call(api.GET("/keys/{group}/requests", { params: { path: { group } } }));
      if (this.#feeds.has(group)) this.counted(group, requests.length);
    } catch {
      // The count stays as it was; the next hint or page reads it again.
    }
  }

  /** Connects those that are not, or all. */
  #renew(all: boolean): void {
    for (const feed of this.#feeds.values()) if (all || !feed.connected) feed.renew();
  }
}

export const events = new Events();
