// Where this device holds a share: what the server offers it to contribute to, and its contribution.

import type { ContributionServer } from "../lib/contribution";
import { renewals } from "./ceremonies";
import { api, call } from "./client";

export const contributions: ContributionServer = {
  offer: (group, request) =>
    call(api.POST("/keys/{group}/requests/{request}/offer", { params: { path: { group, request } } })),
  contribute: async (group, request, { reply, round }) => {
    const answer = api.POST("/keys/{group}/requests/{request}/contribution", {
      params: { path: { group, request } },
      body: { reply: reply as Record<string, never>, round },
    });
    return (await call(answer)).status;
  },
  present: renewals.present,
};
