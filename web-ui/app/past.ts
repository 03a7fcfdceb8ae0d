/** Steps of turns that ended before the page watched: read when somebody opens them. */
import { signal } from "@preact/signals";
import { ApiError, type Message, type TurnEvent } from "./api";
import { live, messages } from "./conversation";
import { fold, isEnded, type Live, reconcile, type Turn } from "./fold/live";
import { failure, selected } from "./store";
import type { TurnSteps } from "./conversation-api";
import { turnsApi } from "./turns";

/** By turn, of the conversation that is open. */
export const past = signal<ReadonlyMap<string, Turn>>(new Map());
/** What is being read, and why it could not be. */
export const reading = signal<ReadonlyMap<string, "now" | ApiError>>(new Map());

export function leavePast(): void {
  past.value = new Map();
  reading.value = new Map();
}

/** Shows what happened in a turn. */
export async function openSteps(turn: string, message: string): Promise<void> {
  const name = selected.peek();
  if (!name || reading.peek().get(turn) === "now") return;
  mark(turn, "now");
  try {
    const steps = await turnsApi.steps(turn);
    if (selected.peek() !== name) return;
    // A message that shares the turn of another one is told that one's.
    past.value = new Map([...past.peek(), [turn, turnOf({ ...steps, turn }, name, message)]]);
    mark(turn, undefined);
  } catch (error) {
    const shown = failure(error);
    if (selected.peek() === name) mark(turn, shown);
  }
}

export function closeSteps(turn: string): void {
  past.value = new Map([...past.peek()].filter(([id]) => id !== turn));
}

/** The turn that ended last is as it was when it was watched: a reload changes nothing. A daemon that keeps nothing is no trouble. */
export async function openNewest(name: string): Promise<void> {
  if (selected.peek() !== name) return;
  const asked = messages.peek()?.filter((message) => message.direction === "inbound" && message.turn).at(-1);
  if (!asked?.turn || !asked.state || !isEnded({ state: asked.state }) || live.peek().turns.some(({ id }) => id === asked.turn)) return;
  await openQuietly(asked.turn, asked.id);
}

/** Of what nobody has asked for, a failure is no trouble. */
export async function openQuietly(turn: string, message: string): Promise<void> {
  await openSteps(turn, message);
  if (reading.peek().get(turn) instanceof ApiError) mark(turn, undefined);
}

function mark(turn: string, state: "now" | ApiError | undefined): void {
  const others = [...reading.peek()].filter(([id]) => id !== turn);
  reading.value = new Map(state === undefined ? others : [...others, [turn, state]]);
}

/** The same fold as of a turn that is watched. What an event does not say of itself is known from the question. */
export function turnOf({ turn, events, cut }: TurnSteps, channel: string, message: string): Turn {
  const told = events.map((event, index) => ({ ...event, seq: index + 1, turn, channel, message }) as unknown as TurnEvent);
  const begun: Live = { boot: "kept", turns: [{ id: turn, seq: 0, message, state: "working", steps: [] }] };
  const folded = told.reduce((state, event) => fold(state, "kept", event), begun);
  const [known] = reconcile(folded, [endOf(message)]).turns;
  const { inbound: _, steps = [], ...rest } = known ?? { id: turn, seq: 0, message, state: "interrupted" as const };
  const notice = cut ? "Not all of this turn was kept: there was too much, and its middle is left out." : steps.length === 0 ? "Nothing is known of what it did." : undefined;
  return { ...rest, steps: notice ? [{ kind: "notice", text: notice }, ...steps] : steps };
}

/** How a turn ended whose last event is not there, as one that was cut off: as its message says. */
function endOf(id: string): Message {
  const known = messages.peek()?.find((message) => message.id === id);
  const state = known?.state && isEnded({ state: known.state }) ? known.state : "interrupted";
  return { id, text: "", direction: "inbound", at: "", state, ...(known?.undelivered ? { undelivered: true } : {}) };
}
