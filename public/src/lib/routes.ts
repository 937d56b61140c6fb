// The paths of the pages, and back from a path to its page.

/** Every page and its path; `:name` is a parameter. `/keys`, `/auth`, … belong to the API and are never pages. */
const PATHS = {
  home: "/",
  register: "/register",
  signIn: "/sign-in",
  recover: "/recover",
  newIdentity: "/identity/new",
  identity: "/identity/:group",
  renewal: "/identity/:group/renew",
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
