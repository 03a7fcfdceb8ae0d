/** What the notes of the messages say beyond the transcript: their files, and which chain of hand-overs they belong to. */
import { signal } from "@preact/signals";
import type { Message } from "./api";
import { failure, selected, selectedAgent } from "./store";
import { type MessageNote, turnsApi } from "./turns";

/** By message, of the agent that is open. */
export const notes = signal<ReadonlyMap<string, MessageNote>>(new Map());
/** Chains that have more than their first message. */
export const chains = signal<ReadonlySet<string>>(new Set());

let of: string | undefined;
/** Messages that were asked about: a vault that does not tell is not asked for ever. */
let asked = new Set<string>();

export async function loadNotes(name: string, messages: readonly Message[]): Promise<void> {
  const vault = selectedAgent.peek()?.vault;
  if (of !== name) {
    of = name;
    asked = new Set();
    notes.value = new Map();
  }
  const unknown = messages.filter((message) => message.direction === "inbound" && !asked.has(message.id));
  if (!vault || unknown.length === 0) return;
  for (const { id } of unknown) asked.add(id);
  try {
    const [own, handed] = await Promise.all([turnsApi.notes(vault, name), turnsApi.handed(vault)]);
    if (selected.peek() !== name) return;
    notes.value = new Map([...notes.peek(), ...own.map((note) => [note.id, note] as const)]);
    chains.value = new Set(handed.map((note) => note.metadata?.chain_id).filter((id) => typeof id === "string"));
  } catch (error) {
    // The vault may be away, or one that cannot look by metadata: the transcript is whole without.
    console.warn("what the notes of the messages say could not be loaded", failure(error).message);
  }
}

/** The chain that a message belongs to, when work was handed on in it. */
export function chainOf(message: string): string | undefined {
  const chain = notes.value.get(message)?.metadata?.chain_id;
  if (typeof chain === "string") return chain;
  return chains.value.has(message) ? message : undefined;
}
