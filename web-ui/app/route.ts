/** What the page shows, kept in the URL's fragment so that a reload and a shared link come back to it. */

export type Route =
  | { view: "home" }
  /** The form for an agent, for a channel that already holds messages when `name` is given. */
  | { view: "new"; name?: string }
  | { view: "agent"; name: string };

export function parseRoute(hash: string): Route {
  const [head, ...rest] = hash.replace(/^#\/?/, "").split("/");
  const name = decode(rest.join("/"));
  if (head === "agent" && name) return { view: "agent", name };
  if (head === "new") return name ? { view: "new", name } : { view: "new" };
  return { view: "home" };
}

export function hashOf(route: Route): string {
  if (route.view === "home") return "#/";
  return route.name ? `#/${route.view}/${encodeURIComponent(route.name)}` : `#/${route.view}`;
}

/** The one-time code in a sign-in link, in its fragment, or pasted alone; `undefined` when there is none. */
export function signInCode(text: string): string | undefined {
  const link = /#sign-in=([^&\s]+)/.exec(text);
  if (link?.[1]) return decode(link[1]);
  const code = text.trim();
  return /^[\w.~-]+$/.test(code) ? code : undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
