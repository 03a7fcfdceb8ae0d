/**
 * Shapes of the daemon that its OpenAPI document does not have yet. To be replaced by the generated ones as soon as it does.
 */
import type { Usage } from "./api";

/** A file of a message; its bytes are at `url`, which is relative to the daemon. */
export interface Attached {
  id: string;
  name: string;
  mime: string;
  size_bytes: number;
  url: string;
}

export interface MessageMore {
  attachments?: readonly Attached[];
  chain?: string | null;
  delegated_by?: { agent: string; turn: string; message: string } | null;
  /** It reports the outcome of a turn. */
  callback?: boolean;
  usage?: Usage | null;
  cost_usd?: number | null;
  duration_ms?: number | null;
}

export interface TurnMore {
  delegated_by?: { agent: string; turn: string } | null;
  children?: readonly ChildTurn[];
  usage?: Usage | null;
  duration_ms?: number | null;
  model?: string | null;
}

/** A turn that another one has asked for. */
export interface ChildTurn {
  agent: string;
  turn: string;
  state: "waiting" | "working" | "joined" | "ok" | "error" | "cancelled" | "interrupted";
  cost_usd: number;
}

/** What happened in a turn: the events of the live feed, in order. */
export interface TurnSteps {
  turn: string;
  /** The turn has ended. */
  complete: boolean;
  /** The middle was left out. */
  cut: boolean;
  events: readonly Readonly<Record<string, unknown>>[];
}

/** A tool call, uncut but for what is beyond all reason. */
export interface StepDetail {
  id: string;
  name: string;
  /** Text when it is not whole, null when there was nothing. */
  input: unknown;
  output: string | null;
  input_cut: boolean;
  output_cut: boolean;
}

export interface SessionInfo {
  signed_in: boolean;
  limits?: { upload_bytes: number; message_bytes: number };
  via?: "token" | "link" | "hub";
}

/** Where the hub of this daemon is, and where it gives a token for here to a browser that is signed in there. */
export interface HubPlace {
  origin: string;
  sign_in_url: string;
  token_url: string;
}
