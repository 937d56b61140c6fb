// Ceremonies over HTTP, as a keygen needs them.

import type { KeygenServer } from "../lib/keygen";
import { api, call } from "./client";

export const ceremonies: KeygenServer = {
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
