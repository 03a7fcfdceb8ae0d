/** The form of a definition: from its note, to what is sent. Pure. */
import type { AgentEdit, Note } from "../api";
import { ALL } from "./fields";

export interface Draft {
  name: string;
  prompt: string;
  /** The note's settings as text, by key; a key that it does not have is not here, or blank. */
  settings: Readonly<Record<string, string>>;
}

/** Keys that the daemon writes, and those that have buttons. */
const NOT_EDITED = new Set(["name", "status", "status_detail", "pending", "defined_by", "paused", "pause_reason"]);
const NUMBERS = new Set(ALL.filter((field) => field.kind === "number").map((field) => field.key));
const KNOWN = new Set(ALL.map((field) => field.key));

export function draftOf(note: Note): Draft {
  const settings: Record<string, string> = {};
  for (const [key, value] of Object.entries(note.metadata ?? {})) {
    if (!NOT_EDITED.has(key)) settings[key] = textOf(value);
  }
  return { name: textOf(note.metadata?.name), prompt: note.content ?? "", settings };
}

/** Keys of the note that no field of the form stands for. */
export function otherKeys(draft: Draft): string[] {
  return Object.keys(draft.settings).filter((key) => !KNOWN.has(key)).sort();
}

/** The field of a key: that of the form, or its own among the other keys. */
export function fieldOf(key: string, draft: Draft): string | undefined {
  if (key === "name" || key === "prompt" || KNOWN.has(key) || key in draft.settings) return key;
  return key === "content" ? "prompt" : undefined;
}

/** Only what was changed since the note was read: what somebody else changed meanwhile stays. A role is replaced whole, so it must not have changed. */
export function editOf(draft: Draft, opened: Draft, note: Note): AgentEdit {
  const metadata: Record<string, unknown> = {};
  if (draft.name !== opened.name) metadata.name = draft.name.trim();
  for (const [key, text] of Object.entries(draft.settings)) {
    if (text !== (opened.settings[key] ?? "")) metadata[key] = valueOf(key, text, note.metadata?.[key]);
  }
  return {
    ...(draft.prompt === opened.prompt ? {} : { prompt: draft.prompt, ...(note.updatedAt ? { if_updated_at: note.updatedAt } : {}) }),
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
  };
}

/** The settings of an agent that is made. */
export function settingsOf(draft: Readonly<Record<string, string>>): Record<string, unknown> {
  const set = Object.entries(draft).filter(([, text]) => text.trim() !== "");
  return Object.fromEntries(set.map(([key, text]) => [key, valueOf(key, text, undefined)]));
}

export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** As the note had it: a list stays a list. Blank takes the key away. */
function valueOf(key: string, text: string, before: unknown): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (NUMBERS.has(key) && Number.isFinite(Number(trimmed))) return Number(trimmed);
  if (trimmed === "true" || trimmed === "false") return trimmed === "true";
  if (typeof before !== "object" || before === null) return trimmed;
  if (Array.isArray(before) && before.every((one) => typeof one === "string")) return trimmed.split(/[,\s]+/).filter(Boolean);
  try {
    return JSON.parse(trimmed) as unknown;
  } catch {
    // The daemon says what is wrong with it.
    return trimmed;
  }
}
