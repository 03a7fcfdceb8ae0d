/** The line of the agent that is open: who waits, in what order, and what a person does about it. */
import { computed, signal } from "@preact/signals";
import type { ApiError, TurnEvent } from "./api";
import { loadMessages } from "./conversation";
import { failure, refreshAgents, selected } from "./store";
import { placeAfter } from "./place";
import { type Line, type TurnBrief, turnsApi } from "./turns";

/** A message for an agent that has nothing to do begins at once: the tray is not to open and shut again for it. */
const BEGINS_MS = 700;

/** `undefined` until first loaded. */
export const line = signal<Line | undefined>(undefined);
export const lineError = signal<ApiError | undefined>(undefined);
/** The waiting turns that something is done with, or will be as soon as what is under way is done. */
export const lineBusy = signal<readonly string[]>([]);

/** When this page first saw each waiting turn, and whether it has waited for long enough to be shown as waiting. */
let seen = new Map<string, number>();
const settledAt = signal(0);
let timer: ReturnType<typeof setTimeout> | undefined;

/** The waiting turns that the tray shows, in their order. */
export const waitingTurns = computed<readonly TurnBrief[]>(() => {
  const known = line.value;
  if (!known) return [];
  const waiting = known.turns.filter((turn) => turn.state === "waiting");
  const busy = known.pause !== null || known.turns.length > waiting.length || waiting.length > 1;
  return busy ? waiting : waiting.filter((turn) => turn.held || (seen.get(turn.turn) ?? 0) + BEGINS_MS <= settledAt.value);
});

/** The same, as a set. */
export const inTray = computed<ReadonlySet<string>>(() => new Set(waitingTurns.value.map((turn) => turn.turn)));

/** Notes when each was first seen; what was there when the conversation was opened has waited since it was accepted. */
function look(answer: Line, first: boolean): void {
  const now = Date.now();
  const since = ({ accepted_at }: TurnBrief): number => (first ? Math.min(now, Date.parse(accepted_at)) : now);
  seen = new Map(answer.turns.map((turn) => [turn.turn, seen.get(turn.turn) ?? since(turn)]));
  settledAt.value = now;
  clearTimeout(timer);
  timer = setTimeout(() => (settledAt.value = Date.now()), BEGINS_MS + 20);
}

let asked = 0;

/** Only an agent has a line. */
export function openLine(name: string): void {
  line.value = undefined;
  seen = new Map();
  lineError.value = undefined;
  void loadLine(name);
}

/** What was last seen stays when this fails: the transcript says that the daemon is away. */
export async function loadLine(name: string): Promise<void> {
  const own = ++asked;
  try {
    const answer = await turnsApi.line(name);
    if (own !== asked || selected.peek() !== name) return;
    look(answer, line.peek() === undefined);
    line.value = answer;
    lineError.value = undefined;
  } catch (error) {
    const problem = failure(error);
    // A channel without an agent has no line.
    if (problem.status !== 0 && problem.status !== 404 && own === asked && selected.peek() === name) lineError.value = problem;
  }
}

/** A turn has begun, and waits no more, however long the line takes to be read again. */
export function noteStarted(name: string, { turn, at }: Extract<TurnEvent, { kind: "started" }>): void {
  const known = line.peek();
  if (!known || known.channel !== name || !known.turns.some((other) => other.turn === turn && other.state === "waiting")) return;
  const turns = known.turns.map((other) => (other.turn === turn ? { ...other, state: "working" as const, claimed_at: at } : other));
  line.value = { ...known, waiting: Math.max(0, known.waiting - 1), turns };
}

/** A message has come to wait. It is shown there at once; what the daemon says of the line follows. */
export function noteQueued(name: string, { turn, message, text, sender, at, thread }: Extract<TurnEvent, { kind: "queued" }>): void {
  const known = line.peek();
  if (!known || known.channel !== name || known.turns.some((other) => other.turn === turn)) return;
  const waiting: TurnBrief = {
    turn, channel: name, vault: "", message, text, sender: sender ?? null, thread: thread ?? "", state: "waiting", held: false,
    chain: message, delegation_depth: null, accepted_at: at, claimed_at: null, settled_at: null, cost_usd: 0,
  };
  const answer = { ...known, waiting: known.waiting + 1, turns: [...known.turns, waiting] };
  look(answer, false);
  line.value = answer;
}

let last: Promise<unknown> = Promise.resolve();

/** One after the other, in the order in which a person did it: each may change what the next one is about, and none is lost. */
function act(name: string, turn: string, work: () => Promise<unknown>): Promise<boolean> {
  lineBusy.value = [...lineBusy.peek(), turn];
  const own = last.then(() => perform(name, work)).finally(() => (lineBusy.value = lineBusy.peek().toSpliced(lineBusy.peek().indexOf(turn), 1)));
  last = own;
  return own;
}

async function perform(name: string, work: () => Promise<unknown>): Promise<boolean> {
  lineError.value = undefined;
  let done = true;
  try {
    await work();
  } catch (error) {
    done = false;
    lineError.value = failure(error);
  }
  // Also after a refusal: it may have begun meanwhile.
  await Promise.all([loadLine(name), loadMessages(name), refreshAgents()]);
  return done;
}

export const hold = (name: string, turn: string): Promise<boolean> => act(name, turn, () => turnsApi.hold(turn));
export const release = (name: string, turn: string): Promise<boolean> => act(name, turn, () => turnsApi.release(turn));
export const editWaiting = (name: string, turn: string, text: string): Promise<boolean> => act(name, turn, () => turnsApi.edit(turn, text));

/** Moves a waiting turn by so many places among those of its conversation; whether it is elsewhere now. */
export async function moveWaiting(name: string, turn: string, by: number): Promise<boolean> {
  let moved = false;
  const done = await act(name, turn, async () => {
    // In the order that is there when its time has come.
    const own = waitingTurns.peek().find((other) => other.turn === turn);
    const to = own ? placeAfter(waitingTurns.peek(), own, by) : undefined;
    if (to) await turnsApi.move(turn, to);
    moved = to !== undefined;
  });
  return done && moved;
}
