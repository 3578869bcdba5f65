/** Which page the address names. Two pages need no routing library. */

export type Route = { page: "sessions" } | { page: "terminal"; id: string } | { page: "unknown" };

export function parseRoute(path: string): Route {
  if (path === "/") return { page: "sessions" };
  const id = /^\/sessions\/([^/]+)\/?$/.exec(path)?.[1];
  if (id === undefined) return { page: "unknown" };
  try {
    return { page: "terminal", id: decodeURIComponent(id) };
  } catch {
    return { page: "unknown" };
  }
}

class Router {
  #route = $state<Route>(parseRoute(location.pathname));

  constructor() {
    addEventListener("popstate", () => (this.#route = parseRoute(location.pathname)));
    addEventListener("click", (event) => this.#follow(event));
  }

  get route(): Route {
    return this.#route;
  }

  go(path: string): void {
    history.pushState(null, "", path);
    this.#route = parseRoute(path);
  }

  /** Ordinary links work, and a plain click on one does not load the page anew. */
  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest?.("a[href]");
    const href = link?.getAttribute("href");
    if (!href?.startsWith("/") || parseRoute(href).page === "unknown") return;
    event.preventDefault();
    this.go(href);
  }
}

export const router = new Router();

export function sessionPath(id: string): string {
  return `/sessions/${encodeURIComponent(id)}`;
}
