/**
 * The fold from a channel's turn events to the turns that the page shows. Pure: the same events give the same picture, in
 * whatever pieces and however often they arrive.
 */
import type { Message, TurnEvent, TurnState, Usage } from "../api";

export interface TextStep {
  kind: "text";
  text: string;
  /** Still growing by deltas; the whole block replaces it. */
  streaming: boolean;
}

export interface ToolStep {
  kind: "tool";
  id: string;
  tool: string;
  /** JSON text. */
  input?: string;
  /** Unset while the tool runs. */
  result?: { ok: boolean; preview: string; at: string };
  at: string;
  /** What a sub-agent did under this call. */
  steps: readonly Step[];
}

export type Step =
  | TextStep
  | ToolStep
  | { kind: "thinking"; text: string }
  | { kind: "retry"; attempt: number; max: number; delayMs: number; status?: number; error: string }
  | { kind: "notice"; text: string };

export interface Failure {
  message: string;
  code: string;
  nextStep?: string;
}

export interface Turn {
  id: string;
  /** Number of its last event that was taken in. */
  seq: number;
  /** Id of the inbound message. */
  message: string;
  /** The conversation that it belongs to, as far as somebody has said. */
  thread?: string;
  state: TurnState;
  /** Text and sender of the inbound message, when this page saw it arrive. */
  inbound?: { text: string; sender?: string; at: string };
  model?: string;
  startedAt?: string;
  endedAt?: string;
  steps: readonly Step[];
  reply?: string;
  usage?: Usage;
  costUsd?: number;
  failure?: Failure;
  /** Its reply, or why there is none, is kept by the daemon: the vault has not taken it yet. */
  undelivered?: true;
}

export interface Live {
  /** The daemon's run that numbered the events. */
  boot: string;
  /** In the order of their first event. */
  turns: readonly Turn[];
}

export const NOTHING: Live = { boot: "", turns: [] };

/** Ended turns whose steps are kept; older ones are shown by their messages alone. */
const KEPT_ENDED = 50;

/** Splits an SSE id `<boot>-<seq>`; the boot may itself hold hyphens. */
export function bootOf(eventId: string): string {
  const end = eventId.lastIndexOf("-");
  return end < 0 ? "" : eventId.slice(0, end);
}

export function isEnded(turn: { state: TurnState }): boolean {
  return turn.state !== "waiting" && turn.state !== "working" && turn.state !== "joined";
}

/** Takes in one event. An event that was taken in before changes nothing, and gives back the very `live`. */
export function fold(live: Live, boot: string, event: TurnEvent): Live {
  const base = boot === live.boot ? live : restarted(live, boot);
  const found = base.turns.find((turn) => turn.id === event.turn);
  if (found && event.seq <= found.seq) return base;
  // A message in line that this page did not see arrive is shown as loaded, and so is an end that is delivered late.
  if (!found && (event.kind === "waiting" || event.kind === "delivered")) return base;
  const before = found ?? { id: event.turn, seq: 0, message: event.message, state: "working", steps: [] };
  const turn = { ...step(before, event), ...(event.thread ? { thread: event.thread } : {}), seq: event.seq };
  const turns = found ? base.turns.map((other) => (other === found ? turn : other)) : [...base.turns, turn];
  return { boot, turns: trim(turns) };
}

/** Another run of the daemon numbers anew, replays what still runs, and has nothing to say of what had ended. */
function restarted(live: Live, boot: string): Live {
  const turns = forget(live).turns.map((turn) => ({ ...turn, seq: Number.MAX_SAFE_INTEGER }));
  return { boot, turns };
}

/** After a gap: drops the turns whose picture may have a hole. The stream is opened anew and replays what still runs. */
export function forget(live: Live): Live {
  return { ...live, turns: live.turns.filter(isEnded) };
}

/** Ends the turns that ended unseen, by the states of freshly loaded messages, which also know what is not delivered. */
export function reconcile(live: Live, messages: readonly Message[]): Live {
  const loaded = new Map(messages.map((message) => [message.id, message]));
  let changed = false;
  const turns = live.turns.map((turn) => {
    const message = loaded.get(turn.message);
    const state = message?.state;
    if (!state || !isEnded({ state })) return turn;
    const undelivered = Boolean(message.undelivered);
    if (isEnded(turn) && undelivered === Boolean(turn.undelivered)) return turn;
    changed = true;
    return mark({ ...turn, state: isEnded(turn) ? turn.state : state, steps: settled(turn.steps) }, undelivered);
  });
  return changed ? { ...live, turns } : live;
}

function trim(turns: readonly Turn[]): readonly Turn[] {
  const surplus = turns.filter(isEnded).length - KEPT_ENDED;
  if (surplus <= 0) return turns;
  const dropped = new Set(turns.filter(isEnded).slice(0, surplus));
  return turns.filter((turn) => !dropped.has(turn));
}

