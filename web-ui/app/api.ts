/** The daemon's HTTP API, as this page uses it. Paths are relative to the page, so that any mount path works. */

/** What is wrong, or odd, at one key of a note; the message says what is accepted. */
export interface Problem {
  key: string;
  message: string;
}

/** Something outside that an agent wants, and whether it was given. */
export interface Connection {
  key: string;
  kind: "vault" | "service" | "surface" | "mcp" | (string & {});
  target: string;
  status: "pending" | "approved" | "revoked" | "needs_consent" | "error" | (string & {});
  grantId?: string | null;
  reason?: string | null;
}

export interface Agent {
  name: string;
  /** Of its definition; two notes may claim one name. */
  vault?: string;
  note_id?: string;
  status: "idle" | "working" | "queued" | "paused" | "error" | "pending";
  status_detail?: string | null;
  /** Why its messages wait; a turn that runs goes on. */
  pause?: { code: string; reason: string; since_at?: string; until_at?: string } | null;
  model?: string | null;
  /** Messages that wait behind the running turn. */
  waiting: number;
  running?: { turn: string; since_at: string; message: string } | null;
  last_turn?: { turn: string; outcome: string; ended_at: string } | null;
  cost_usd: number;
  prompt_preview: string;
  /** Why its definition cannot be used; it is nobody's agent until then. */
  problems?: readonly Problem[];
  /** What is odd about its definition; it counts nevertheless. */
  warnings?: readonly Problem[];
  connections?: readonly Connection[];
  /** Absent while the daemon has no definition of it that works. */
  mode?: string;
  /** Who wrote its definition, when that was an agent. */
  defined_by?: string | null;
}

/** An agent with all that the daemon made of its definition. */
export interface AgentDetail extends Agent {
  path?: string | null;
  prompt?: string | null;
  /** What counts for the next turn, and where it comes from (`definition`, `configuration`, `default`, `thread`). */
  settings?: Readonly<Record<string, { value: unknown; from: string }>>;
}

/** A note as it is in its vault. */
export interface Note {
  id: string;
  content?: string;
  updatedAt?: string;
  metadata?: Readonly<Record<string, unknown>>;
}

export interface AgentEdit {
  prompt?: string;
  metadata?: Readonly<Record<string, unknown>>;
  /** The state of the note that the change was made for. */
  if_updated_at?: string;
}

/** A channel that holds messages but has no agent to answer them. */
export interface Orphan {
  channel: string;
  messages: number;
}

export type TurnState = "waiting" | "working" | "joined" | "ok" | "error" | "cancelled" | "interrupted";

export interface Message {
  id: string;
  text: string;
  direction: "inbound" | "outbound";
  sender?: string | null;
  at: string;
  in_reply_to?: string | null;
  turn?: string | null;
  kind?: string | null;
  /** Of a failure. */
  code?: string | null;
  next_step?: string | null;
  /** The conversation that it belongs to. */
  subject?: string | null;
  /** The agent that gets the outcome. */
  reply_to?: string | null;
  /** Inbound messages only. */
  state?: TurnState | null;
  /**
   * What answers this message is kept by the daemon and not in the vault yet. An inbound message then carries the reply, or
   * why there is none; the page marks the message that it makes of that.
   */
  undelivered?: boolean;
  reply?: string;
  error?: { code: string; message: string; next_step?: string };
  ended_at?: string;
}

/** How one vault stands. */
export interface VaultHealth {
  name: string;
  kind: string;
  state: "ready" | "degraded" | "unavailable";
  /** What does not work, what was kept and what to do; with `since` unless it is ready. */
  reason?: string;
  since?: string;
  /** Whether it takes replies and the like. */
  deliveries?: { state: "closed" | "open" | "probing"; last_error?: string } | null;
}

export interface Health {
  status: "ok" | "degraded";
  version: string;
  sandbox: { mode: string; confined: boolean; detail?: string | null };
  dependencies: { ok: boolean; missing: string[] };
  /** Only for those who are signed in. */
  vaults?: VaultHealth[];
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
}

interface EventBase {
  seq: number;
  channel: string;
  turn: string;
  thread?: string | null;
  /** Id of the inbound note that the turn answers. */
  message: string;
  at: string;
}

