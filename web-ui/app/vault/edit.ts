/** A note in the hands of a person: what it was, what it is to be, and what that changes. Pure. */
import type { NewNote, NotePatch, VaultNote } from "./api";

/** How a value of the metadata is written down. */
export type Kind = "text" | "number" | "switch" | "nothing" | "json";

export interface Row {
  /** Its own for as long as the form is open. */
  id: number;
  key: string;
  kind: Kind;
  text: string;
}

/** The note as it was read. A new one has no identity. */
export interface Base {
  id?: string;
  updatedAt?: string;
  path: string;
  content: string;
  tags: readonly string[];
  metadata: Readonly<Record<string, unknown>>;
}

/** The note as it is to be. */
export interface Edit {
  path: string;
  content: string;
  tags: readonly string[];
  rows: readonly Row[];
}

export const NEW: Base = { path: "", content: "", tags: [], metadata: {} };

export function baseOf({ id, updatedAt, path, content, tags, metadata }: VaultNote): Base {
  return { id, updatedAt, path: path ?? "", content: content ?? "", tags, metadata: metadata ?? {} };
}

export function editOf({ path, content, tags, metadata }: Base): Edit {
  return { path, content, tags, rows: Object.entries(metadata).map(([key, value], id) => ({ id, key, ...written(value) })) };
}

/** A value as a person reads and writes it. */
export function written(value: unknown): { kind: Kind; text: string } {
  if (value === null || value === undefined) return { kind: "nothing", text: "" };
  if (typeof value === "string") return { kind: "text", text: value };
  if (typeof value === "number") return { kind: "number", text: String(value) };
  if (typeof value === "boolean") return { kind: "switch", text: String(value) };
  return { kind: "json", text: JSON.stringify(value, null, 1).replace(/\n\s*/g, " ") };
}

/** What a person wrote as a value, or what is wrong with it. */
export function read({ kind, text }: Pick<Row, "kind" | "text">): { value: unknown } | { wrong: string } {
  switch (kind) {
    case "text":
      return { value: text };
    case "nothing":
      return { value: null };
    case "switch":
      return { value: text === "true" };
    case "number": {
      const value = Number(text.trim());
      return text.trim() !== "" && Number.isFinite(value) ? { value } : { wrong: "This is no number. Write it like 3 or 0.5, or make it a text." };
    }
    default:
      try {
        return { value: JSON.parse(text) as unknown };
      } catch {
        return { wrong: 'This is no JSON. Write it like ["a", "b"] or {"a": 1}, or make it a text.' };
      }
  }
}

/** The text of a value that becomes one of another kind; what was typed is kept as far as it can be read. */
export function recast(row: Row, kind: Kind): Row {
  if (kind === "nothing") return { ...row, kind, text: row.text };
  if (kind === "switch") return { ...row, kind, text: /^(true|yes|1)$/i.test(row.text.trim()) ? "true" : "false" };
  if (kind === "json" && row.kind === "text") return { ...row, kind, text: "value" in read({ kind, text: row.text }) ? row.text : JSON.stringify(row.text) };
  if (kind === "text" && row.kind === "json") {
    const told = read(row);
    return { ...row, kind, text: "value" in told && typeof told.value === "string" ? told.value : row.text };
  }
  return { ...row, kind };
}

/** What keeps an edit from being saved: by row, `path`, or `content` for the whole. */
export function wrongs({ path, content, rows }: Edit): Map<string, string> {
  const found = new Map<string, string>();
  const keys = new Map<string, number>();
  for (const row of rows) {
    const key = row.key.trim();
    if (key === "" && row.text.trim() !== "") found.set(`row ${row.id}`, "It needs a key.");
    if (key === "") continue;
    const told = read(row);
    if ("wrong" in told) found.set(`row ${row.id}`, told.wrong);
    if (keys.has(key)) found.set(`row ${row.id}`, `There is a key ${key} already.`);
    keys.set(key, row.id);
  }
  if (content.trim() === "" && path.trim() === "") found.set("content", "A note needs text or a path.");
  return found;
}

/** The metadata of the rows; those that cannot be read are left out. */
export function metadataOf(rows: readonly Row[]): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const row of rows) {
    const told = read(row);
    if (row.key.trim() !== "" && "value" in told) all[row.key.trim()] = told.value;
  }
  return all;
}

/** What an edit changes; nothing, when it is as it was. */
export function changesOf(edit: Edit, base: Base): NotePatch | undefined {
  const metadata = metadataOf(edit.rows);
  const changed = Object.entries(metadata).filter(([key, value]) => !(key in base.metadata) || !same(value, base.metadata[key]));
  const removed = Object.keys(base.metadata).filter((key) => !edit.rows.some((row) => row.key.trim() === key));
  const add = edit.tags.filter((tag) => !base.tags.includes(tag));
  const remove = base.tags.filter((tag) => !edit.tags.includes(tag));
  const path = edit.path.trim();
  const patch: NotePatch = {
    ...(edit.content === base.content ? {} : { content: edit.content }),
    ...(path === base.path ? {} : { path: path || null }),
    ...(add.length + remove.length > 0 ? { tags: { add, remove } } : {}),
    ...(changed.length > 0 ? { metadata: Object.fromEntries(changed) } : {}),
    ...(removed.length > 0 ? { remove_metadata: removed } : {}),
  };
  return Object.keys(patch).length > 0 ? patch : undefined;
}

