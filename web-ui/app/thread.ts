/** One conversation of an agent: whether one is open, and what belongs to it. */
import { computed } from "@preact/signals";
import type { Message } from "./api";
import { route } from "./store";

/** Id of the conversation that the address asks for; without, an agent's page shows all that it was told. */
export const openThread = computed(() => {
  const at = route.value;
  return at.view === "agent" ? at.thread : undefined;
});

/**
 * The messages of one conversation, by what they say themselves, else by their turns, and the answers to them. What nobody has
 * placed yet is left out.
 */
export function ofThread(messages: readonly Message[], thread: string, turns: ReadonlySet<string>): Message[] {
  const own = new Set<string>();
  return messages.filter((message) => {
    const direct = message.thread ? message.thread === thread : Boolean(message.turn && turns.has(message.turn));
    const inside = direct || (!message.thread && message.in_reply_to != null && own.has(message.in_reply_to));
    if (inside) own.add(message.id);
    return inside;
  });
}

/** Where what is written and not sent is kept: each conversation has its own place. */
export function slotOf(name: string, thread: string | undefined): string {
  return thread === undefined ? name : `${name}/thread/${thread}`;
}