/** What happens in a turn. `parent` is the id of the tool call whose sub-agent did it. */
export type TurnEvent = EventBase &
  (
    | { kind: "queued"; position: number; text: string; sender?: string | null }
    | { kind: "waiting"; position: number; held: boolean; text: string }
    | { kind: "started"; attempt: number }
    | { kind: "init"; session: string; model?: string | null; version?: string | null }
    | { kind: "text_delta"; text: string }
    | { kind: "text"; text: string; parent?: string | null }
    | { kind: "thinking"; text: string; parent?: string | null }
    | { kind: "tool"; id: string; tool: string; input?: string | null; parent?: string | null }
    | {
        kind: "tool_result";
        id: string;
        tool?: string | null;
        ok?: boolean | null;
        preview?: string | null;
        parent?: string | null;
      }
    | { kind: "retry"; attempt: number; max: number; delay_ms: number; status?: number | null; error: string }
    | { kind: "notice"; text: string }
    | {
        kind: "done";
        reply: string;
        usage?: Usage | null;
        cost_usd?: number | null;
        note?: string | null;
        undelivered?: boolean;
      }
    | { kind: "error"; error: string; code: string; next_step?: string | null; undelivered?: boolean }
    | { kind: "stopped" }
    /** What the end had told as undelivered is in the vault now. */
    | { kind: "delivered"; note?: string | null }
  );

/** A refusal of the server (`status` is its HTTP status), or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly nextStep?: string,
    /** What is wrong with what was sent, by key. */
    readonly problems: readonly Problem[] = [],
  ) {
    super(message);
  }
}

const UNREACHABLE = "The daemon did not answer.";

/** URL of an API path below the page. */
export function url(path: string): string {
  return new URL(path, document.baseURI).href;
}

export async function request<T>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url(path), {
      method,
      credentials: "same-origin",
      cache: "no-store",
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } }),
    });
  } catch {
    throw new ApiError(0, "unreachable", UNREACHABLE, "Check that `reveille serve` runs.");
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) {
    if (answer === null) throw new ApiError(response.status, "bad_answer", "The daemon's answer was cut off or not JSON.");
    return answer as T;
  }
  const failure = (answer ?? {}) as { error?: string; message?: string; next_step?: string; problems?: Problem[] };
  throw new ApiError(
    response.status,
    failure.error ?? "unknown",
    failure.message ?? `The daemon answered with status ${response.status}.`,
    failure.next_step,
    failure.problems,
  );
}

export const segment = encodeURIComponent;

export const api = {
  health: () => request<Health>("GET", "health"),
  session: () => request<{ signed_in: true }>("GET", "api/session"),
  signIn: (code: string) => request<unknown>("POST", "api/session", { code }),
  signOut: () => request<unknown>("DELETE", "api/session"),
  agents: () => request<{ agents: Agent[]; waiting: Orphan[] }>("GET", "api/agents"),
  createAgent: (agent: { name: string; prompt: string; metadata: Readonly<Record<string, unknown>> }) =>
    request<Agent>("POST", "api/agents", agent),
  agent: (name: string) => request<AgentDetail>("GET", `api/agents/${segment(name)}`),
  /** Another role, other settings; a null takes a setting away. Checked before anything is written. */
  editAgent: (name: string, edit: AgentEdit) => request<{ name: string }>("PATCH", `api/agents/${segment(name)}`, edit),
  pauseAgent: (name: string, reason?: string) =>
    request<Agent>("POST", `api/agents/${segment(name)}/pause`, reason ? { reason } : {}),
  resumeAgent: (name: string) => request<Agent>("POST", `api/agents/${segment(name)}/resume`),
  note: (vault: string, id: string) => request<Note>("GET", `vault/${segment(vault)}/api/notes/${segment(id)}`),
  messages: (channel: string) =>
    request<{ messages: Message[] }>("GET", `api/channels/${segment(channel)}/messages?limit=200`),
  send: (channel: string, text: string) =>
    request<{ ok: true; id: string; turn: string | null }>("POST", `api/channels/${segment(channel)}/send`, { text }),
  stop: (turn: string) => request<{ stopping: true }>("POST", `api/turns/${segment(turn)}/stop`),
  cancel: (turn: string) => request<unknown>("POST", `api/turns/${segment(turn)}/cancel`),
  /** The live turns of a channel, for an EventSource. */
  turnEvents: (channel: string) => url(`api/channels/${segment(channel)}/turn-events`),
};
