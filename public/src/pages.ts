// Which component shows which page. Each is loaded when it is first opened.

import type { Component } from "svelte";
import type { RouteName } from "./lib/router.svelte";

type Params = Record<string, string>;
type PageModule = { default: Component<{ params: Params }> };
type Page = {
  load: () => Promise<PageModule>;
  /** `in`: needs somebody signed in. `out`: pointless for them. `any`: both. */
  who: "in" | "out" | "any";
};

const files = import.meta.glob<PageModule>("./pages/*.svelte");
const page = (file: string, who: Page["who"] = "in"): Page => ({
  load: () => files[`./pages/${file}.svelte`]?.() ?? Promise.reject(new Error(`no page ${file}`)),
  who,
});

export const pages: Record<RouteName, Page> = {
  home: page("Home", "any"),
  register: page("Register", "out"),
  signIn: page("SignIn", "out"),
  recover: page("Recover", "any"),
  newIdentity: page("NewIdentity"),
  identity: page("Identity"),
  apps: page("Apps"),
  newApp: page("Connect"),
  app: page("App"),
  approvals: page("Approvals"),
  approve: page("Approve"),
  activity: page("Activity"),
  security: page("Security"),
};
