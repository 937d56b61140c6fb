// Paths of the pages. A plain <a href> is enough to go somewhere: clicks on links to a page of ours stay in the page.

/** Every page and its path; `:name` is a parameter. `/keys`, `/auth`, … belong to the API and are never pages. */
const PATHS = {
  home: "/",
  register: "/register",
  signIn: "/sign-in",
  recover: "/recover",
  newIdentity: "/identity/new",
  identity: "/identity/:group",
  apps: "/apps",
  newApp: "/apps/new",
  app: "/apps/:connection",
  approvals: "/approvals",
  approve: "/approve/:request",
  activity: "/activity",
  security: "/security",
} as const;

export type RouteName = keyof typeof PATHS;
type ParamNames<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamNames<Rest>
  : P extends `${string}:${infer Name}`
    ? Name
    : never;
export type Params<N extends RouteName> = { [K in ParamNames<(typeof PATHS)[N]>]: string };
export type Route = { [N in RouteName]: { name: N; params: Params<N> } }[RouteName];

/** The path of a page: `href('identity', { group })`. */
export function href<N extends RouteName>(
  name: N,
  ...rest: [ParamNames<(typeof PATHS)[N]>] extends [never] ? [] : [params: Params<N>]
): string {
  const params = (rest[0] ?? {}) as Record<string, string>;
  return PATHS[name].replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(params[key] ?? ""));
}

/** The page of a path, or null when there is none. */
export function match(pathname: string): Route | null {
  const parts = pathname.replace(/\/+$/, "").split("/");
  for (const [name, pattern] of Object.entries(PATHS)) {
    const params = matchParts(pattern.replace(/\/+$/, "").split("/"), parts);
    if (params) return { name, params } as Route;
  }
  return null;
}

function matchParts(pattern: string[], parts: string[]): Record<string, string> | null {
  if (pattern.length !== parts.length) return null;
  const params: Record<string, string> = {};
  for (const [index, want] of pattern.entries()) {
    const have = parts[index] ?? "";
    if (!want.startsWith(":")) {
      if (want !== have) return null;
      continue;
    }
    if (have === "") return null;
    try {
      params[want.slice(1)] = decodeURIComponent(have);
    } catch {
      return null;
    }
  }
  return params;
}

class Router {
  pathname = $state(location.pathname);
  search = $state(location.search);
  hash = $state(location.hash);
  /** How often a person has moved in this tab; the first page shown is 0. */
  moves = $state(0);
  readonly route = $derived(match(this.pathname));
  /** Asked before leaving; false stays. Set by a page with something unfinished, and cleared by it. */
  mayLeave: (() => boolean) | null = null;

  constructor() {
    addEventListener("popstate", () => this.#arrived());
    addEventListener("click", (event) => this.#clicked(event));
  }

  go(to: string, options: { replace?: boolean } = {}): void {
    const url = new URL(to, location.href);
    const moved = url.pathname !== this.pathname || url.search !== this.search;
    if (moved && this.mayLeave && !this.mayLeave()) return;
    history[options.replace ? "replaceState" : "pushState"](null, "", url);
    this.#arrived();
    if (moved && !url.hash) scrollTo(0, 0);
  }

  #arrived(): void {
    const moved = location.pathname !== this.pathname || location.search !== this.search;
    this.pathname = location.pathname;
    this.search = location.search;
    this.hash = location.hash;
    if (moved) this.moves += 1;
  }

  #clicked(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname === location.pathname && link.hash) return;
    if (!match(link.pathname)) return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const router = new Router();
export const go = router.go.bind(router);
