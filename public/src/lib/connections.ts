/** Connections in words, and what a page does with them. */

import { api, call } from "../api/client";
import type { ConnectionStatus, ConnectionView, KeyView } from "../api/types";
import { identities } from "../stores/identities.svelte";
import { until } from "./when";

type Tone = "neutral" | "good" | "warn" | "info";

const STATUS: Readonly<Record<ConnectionStatus, { words: string; tone: Tone; lives: boolean }>> = {
  awaiting_client: { words: "waiting for the app", tone: "info", lives: true },
  connected: { words: "connected", tone: "good", lives: true },
  paused: { words: "paused", tone: "warn", lives: true },
  logged_out: { words: "logged out", tone: "neutral", lives: false },
  revoked: { words: "revoked", tone: "neutral", lives: false },
  expired: { words: "expired", tone: "neutral", lives: false },
};

export function statusOf(connection: Pick<ConnectionView, "status">): (typeof STATUS)[ConnectionStatus] {
  return STATUS[connection.status];
}

/** "until I revoke it", "until tomorrow at 14:00". */
export function lasts(expires_at: number | null, now: number): string {
  if (expires_at === null) return "until you revoke it";
  return expires_at <= now ? "over" : `ends ${until(expires_at, now)}`;
}

/** What a client says of itself, as one line; null when it says nothing. */
export function claim(connection: Pick<ConnectionView, "client">): string | null {
  const { name, url } = connection.client ?? { name: null, url: null };
  const parts = [name, url && hostOf(url)].filter((part): part is string => Boolean(part));
  return parts.length > 0 ? parts.join(", ") : null;
}

function hostOf(url: string): string {
  try {
    return new URL(url).host || url;
  } catch {
    return url;
  }
}

export async function connectionsOf(group: string): Promise<ConnectionView[]> {
  const { connections } = await call(api.GET("/keys/{group}/connections", { params: { path: { group } } }));
  return connections;
}

export type Found = { key: KeyView; connection: ConnectionView };

/** Finds a connection in any of the account's identities; the chosen one is looked at first. */
export async function findConnection(id: string): Promise<Found | null> {
  const keys = [...(await identities.load())];
  const chosen = identities.current?.group;
  keys.sort((a, b) => Number(b.group === chosen) - Number(a.group === chosen));
  for (const key of keys) {
    const connection = (await connectionsOf(key.group)).find((it) => it.connection === id);
    if (connection) return { key, connection };
  }
  return null;
}

/** Longest name, in bytes of UTF-8. */
export const MAX_LABEL_BYTES = 128;

/** What is wrong with a name, or null. */
export function labelProblem(label: string): string | null {
  const bytes = new TextEncoder().encode(label.trim()).length;
  if (bytes === 0) return "Give the app a name, so that you know it again.";
  return bytes > MAX_LABEL_BYTES ? "That is too long: leave out some words." : null;
}
