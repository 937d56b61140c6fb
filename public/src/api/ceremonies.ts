// Ceremonies over HTTP, and what new shares of a key in use need besides.

import type { CeremonyServer } from "../lib/ceremony";
import type { RenewalServer } from "../lib/renewal";
import { api, call } from "./client";

export const ceremonies: CeremonyServer = {
  holders: () => call(api.GET("/holders")),
  start: (body) => call(api.POST("/ceremony/start", { body })),
  say: (operation_id, said, after) =>
    call(
      api.POST("/ceremony/{operation_id}/round/{n}", {
        params: { path: { operation_id, n: said.round }, query: { after } },
        // The document leaves open what a participant says.
        body: { participant_data: said as object as Record<string, never> },
      }),
    ),
  look: (operation_id, after) =>
    call(api.GET("/ceremony/{operation_id}", { params: { path: { operation_id }, query: { after } } })),
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
