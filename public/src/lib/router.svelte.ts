// Where one is. A plain <a href> is enough to go somewhere: clicks on links to a page of ours stay in the page.

import { match } from "./routes";

export { href, match, type Params, type Route, type RouteName } from "./routes";

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
