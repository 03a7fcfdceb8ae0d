/** A long conversation in parts: the pages that were loaded as one list, and which rows are drawn. Pure. */
import type { Message } from "../api";

export interface Loaded {
  messages: readonly Message[];
  /** Where the page before the first message begins; null when there is none, `undefined` when nobody has said. */
  older: string | null | undefined;
}

/**
 * The newest page has come again: it takes the place of its own part, and the older pages stay. When more has come than a page
 * holds, there would be a gap, so the older ones are let go and loaded again when they are wanted.
 */
export function withNewest(known: Loaded | undefined, messages: readonly Message[], older: string | null | undefined): Loaded {
  const first = messages[0];
  const at = known && first ? known.messages.findIndex((message) => message.id === first.id) : -1;
  return known && at >= 0 ? { messages: [...known.messages.slice(0, at), ...messages], older: known.older } : { messages, older };
}

/** A page of what stands before. What is there already is not there twice. */
export function withOlder(known: Loaded, messages: readonly Message[], older: string | null): Loaded {
  const ids = new Set(known.messages.map((message) => message.id));
  return { messages: [...messages.filter((message) => !ids.has(message.id)), ...known.messages], older };
}

/** Rows of one block: a block is drawn as a whole or not at all. */
export const BLOCK = 20;

/** Cuts rows into blocks counted from the first one that was ever shown, so that older rows before it move none of them. */
export function blocks<T extends { key: string }>(rows: readonly T[], anchor: string | undefined): { key: string; rows: readonly T[] }[] {
  const at = Math.max(0, rows.findIndex((row) => row.key === anchor));
  const first = at % BLOCK;
  const parts: (readonly T[])[] = first > 0 ? [rows.slice(0, first)] : [];
  for (let start = first; start < rows.length; start += BLOCK) parts.push(rows.slice(start, start + BLOCK));
  const number = -Math.ceil(at / BLOCK);
  return parts.map((part, index) => ({ key: `block ${number + index}`, rows: part }));
}
