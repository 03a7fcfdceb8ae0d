/** Notes that Reveille itself keeps or follows, and what editing one does. Pure. */
import type { Agent } from "../api";
import { hashOf } from "../route";
import { nameOf } from "./browse";
import type { VaultNote } from "./api";

export interface Followed {
  what: string;
  /** What a change does. */
  change: string;
  /** What it does to delete it. */
  remove: string;
  links: readonly { href: string; label: string }[];
}

type Told = Pick<VaultNote, "id" | "path" | "tags" | "metadata">;

export function followed(note: Told, agents: readonly Agent[]): Followed | undefined {
  const has = (tag: string): boolean => note.tags.includes(tag);
  const named = text(note.metadata?.agent) ?? text(note.metadata?.channel);
  if (has("agent/definition")) return definition(note, agents);
  if (has("agent/job")) {
    return {
      what: "This note is a schedule.",
      change: "Reveille follows it: what you change holds from the next time on. Its form checks what you write.",
      remove: "The schedule ends with it.",
      links: named ? [{ href: hashOf({ view: "agent", name: named, tab: "jobs" }), label: `Jobs of ${named}` }] : [],
    };
  }
  if (has("agent/thread")) {
    return {
      what: "This note is the record of a conversation.",
      change: "Reveille writes its metadata with every turn, over what you change there; its text is yours.",
      remove: "The conversation itself stays; with its next turn there is a new record.",
      links: named ? [{ href: hashOf({ view: "agent", name: named, tab: "threads" }), label: `Threads of ${named}` }] : [],
    };
  }
  if (has("agent/role")) {
    const name = text(note.metadata?.name) ?? nameOf(note);
    return {
      what: `This note is the role ${name}.`,
      change: "Conversations that stand in this role are told what you write, from their next turn on.",
      remove: "No conversation can stand in the role any more.",
      links: [{ href: hashOf({ view: "role", name }), label: `What ${name} may reach` }],
    };
  }
  return has("agent/message") || has("agent/message/inbound") || has("agent/message/outbound") ? message(note, named) : undefined;
}

function definition(note: Told, agents: readonly Agent[]): Followed {
  const name = agents.find((agent) => agent.note_id === note.id)?.name ?? text(note.metadata?.name) ?? nameOf(note);
  return {
    what: `This note defines the agent ${name}.`,
    change: "What you save here changes what it is and does, at once. Its form checks what you write.",
    remove: `The agent ${name} ends with it: nobody answers its messages any more.`,
    links: [{ href: hashOf({ view: "agent", name, tab: "definition" }), label: `Definition of ${name}` }],
  };
}

function message(note: Told, agent: string | undefined): Followed {
  const outbound = note.tags.includes("agent/message/outbound");
  return {
    what: outbound ? `This note is an answer${agent ? ` of ${agent}` : ""}.` : `This note is a message${agent ? ` to ${agent}` : ""}.`,
    change: outbound ? "What you change is changed in the conversation, too." : "What you change is changed in the conversation; a turn that has begun goes on with what it was told.",
    remove: outbound ? "It is gone from the conversation." : "It is gone from the conversation. To end a message that waits, cancel it there.",
    links: agent ? [{ href: hashOf({ view: "agent", name: agent, message: note.id }), label: "In its conversation" }] : [],
  };
}

/** What a new note does as soon as it is there; nothing for most. */
export function willDo(tags: readonly string[], metadata: Readonly<Record<string, unknown>>): string | undefined {
  const named = text(metadata.agent) ?? text(metadata.channel);
  if (tags.includes("agent/message/inbound")) return named ? `Saved, this is a message: ${named} gets to work on it.` : "Saved, this is a message; the key agent says to whom.";
  if (tags.includes("agent/definition")) return "Saved, this is an agent, and answers messages.";
  if (tags.includes("agent/job")) return "Saved, this is a schedule, and begins to run.";
  return undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}
