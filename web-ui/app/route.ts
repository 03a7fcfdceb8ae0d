/** What the page shows, kept in the URL's fragment so that a reload and a shared link come back to it. */

export type Route =
  | { view: "home" }
  /** The form for an agent, for a channel that already holds messages when `name` is given. */
  | { view: "new"; name?: string }
  /** What a role wants to reach. */
  | { view: "role"; name: string }
  /** An address that leads to none of these. */
  | { view: "nowhere"; address: string }
  | RoomRoute
  | AgentRoute;

/** A room of the page that is not about one agent; `path` is what comes behind, as each room reads it. */
export interface RoomRoute {
  view: (typeof ROOM_VIEWS)[number];
  path?: readonly string[];
}

/** What a page of an agent shows. */
export type Tab = "conversation" | "threads" | "jobs" | "connections" | "secrets" | "sandbox" | "definition";
export type AgentRoute = {
  view: "agent";
  name: string;
  /** The conversation, when absent. */
  tab?: Exclude<Tab, "conversation">;
  /** A message of the conversation to show. */
  message?: string;
  /** One conversation of the agent, instead of all that it was told. */
  thread?: string;
};

const ROOM_VIEWS = ["agents", "threads", "notes", "jobs", "system", "about"] as const;
const TABS = ["threads", "jobs", "connections", "secrets", "sandbox", "definition"] as const;

export function parseRoute(hash: string): Route {
  const [head, ...rest] = hash.replace(/^#\/?/, "").split("/");
  const name = decode(rest.join("/"));
  if (head === "agent" && name) return agentRoute(rest, name);
  if (head === "role" && name) return { view: "role", name };
  if (head === "new") return name ? { view: "new", name } : { view: "new" };
  const room = ROOM_VIEWS.find((known) => known === head);
  if (!room) return head && !["agent", "role"].includes(head) ? { view: "nowhere", address: hash } : { view: "home" };
  const path = rest.filter(Boolean).map(decode);
  return path.length > 0 ? { view: room, path } : { view: room };
}

/** A name is one segment in the URLs that this page makes; one that was typed may have slashes. */
function agentRoute(segments: readonly string[], whole: string): Route {
  const [name, part, message] = segments.map(decode);
  if (!name || segments.length < 2) return { view: "agent", name: whole };
  const tab = segments.length === 2 ? TABS.find((known) => known === part) : undefined;
  if (tab) return { view: "agent", name, tab };
  if (segments.length === 3 && part === "message" && message) return { view: "agent", name, message };
  if (segments.length === 3 && part === "thread" && message) return { view: "agent", name, thread: message };
  return { view: "agent", name: whole };
}

export function hashOf(route: Route): string {
  if (route.view === "home") return "#/";
  if (route.view === "nowhere") return route.address;
  if (route.view === "agent") {
    const more = route.tab ? `/${route.tab}` : route.message ? `/message/${encodeURIComponent(route.message)}` : route.thread ? `/thread/${encodeURIComponent(route.thread)}` : "";
    return `#/agent/${encodeURIComponent(route.name)}${more}`;
  }
  if (route.view !== "new" && route.view !== "role") return ["#", route.view, ...(route.path ?? []).map(encodeURIComponent)].join("/");
  return route.name ? `#/${route.view}/${encodeURIComponent(route.name)}` : `#/${route.view}`;
}

/** The one-time code in a sign-in link, in its fragment, or pasted alone; `undefined` when there is none. */
export function signInCode(text: string): string | undefined {
  const link = /#sign-in=([^&\s]+)/.exec(text);
  if (link?.[1]) return decode(link[1]);
  const code = text.trim();
  return /^[\w.~-]+$/.test(code) ? code : undefined;
}

/** What somebody pasted to get in: a token of this daemon or of the hub, or else a code or a link with one. */
export function secretIn(text: string): { token: string } | { code: string } | undefined {
  const bare = text.trim().replace(/^Bearer\s+/i, "");
  if (/^pvt_[\w-]+$/.test(bare) || /^[\w-]+\.[\w-]+\.[\w-]+$/.test(bare)) return { token: bare };
  const code = signInCode(text);
  return code === undefined ? undefined : { code };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
