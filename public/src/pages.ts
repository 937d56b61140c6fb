// Which component shows which page. Each is loaded when it is first opened.

import type { Component } from "svelte";
import type { RouteName } from "./lib/router.svelte";

/** A page takes its path's parameters as `params`, or nothing. */
type PageModule = { default: Component<any> };
type Page = {
  load: () => Promise<PageModule>;
  /** `in`: needs somebody signed in. `out`: pointless for them. `any`: both. */
  who: "in" | "out" | "any";
};

const page = (load: Page["load"], who: Page["who"] = "in"): Page => ({ load, who });

export const pages: Record<RouteName, Page> = {
  home: page(() => import("./pages/Home.svelte"), "any"),
  register: page(() => import("./pages/Register.svelte"), "out"),
  signIn: page(() => import("./pages/SignIn.svelte"), "out"),
  recover: page(() => import("./pages/Recover.svelte"), "any"),
  newIdentity: page(() => import("./pages/NewIdentity.svelte")),
  identity: page(() => import("./pages/Identity.svelte")),
  renewal: page(() => import("./pages/Renewal.svelte")),
  apps: page(() => import("./pages/Apps.svelte")),
  newApp: page(() => import("./pages/Connect.svelte")),
  app: page(() => import("./pages/App.svelte")),
  approvals: page(() => import("./pages/Approvals.svelte")),
  approve: page(() => import("./pages/Approve.svelte")),
  activity: page(() => import("./pages/Activity.svelte")),
  security: page(() => import("./pages/Security.svelte")),
};