function step(turn: Turn, event: TurnEvent): Turn {
  // Work speaks of a turn that runs, also when its start was not seen.
  const working = (steps: readonly Step[]): Turn => ({
    ...turn,
    state: isEnded(turn) ? turn.state : "working",
    startedAt: turn.startedAt ?? event.at,
    steps,
  });
  switch (event.kind) {
    case "queued": {
      const inbound = { text: event.text, at: event.at, ...(event.sender ? { sender: event.sender } : {}) };
      // It may have been started, or even ended, before this was told.
      return { ...turn, state: turn.startedAt || isEnded(turn) ? turn.state : "waiting", inbound };
    }
    case "waiting":
      return turn.inbound ? { ...turn, inbound: { ...turn.inbound, text: event.text } } : turn;
    case "started":
      return event.attempt > 1
        ? working([...withoutStreaming(turn.steps), { kind: "notice", text: `Started again (attempt ${event.attempt}).` }])
        : { ...working(turn.steps), startedAt: event.at };
    case "init":
      return { ...working(turn.steps), ...(event.model ? { model: event.model } : {}) };
    case "text_delta":
      return working(addDelta(turn.steps, event.text));
    case "text":
      return working(event.parent ? put(turn.steps, event.parent, (s) => [...s, text(event.text)]) : settleText(turn.steps, event.text));
    case "thinking":
      return working(put(turn.steps, event.parent, (s) => [...s, { kind: "thinking", text: event.text }]));
    case "tool":
      return working(addTool(turn.steps, event));
    case "tool_result":
      return working(endTool(turn.steps, event));
    case "retry":
      return working(addRetry(turn.steps, event));
    case "notice":
      return working([...turn.steps, { kind: "notice", text: event.text }]);
    case "done":
      return {
        ...mark(end(turn, "ok", event.at), event.undelivered),
        reply: event.reply,
        ...(event.usage ? { usage: event.usage } : {}),
        ...(event.cost_usd == null ? {} : { costUsd: event.cost_usd }),
      };
    case "error":
      return {
        ...mark(end(turn, "error", event.at), event.undelivered),
        failure: {
          message: event.error,
          code: event.code,
          ...(event.next_step ? { nextStep: event.next_step } : {}),
        },
      };
    case "stopped":
      return end(turn, "cancelled", event.at);
    case "delivered":
      return mark(turn, false);
    default:
      // A kind of a newer daemon: nothing to show, nothing to lose.
      return turn;
  }
}

function end(turn: Turn, state: TurnState, at: string): Turn {
  return { ...turn, state, endedAt: at, steps: settled(turn.steps) };
}

function mark(turn: Turn, undelivered: boolean | undefined): Turn {
  const { undelivered: _, ...rest } = turn;
  return undelivered ? { ...rest, undelivered: true } : rest;
}

const text = (value: string): TextStep => ({ kind: "text", text: value, streaming: false });

function isStreaming(s: Step): s is TextStep {
  return s.kind === "text" && s.streaming;
}

function settled(steps: readonly Step[]): readonly Step[] {
  return steps.some(isStreaming) ? steps.map((s) => (isStreaming(s) ? text(s.text) : s)) : steps;
}

function withoutStreaming(steps: readonly Step[]): readonly Step[] {
  return steps.filter((s) => !isStreaming(s));
}

function addDelta(steps: readonly Step[], piece: string): readonly Step[] {
  if (!steps.some(isStreaming)) return [...steps, { kind: "text", text: piece, streaming: true }];
  return steps.map((s) => (isStreaming(s) ? { ...s, text: s.text + piece } : s));
}

/** The whole block takes the place of its pieces, so that nothing moves. */
function settleText(steps: readonly Step[], value: string): readonly Step[] {
  return steps.some(isStreaming) ? steps.map((s) => (isStreaming(s) ? text(value) : s)) : [...steps, text(value)];
}

/** Changes the steps below the tool call `parent`; at the top level when there is none or it is unknown. */
function put(
  steps: readonly Step[],
  parent: string | null | undefined,
  change: (steps: readonly Step[]) => readonly Step[],
): readonly Step[] {
  const nested = parent ? editTool(steps, parent, (tool) => ({ ...tool, steps: change(tool.steps) })) : undefined;
  return nested ?? change(steps);
}

/** `steps` with the tool call `id` changed, wherever it is nested; `undefined` when there is no such call. */
function editTool(
  steps: readonly Step[],
  id: string,
  change: (tool: ToolStep) => ToolStep,
): readonly Step[] | undefined {
  for (const [index, candidate] of steps.entries()) {
    if (candidate.kind !== "tool") continue;
    if (candidate.id === id) return steps.with(index, change(candidate));
    const inner = editTool(candidate.steps, id, change);
    if (inner) return steps.with(index, { ...candidate, steps: inner });
  }
  return undefined;
}

function addTool(steps: readonly Step[], event: Extract<TurnEvent, { kind: "tool" }>): readonly Step[] {
  const input = event.input ? { input: event.input } : {};
  const merged = editTool(steps, event.id, (tool) => ({ ...tool, tool: event.tool, ...input }));
  if (merged) return merged;
  const tool: ToolStep = { kind: "tool", id: event.id, tool: event.tool, at: event.at, steps: [], ...input };
  return put(steps, event.parent, (inner) => [...inner, tool]);
}

function endTool(steps: readonly Step[], event: Extract<TurnEvent, { kind: "tool_result" }>): readonly Step[] {
  const result = { ok: event.ok ?? true, preview: event.preview ?? "", at: event.at };
  const ended = editTool(steps, event.id, (tool) => ({ ...tool, result }));
  if (ended) return ended;
  const unseen: ToolStep = { kind: "tool", id: event.id, tool: event.tool ?? "tool", at: event.at, steps: [], result };
  return put(steps, event.parent, (inner) => [...inner, unseen]);
}

/** Retries in a row are one line that counts up. */
function addRetry(steps: readonly Step[], event: Extract<TurnEvent, { kind: "retry" }>): readonly Step[] {
  const { attempt, max, error } = event;
  const status = event.status == null ? {} : { status: event.status };
  const retry: Step = { kind: "retry", attempt, max, delayMs: event.delay_ms, error, ...status };
  return steps.at(-1)?.kind === "retry" ? steps.with(-1, retry) : [...steps, retry];
}
