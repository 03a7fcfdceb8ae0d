/** What has come since the reader was last at the end of a conversation. */
import { signal } from "@preact/signals";
import type { Message } from "./api";

const PREFIX = "reveille:read:";

/** The first message that was not read when the conversation was opened, or when the reader came back to the page. */
export const unreadFrom = signal<string | undefined>(undefined);

function readUntil(name: string): number {
  try {
    return Number(localStorage.getItem(PREFIX + name) ?? NaN);
  } catch {
    // Storage is forbidden: nothing is marked.
    return NaN;
  }
}

/** Marks where reading goes on. Who comes for the first time has read nothing and is told nothing. */
export function markUnread(name: string, messages: readonly Message[]): void {
  unreadFrom.value = firstUnread(messages, readUntil(name))?.id;
}

/** The first answer after `until` that somebody else has written. */
export function firstUnread(messages: readonly Message[], until: number): Message | undefined {
  if (Number.isNaN(until)) return undefined;
  const message = messages.find((candidate) => Date.parse(candidate.at) > until);
  return message === messages[0] && messages.length > 100 ? undefined : message;
}

/** The reader has seen the end. */
export function markRead(name: string, messages: readonly Message[]): void {
  const last = Math.max(...messages.slice(-5).map((message) => Date.parse(message.at)).filter(Number.isFinite), 0);
  if (last === 0 || last <= readUntil(name)) return;
  try {
    localStorage.setItem(PREFIX + name, String(last));
  } catch (error) {
    console.warn("how far was read could not be stored", error);
  }
}
