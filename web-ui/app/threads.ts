/** How conversations are told of. Pure. */
import type { Thread, ThreadFilter, ThreadState } from "./threads-api";

export const THREAD_STATES: readonly { state: ThreadState; label: string }[] = [
  { state: "working", label: "Working" },
  { state: "queued", label: "Waiting" },
  { state: "error", label: "Failed" },
  { state: "idle", label: "Idle" },
];

export function stateWords(state: ThreadState): string {
  return THREAD_STATES.find((known) => known.state === state)?.label ?? state;
}

/** What a conversation is called: as a person named it, else after its subject, else by its words. */
export function titleOf({ title, key, preview }: Thread): string {
  if (title?.trim()) return title.trim();
  if (key.kind === "subject") return key.key;
  if (key.kind === "main") return "Main conversation";
  return preview?.trim() || "A single message";
}

/** What is shown below the title; nothing when that says the same. */
export function previewOf(thread: Thread): string {
  const preview = thread.preview?.trim() ?? "";
  return preview === titleOf(thread) ? "" : preview;
}

/** Whether a message can be written into it, and as what; else why not. `multi`: each message to the agent begins a conversation. */
export function writable(thread: Thread, multi: boolean): { subject?: string } | { why: string } {
  if (thread.key.kind === "subject") return { subject: thread.key.key };
  if (thread.key.kind === "single") return { why: "This conversation is one message and what came of it. What you write to the agent begins another." };
  if (multi) return { why: "Each message to this agent begins a conversation of its own now; this one was its main one before." };
  return {};
}

/** Whether a filter leaves conversations out that another would show. */
export function narrows({ text, agent, state, archived }: ThreadFilter): boolean {
  return text.trim() !== "" || agent !== "" || state !== "" || archived !== "false";
}

/** Whether a conversation stands in the list of the filter, as far as can be said without searching. */
export function belongs({ agent, state, archived }: ThreadFilter, thread: Thread): boolean {
  if (agent && thread.channel !== agent) return false;
  if (state && thread.state !== state) return false;
  return archived === "all" || thread.archived === (archived === "true");
}
