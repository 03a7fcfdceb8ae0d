/** The daemon's HTTP API, as this page uses it. Paths are relative to the page, so that any mount path works. */
import { authorization, renewable } from "./access";
import type { components } from "./api/schema";
import type { SessionInfo } from "./conversation-api";
import { ApiError, type Problem } from "./api-error";

export { ApiError, type Problem };

type Schemas = components["schemas"];
/** Of what the daemon tells, this page counts on `Must`; the rest may be missing, as in what a test or the page itself makes. */
export type Part<T, Must extends keyof T> = Pick<T, Must> & Partial<T>;

/** Something outside that an agent wants, and whether it was given. */
export type Connection = Schemas["Connection"];
export type Agent = Part<Schemas["Agent"], "name" | "status" | "waiting" | "cost_usd" | "prompt_preview">;
/** An agent with all that the daemon made of its definition. */
export type AgentDetail = Agent & Partial<Pick<Schemas["AgentDetail"], "path" | "prompt" | "settings">>;
/** A note as it is in its vault. */
export type Note = Part<Schemas["Note"], "id">;
export type AgentEdit = Schemas["AgentEdit"];
/** A channel that holds messages but has no agent to answer them. */
export type Orphan = Schemas["WaitingMessages"];
export type TurnState = Schemas["TurnState"];
/**
 * What answers an inbound message that is `undelivered` is kept by the daemon and not in the vault yet. The message then carries
 * the reply, or why there is none; the page marks the message that it makes of that.
 */
export type Message = Part<Omit<Schemas["Message"], "error">, "id" | "text" | "direction" | "at"> & {
  error?: Part<Schemas["TurnFailure"], "code" | "message"> | null;
  /** The conversation that it belongs to: a daemon that does not say so is asked for the turns of the conversation. */
  thread?: string | null;
};
/** How one vault stands. */
export type VaultHealth = Part<Schemas["VaultHealth"], "name" | "kind" | "state">;
/** How one bridge or webhook does. */
export type BridgeHealth = Part<Schemas["Bridge"], "name" | "kind" | "state">;
/** Strangers get the status and nothing else. */
export type Health = Pick<Schemas["Health"], "status" | "version" | "dependencies"> & Partial<Pick<Schemas["Health"], "undelivered" | "dead_deliveries" | "credential">> & {
  vaults?: VaultHealth[] | null;
  sandbox?: Part<Schemas["SandboxSummary"], "mode" | "confined"> | null;
  bridges?: BridgeHealth[] | null;
  /** What signs agents in that have nothing of their own. */
  credential?: Schemas["CredentialSummary"] | null;
};
export type Usage = Schemas["TurnUsage"];
/** How a client gets in. */
export type AuthStatus = Schemas["AuthStatus"];
/** Whether there is a PIN. */
export type StepUpState = Schemas["StepUpState"];

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

/** What became of an agent itself. A hint: how it is now, the list says. */
export interface AgentEvent {
  seq: number;
  channel: string;
  at: string;
  kind: "changed" | "removed" | (string & {});
}

/** Whether the daemon knows no such address, rather than nothing that is called so: it is older than this page. */
export function isNoRoute({ status, code }: ApiError): boolean {
  return status === 405 || (status === 404 && code === "not_found");
}

const UNREACHABLE = "The daemon did not answer.";

/** URL of an API path below the page. */
export function url(path: string): string {
  return new URL(path, document.baseURI).href;
}

/** Who asks a person for the PIN, and what they have shown already. */
interface StepUp {
  held(): string | undefined;
  ask(reason: "token" | "setup"): Promise<string | undefined>;
}

let stepUp: StepUp | undefined;

export function setStepUp(asker: StepUp): void {
  stepUp = asker;
}

/** A request that is refused for want of the PIN is made once more when the person has shown it. */
export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
  /** Is shown the headers of an answer that is no refusal. */
  seen?: (headers: Headers) => void,
): Promise<T> {
  try {
    return await send<T>(method, path, body, headers, stepUp?.held(), seen);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403 || error.code !== "step_up_required" || !stepUp) throw error;
    const token = await stepUp.ask(error.reason === "setup" ? "setup" : "token");
    if (token === undefined) throw error;
    return send<T>(method, path, body, headers, token, seen);
  }
}

