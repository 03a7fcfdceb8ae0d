/** Conversations over all agents. The shapes are to be taken from the daemon's document when it has them. */
import { request, segment } from "./api";

export type ThreadState = "idle" | "working" | "queued" | "error";

/** Which conversation of its agent: the main one, the one of a subject, or one of a single message. */
export type ThreadKey = { kind: "main" } | { kind: "subject"; key: string } | { kind: "single"; key: string };

export interface Thread {
  thread: string;
  key: ThreadKey;
  channel: string;
  vault?: string | null;
  /** Given by a person. */
  title: string | null;
  archived: boolean;
  started_at: string | null;
  last_at: string | null;
  state: ThreadState;
  /** First words of the last message. */
  preview: string | null;
  /** Note that keeps the record of it. */
  note_id?: string | null;
  /** Settled turns. */
  turns: number;
  cost_usd: number;
  session?: string | null;
  /** Where a search found its words. */
  match?: { before: string; hit: string; after: string } | null;
}

export interface ThreadFilter {
  text: string;
  /** Of which agent; of all when blank. */
  agent: string;
  state: "" | ThreadState;
  archived: "false" | "true" | "all";
}

export const ALL_THREADS: ThreadFilter = { text: "", agent: "", state: "", archived: "false" };

interface ThreadPage {
  threads: Thread[];
  next_cursor: string | null;
}

export const threadsApi = {
  list: (filter: ThreadFilter, limit: number, cursor?: string) => request<ThreadPage>("GET", `api/threads?${listQuery(filter, limit, cursor)}`),
  /** Those of one agent, all of them. */
  of: (agent: string) => request<{ threads: Thread[] }>("GET", `api/channels/${segment(agent)}/threads`),
  change: (thread: string, change: { title?: string | null; archived?: boolean }) => request<Thread>("PATCH", `api/threads/${segment(thread)}`, change),
};

export function listQuery({ text, agent, state, archived }: ThreadFilter, limit: number, cursor?: string): string {
  const query = new URLSearchParams({ archived, limit: String(limit) });
  if (text.trim()) query.set("q", text.trim());
  if (agent) query.set("channel", agent);
  if (state) query.set("state", state);
  if (cursor) query.set("cursor", cursor);
  return query.toString();
}
