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

/** What stands in the place of a value that is likely a secret: nobody reads those from a note, and this page does not show them. */
export const HIDDEN = "••••••";
const SECRET = /(token|api[_-]?key|secret|secret[_-]?key|access[_-]?key|private[_-]?key|password|passwd|passphrase|credentials?|authorization)$/i;

/** Whether a key says that its value is a secret. A name in capitals is a variable's, and those hold secrets. */
export function isSecret(key: string): boolean {
  return SECRET.test(key) || /^[A-Z][A-Z0-9]*_[A-Z0-9_]+$/.test(key);
}

export function draftOf(note: Note): Draft {
  const settings: Record<string, string> = {};
  for (const [key, value] of Object.entries(note.metadata ?? {})) {
    if (!NOT_EDITED.has(key)) settings[key] = isSecret(key) ? HIDDEN : textOf(value);
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

/** Only what was changed since the note was read, and only as long as the note is what it was then. */
export function editOf(draft: Draft, opened: Draft, note: Note): AgentEdit {
  const metadata: Record<string, unknown> = {};
  if (draft.name !== opened.name) metadata.name = draft.name.trim();
  for (const [key, text] of Object.entries(draft.settings)) {
    if (text !== (opened.settings[key] ?? "")) metadata[key] = valueOf(key, text, note.metadata?.[key]);
  }
  const edit: AgentEdit = {
    ...(draft.prompt === opened.prompt ? {} : { prompt: draft.prompt }),
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
  };
  return Object.keys(edit).length > 0 && note.updatedAt ? { ...edit, if_updated_at: note.updatedAt } : edit;
}

/** A part of a definition: its name, its role, or a setting. */
export type Part = string;

/** What is not the same in two drafts, in the order of the form. */
export function changedParts(one: Draft, other: Draft): Part[] {
  const keys = [...new Set([...Object.keys(one.settings), ...Object.keys(other.settings)])];
  const settings = keys.filter((key) => (one.settings[key] ?? "") !== (other.settings[key] ?? ""));
  const place = (key: string): number => ALL.findIndex((field) => field.key === key);
  settings.sort((a, b) => place(a) - place(b));
  return [...(one.name === other.name ? [] : ["name"]), ...(one.prompt === other.prompt ? [] : ["prompt"]), ...settings];
}

export function partOf(draft: Draft, part: Part): string {
  return part === "name" ? draft.name : part === "prompt" ? draft.prompt : (draft.settings[part] ?? "");
}

export function withPart(draft: Draft, part: Part, text: string): Draft {
  if (part === "name") return { ...draft, name: text };
  if (part === "prompt") return { ...draft, prompt: text };
  return { ...draft, settings: { ...draft.settings, [part]: text } };
}

export interface Merged {
  draft: Draft;
  /** What only they have changed: it is in the draft now. */
  taken: readonly Part[];
  /** What both have changed, to something else: the draft has mine. */
  both: readonly Part[];
}

/** My changes since `opened`, laid over what the note says now. */
export function merged(mine: Draft, opened: Draft, theirs: Draft): Merged {
  const own = new Set(changedParts(opened, mine));
  const other = changedParts(opened, theirs);
  const both = other.filter((part) => own.has(part) && partOf(mine, part) !== partOf(theirs, part));
  const draft = [...own].reduce((all, part) => withPart(all, part, partOf(mine, part)), theirs);
  return { draft, taken: other.filter((part) => !own.has(part)), both };
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
