/** The line of the agent that is open: who waits, in what order, and what a person does about it. */
import { signal } from "@preact/signals";
import type { ApiError } from "./api";
import { loadMessages } from "./conversation";
import { failure, refreshAgents, selected } from "./store";
import { type Line, type Place, turnsApi } from "./turns";

/** `undefined` until first loaded. */
export const line = signal<Line | undefined>(undefined);
export const lineError = signal<ApiError | undefined>(undefined);
/** The waiting turn that something is done with. */
export const lineBusy = signal<string | undefined>(undefined);

let asked = 0;

/** Only an agent has a line. */
export function openLine(name: string): void {
  line.value = undefined;
  lineError.value = undefined;
  void loadLine(name);
}

/** What was last seen stays when this fails: the transcript says that the daemon is away. */
export async function loadLine(name: string): Promise<void> {
  const own = ++asked;
  try {
    const answer = await turnsApi.line(name);
    if (own === asked && selected.peek() === name) line.value = answer;
  } catch (error) {
    const problem = failure(error);
    // A channel without an agent has no line.
    if (problem.status !== 0 && problem.status !== 404 && own === asked && selected.peek() === name) lineError.value = problem;
  }
}

async function act(name: string, turn: string, work: () => Promise<unknown>): Promise<boolean> {
  if (lineBusy.peek() !== undefined) return false;
  lineBusy.value = turn;
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
  lineBusy.value = undefined;
  return done;
}

export const hold = (name: string, turn: string): Promise<boolean> => act(name, turn, () => turnsApi.hold(turn));
export const release = (name: string, turn: string): Promise<boolean> => act(name, turn, () => turnsApi.release(turn));
export const editWaiting = (name: string, turn: string, text: string): Promise<boolean> => act(name, turn, () => turnsApi.edit(turn, text));

/** Moves a waiting turn within its conversation. */
export function moveWaiting(name: string, turn: string, to: Place): Promise<boolean> {
  return act(name, turn, () => turnsApi.move(turn, to));
}
