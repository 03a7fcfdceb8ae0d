/** What a person does to a conversation, with what came of it and how to take it back. */
import { signal } from "@preact/signals";
import type { ApiError } from "../../api";
import { failure } from "../../store";
import { titleOf } from "../../threads";
import { type Thread, threadsApi } from "../../threads-api";

export interface Done {
  words: string;
  thread: Thread;
  /** Takes it back. */
  undo: () => Promise<void>;
}

/** What was done last, until something else is done or the room is left. */
export const lastDone = signal<Done | undefined>(undefined);
/** What did not work, and what tries it again. */
export const lastFailure = signal<{ error: ApiError; words: string; again: () => Promise<void> } | undefined>(undefined);

export function forgetActions(): void {
  lastDone.value = undefined;
  lastFailure.value = undefined;
}

/** Puts a conversation away, or brings it back. */
export async function archive(thread: Thread, archived: boolean, put: (thread: Thread) => void, undoing = false): Promise<void> {
  forgetActions();
  try {
    const now = await threadsApi.change(thread.thread, { archived });
    put(now);
    if (undoing) return;
    const undo = (): Promise<void> => archive(now, !archived, put, true);
    lastDone.value = { words: `“${titleOf(now)}” is ${archived ? "archived" : "back among the others"}.`, thread: now, undo };
  } catch (error) {
    lastFailure.value = {
      error: failure(error),
      words: `“${titleOf(thread)}” is as it was.`,
      again: () => archive(thread, archived, put, undoing),
    };
  }
}

/** Gives it a name; a blank one takes the name away. Throws what went wrong: whoever asks keeps the words. */
export async function rename(thread: Thread, title: string): Promise<Thread> {
  return threadsApi.change(thread.thread, { title: title.trim() || null });
}
