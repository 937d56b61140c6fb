// Ceremonies over HTTP, and what new shares of a key in use need besides.

import type { CeremonyServer } from "../lib/ceremony";
import type { OfferServer } from "../lib/joining";
import type { RenewalServer } from "../lib/renewal";
import { api, call } from "./client";

/** Leaves out everything that was said: for who only looks how a ceremony stands. */
const BEHIND_ALL = Number.MAX_SAFE_INTEGER;

export const ceremonies: CeremonyServer = {
  holders: () => call(api.GET("/holders")),
  start: (body) => call(api.POST("/ceremony/start", { body })),
  join: (operation_id, keys) => inRound(operation_id, 0, keys, 0),
  say: (operation_id, said, after) => inRound(operation_id, said.round, said, after),
  look: (operation_id, after) =>
    call(api.GET("/ceremony/{operation_id}", { params: { path: { operation_id }, query: { after } } })),
  // A tab that is being closed sends it all the same.
  cancel: (operation_id) =>
    call(api.DELETE("/ceremony/{operation_id}", { params: { path: { operation_id } }, keepalive: true })),
};

function inRound(operation_id: string, n: number, said: object, after: number): ReturnType<CeremonyServer["look"]> {
  return call(
    api.POST("/ceremony/{operation_id}/round/{n}", {
      params: { path: { operation_id, n }, query: { after } },
      // The document leaves open what a participant says.
      body: { participant_data: said as Record<string, never> },
    }),
  );
}

export const offers: OfferServer = {
  list: async () => (await call(api.GET("/ceremony"))).ceremonies.map(({ operation_id }) => operation_id),
  look: (operation_id) =>
    call(api.GET("/ceremony/{operation_id}", { params: { path: { operation_id }, query: { after: BEHIND_ALL } } })),
};

export const renewals: RenewalServer = {
  ...ceremonies,
  reshare: (group, statement) =>
    call(api.POST("/keys/{group}/reshare", { params: { path: { group } }, body: { statement } })),
  canExport: async (group) => {
    const { state } = await call(api.GET("/keys/{group}/export", { params: { path: { group } } }));
    return state === "ready";
  },
  present: async (group) => (await call(api.GET("/keys/{group}", { params: { path: { group } } }))).public,
};