/** Whether a person has written anything that is not saved. What cannot be read yet counts, too. */
export function isChanged(edit: Edit, base: Base): boolean {
  const rows = editOf(base).rows;
  const shown = (all: readonly Row[]): string => JSON.stringify(all.filter(({ key, text }) => key !== "" || text !== "").map(({ key, kind, text }) => [key, kind, text]));
  return changesOf(edit, base) !== undefined || shown(rows) !== shown(edit.rows);
}

export function newNote(edit: Edit): NewNote {
  const path = edit.path.trim();
  return { content: edit.content, ...(path ? { path } : {}), tags: edit.tags, metadata: metadataOf(edit.rows) };
}

/** What two people changed of the same note to different things: words for each. Empty: both can be kept. */
export function clashes(edit: Edit, base: Base, theirs: Base): string[] {
  const mine = changesOf(edit, base) ?? {};
  const other = changesOf(editOf(theirs), base) ?? {};
  const found: string[] = [];
  if (mine.content !== undefined && other.content !== undefined && mine.content !== other.content) found.push("the text");
  if (mine.path !== undefined && other.path !== undefined && mine.path !== other.path) found.push("the path");
  const touched = ({ metadata, remove_metadata: removed }: NotePatch): Map<string, unknown> =>
    new Map([...Object.entries(metadata ?? {}), ...(removed ?? []).map((key) => [key, undefined] as const)]);
  const ours = touched(mine);
  for (const [key, value] of touched(other)) if (ours.has(key) && !same(ours.get(key), value)) found.push(`the key ${key}`);
  return found;
}

/** What others changed, as words: to tell of what was kept beside one's own. */
export function changedWords(base: Base, now: Base): string[] {
  const { content, path, tags, metadata, remove_metadata: removed } = changesOf(editOf(now), base) ?? {};
  const keys = [...Object.keys(metadata ?? {}), ...(removed ?? [])];
  return [
    ...(content === undefined ? [] : ["the text"]),
    ...(path === undefined ? [] : ["the path"]),
    ...(tags ? ["the tags"] : []),
    ...(keys.length > 0 ? [`the metadata (${keys.join(", ")})`] : []),
  ];
}

/** The edit on top of what others made of the note: what this person did not touch is as it is there. */
export function onTop(edit: Edit, base: Base, theirs: Base): Edit {
  const { content, path, tags, metadata = {}, remove_metadata: removed = [] } = changesOf(edit, base) ?? {};
  const known = editOf(theirs);
  const own = new Map(edit.rows.map((row) => [row.key.trim(), row]));
  const next = Math.max(-1, ...edit.rows.map(({ id }) => id)) + 1;
  const rows = known.rows
    .filter(({ key }) => !removed.includes(key))
    .map((row, index) => (row.key in metadata ? (own.get(row.key) ?? row) : { ...row, id: next + index }));
  const fresh = edit.rows.filter(({ key }) => !known.rows.some((row) => row.key === key.trim()) && !(key.trim() in base.metadata));
  const back = Object.keys(metadata).filter((key) => key in base.metadata && !(key in theirs.metadata)).flatMap((key) => own.get(key) ?? []);
  return {
    content: content ?? theirs.content,
    path: path === undefined ? theirs.path : (path ?? ""),
    tags: [...theirs.tags.filter((tag) => !tags?.remove.includes(tag)), ...(tags?.add ?? []).filter((tag) => !theirs.tags.includes(tag))],
    rows: [...rows, ...back, ...fresh],
  };
}

/** What is to be in the form when `sent` is saved as `saved`, and a person has gone on writing since. */
export function afterSaving(now: Edit, sent: Edit, saved: Base): Edit {
  if (!isChanged(now, saved)) return now;
  if (now === sent) return editOf(saved);
  const { path, content, tags, rows } = sent;
  return onTop(now, { path: path.trim(), content, tags, metadata: metadataOf(rows) }, saved);
}

/** All but the text of a note, a line each, to be compared. */
export function properties({ path, tags, rows }: Edit): string {
  const values = Object.entries(metadataOf(rows)).sort(([a], [b]) => (a < b ? -1 : 1));
  return [`path: ${path || "none"}`, `tags: ${[...tags].sort().join(", ") || "none"}`, ...values.map(([key, value]) => `${key}: ${JSON.stringify(value)}`)].join("\n");
}

/** A tag as vaults keep it; nothing for what is none. */
export function tagOf(text: string): string | undefined {
  return text.trim().replace(/^#+/, "").replaceAll(",", "").trim() || undefined;
}

export function same(one: unknown, other: unknown): boolean {
  return stable(one) === stable(other);
}

function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "undefined";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${stable(one)}`).join()}}`;
}