async function send<T>(
  method: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
  stepUpToken: string | undefined,
  seen: ((headers: Headers) => void) | undefined,
): Promise<T> {
  const response = await authorized(path, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
      ...(stepUpToken === undefined ? {} : { "x-step-up-token": stepUpToken }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) {
    if (answer === null && response.status !== 204) throw new ApiError(response.status, "bad_answer", "The daemon's answer was cut off or not JSON.");
    seen?.(response.headers);
    return answer as T;
  }
  const failure = (answer ?? {}) as { error?: string; message?: string; next_step?: string; problems?: Problem[]; reason?: string };
  throw new ApiError(
    response.status,
    failure.error ?? "unknown",
    failure.message ?? `The daemon answered with status ${response.status}.`,
    failure.next_step,
    failure.problems,
    failure.reason,
  );
}

/** Asks with what lets this tab in. Where the hub gives out tokens, one that was refused is replaced by another, once. */
export async function authorized(path: string, init: RequestInit): Promise<Response> {
  for (let first = true; ; first = false) {
    const shown = await authorization();
    let response: Response;
    try {
      response = await fetch(url(path), { credentials: "same-origin", cache: "no-store", ...init, headers: { ...init.headers, ...shown } });
    } catch {
      throw new ApiError(0, "unreachable", UNREACHABLE, "Check that `reveille serve` runs.");
    }
    if (!(first && response.status === 401 && renewable(shown.authorization?.replace("Bearer ", "")))) return response;
  }
}

export const segment = encodeURIComponent;

export const api = {
  health: () => request<Health>("GET", "health"),
  authStatus: () => request<AuthStatus>("GET", "auth/status"),
  session: () => request<SessionInfo>("GET", "api/session"),
  signIn: (code: string) => request<Schemas["SignedIn"]>("POST", "api/session", { code }),
  signOut: (everywhere: boolean) => request<Schemas["SignedIn"]>("DELETE", `api/session${everywhere ? "?everywhere=true" : ""}`),
  stepUp: (pin: string) => request<Schemas["StepUpToken"]>("POST", "api/step-up", { pin }),
  agents: () => request<{ agents: Agent[]; waiting: Orphan[] }>("GET", "api/agents"),
  createAgent: (agent: { name: string; prompt: string; metadata: Readonly<Record<string, unknown>>; vault?: string }) =>
    request<Agent>("POST", "api/agents", agent),
  agent: (name: string) => request<AgentDetail>("GET", `api/agents/${segment(name)}`),
  /** Another role, other settings; a null takes a setting away. Checked before anything is written. */
  editAgent: (name: string, edit: AgentEdit) => request<{ name: string }>("PATCH", `api/agents/${segment(name)}`, edit),
  pauseAgent: (name: string, reason?: string) =>
    request<Agent>("POST", `api/agents/${segment(name)}/pause`, reason ? { reason } : {}),
  resumeAgent: (name: string) => request<Agent>("POST", `api/agents/${segment(name)}/resume`),
  /** The next turn of each conversation begins a new session. */
  resetAgent: (name: string) => request<Schemas["AgentReset"]>("POST", `api/agents/${segment(name)}/reset`, {}),
  removeAgent: (name: string) => request<Schemas["AgentRemoved"]>("DELETE", `api/agents/${segment(name)}`),
  /** What was given to its name for another note is for this one from now on. */
  trustAgent: (name: string) => request<Agent>("POST", `api/agents/${segment(name)}/trust`),
  note: (vault: string, id: string) => request<Note>("GET", `vault/${segment(vault)}/api/notes/${segment(id)}`),
  stop: (turn: string) => request<Schemas["TurnStopping"]>("POST", `api/turns/${segment(turn)}/stop`),
  cancel: (turn: string) => request<unknown>("POST", `api/turns/${segment(turn)}/cancel`),
  /** Good for one stream, once, for a minute. */
  ticket: (path: string) => request<Schemas["Ticket"]>("POST", "api/ui/sse-ticket", { path }),
};
