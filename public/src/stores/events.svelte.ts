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
/** The server pings more often than this; a socket that is silent for longer is dead. */
const SILENCE_MOST_MS = 120_000;

class Feed {
  #socket: WebSocket | null = null;
  #wait_ms = WAIT_FIRST_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
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
    clearTimeout(this.#silence);
    this.#socket?.close();
  }

  /** Tries now instead of at the end of the wait. */
  hurry(): void {
    if (this.#ended || this.#socket) return;
    clearTimeout(this.#timer);
    this.#wait_ms = WAIT_FIRST_MS;
    void this.#connect();
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
    socket.onopen = () => {
      this.open = true;
      this.#wait_ms = WAIT_FIRST_MS;
      this.#heard();
      // What happened while nobody listened is unknown, so everything is read again.
      for (const hint of ["requests", "connections", "activity"] as const) this.hear(hint);
    };
    socket.onmessage = ({ data }) => {
      this.#heard();
      const hint = typeOf(data);
      if (hint) this.hear(hint);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(this.#silence);
      this.#socket = null;
      this.open = false;
      if (code === TOKEN_ENDED) this.#refused = token;
      this.#later();
    };
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket?.close(), SILENCE_MOST_MS);
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
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#hurry();
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

  #hurry(): void {
    for (const feed of this.#feeds.values()) feed.hurry();
  }
}

export const events = new Events();
