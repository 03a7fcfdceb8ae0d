/** The double's side of conversations. */
import type { Message } from "../app/api";
import type { Thread, ThreadKey, Unsearched } from "../app/threads-api";
import type { MockDaemon, Reply } from "./mock";

export class MockThreads {
  list: Thread[] = [];
  /** Conversations of a page at most. */
  page = Infinity;
  /** What was changed: `t1 {"archived":true}`. */
  changes: string[] = [];
  /** Queries of the list, the newest last. */
  asked: string[] = [];
  /** The next change is refused with this. */
  refusal: Reply | undefined;
  /** Lists are refused with this for as long as it is there. */
  away: Reply | undefined;
  /** Vaults that cannot be searched now. */
  unsearched: Unsearched[] = [];
  private belongs = new Map<string, string>();

  constructor(private readonly daemon: MockDaemon) {}

  add(channel: string, thread: string, more: Partial<Thread> = {}): Thread {
    const key: ThreadKey = { kind: "main" };
    const made: Thread = {
      thread, key, channel, vault: "default", title: null, archived: false, started_at: null, last_at: new Date(Date.now() - 60_000 * this.list.length).toISOString(),
      state: "idle", preview: null, note_id: null, turns: 0, cost_usd: 0, session: null, ...more,
    };
    this.list.push(made);
    return made;
  }

  /** Says to which conversation a message belongs. */
  put(message: Message, thread: string): Message {
    this.belongs.set(message.id, thread);
    return message;
  }

  of(message: Message): string | undefined {
    return message.thread ?? this.belongs.get(message.id);
  }

  /** A message was sent: to the conversation of its subject, or the main one. */
  take(channel: string, message: Message): void {
    const own = this.list.filter((thread) => thread.channel === channel);
    const found = own.find(({ key }) => (message.subject ? key.kind === "subject" && key.key === message.subject : key.kind === "main"));
    if (found) this.put(message, found.thread);
  }

  answer(method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply | undefined {
    const of = /^\/api\/channels\/([^/]+)\/threads$/.exec(path)?.[1];
    if (of) return [200, { threads: this.list.filter((thread) => thread.channel === decodeURIComponent(of)), next_cursor: null }];
    const one = /^\/api\/threads(?:\/([^/]+))?$/.exec(path);
    if (!one) return undefined;
    if (!one[1]) return this.away ?? this.listed(query);
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal) return refusal;
    const thread = this.list.find((candidate) => candidate.thread === one[1]);
    if (method !== "PATCH" || !thread) return [404, { error: "unknown_thread", message: "There is no such conversation." }];
    this.changes.push(`${thread.thread} ${JSON.stringify(body)}`);
    Object.assign(thread, body);
    return [200, thread];
  }

  private listed(query: URLSearchParams): Reply {
    this.asked.push(query.toString());
    const words = query.get("q")?.toLowerCase();
    const archived = query.get("archived") ?? "false";
    const matching = this.list.filter(
      (thread) =>
        (archived === "all" || String(thread.archived) === archived) &&
        [thread.channel, null].includes(query.get("channel")) &&
        [thread.state, null].includes(query.get("state") as Thread["state"] | null),
    );
    const found = matching.flatMap((thread): Thread[] => {
      const match = words ? this.match(thread, words) : null;
      return words && !match ? [] : [{ ...thread, match: match ?? null }];
    });
    found.sort((a, b) => (b.last_at ?? "").localeCompare(a.last_at ?? ""));
    const start = Number(query.get("cursor") ?? 0);
    const end = start + Math.min(this.page, Number(query.get("limit") ?? 50));
    return [200, { threads: found.slice(start, end), next_cursor: end < found.length ? String(end) : null, unsearched: words ? this.unsearched : [] }];
  }

  private match(thread: Thread, words: string): Thread["match"] {
    const own = (this.daemon.messages.get(thread.channel) ?? []).filter((message) => this.of(message) === thread.thread);
    for (const { text } of own) {
      const at = text.toLowerCase().indexOf(words);
      if (at >= 0) return { before: text.slice(0, at), hit: text.slice(at, at + words.length), after: text.slice(at + words.length) };
    }
    return null;
  }
}
