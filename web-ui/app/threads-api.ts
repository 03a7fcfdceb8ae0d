/** Conversations over all agents. */
import { request, segment } from "./api";
import type { components } from "./api/schema";

type Schemas = components["schemas"];
export type ThreadState = Schemas["ThreadState"];
/** Which conversation of its agent: the main one, the one of a subject, or one of a single message. */
export type ThreadKey = Schemas["ThreadKey"];
/** `match`: where a search found its words. */
export type Thread = Schemas["Conversation"] & Partial<Pick<Schemas["FoundThread"], "match">>;

/** A vault that could not be searched. */
export type Unsearched = Schemas["UnsearchedVault"];

export interface ThreadFilter {
  text: string;
  /** Of which agent; of all when blank. */
  agent: string;
  state: "" | ThreadState;
  archived: "false" | "true" | "all";
}

export const ALL_THREADS: ThreadFilter = { text: "", agent: "", state: "", archived: "false" };

export const threadsApi = {
  list: (filter: ThreadFilter, limit: number, cursor?: string) => request<Schemas["FoundThreads"]>("GET", `api/threads?${listQuery(filter, limit, cursor)}`),
  /** Those of one agent, all of them. */
  of: (agent: string) => request<Schemas["ThreadList"]>("GET", `api/channels/${segment(agent)}/threads`),
  change: (thread: string, change: Schemas["ThreadChange"]) => request<Thread>("PATCH", `api/threads/${segment(thread)}`, change),
};

export function listQuery({ text, agent, state, archived }: ThreadFilter, limit: number, cursor?: string): string {
  const query = new URLSearchParams({ archived, limit: String(limit) });
  if (text.trim()) query.set("q", text.trim());
  if (agent) query.set("channel", agent);
  if (state) query.set("state", state);
  if (cursor) query.set("cursor", cursor);
  return query.toString();
}
