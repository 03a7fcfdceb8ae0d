/** Notes of a vault: calls of the daemon, and what each kind of vault can do. */
import type { components } from "../api/schema";
import { request, segment } from "../api";

type Schemas = components["schemas"];
export type VaultNote = Schemas["Note"];
export type NoteLink = Schemas["NoteLink"];
export type NoteFile = Schemas["NoteAttachment"];
export type Capabilities = Schemas["VaultCapabilities"];
export type TagCount = Pick<Schemas["TagBody"], "name" | "count">;

/** What a list of notes is narrowed to. */
export interface NotesFilter {
  text: string;
  tags: readonly string[];
  /** With what is below it; all when blank. */
  folder: string;
  /** The messages of agents, too, of which there are many. */
  messages: boolean;
}

export const ALL_NOTES: NotesFilter = { text: "", tags: [], folder: "", messages: false };

export const MESSAGE_TAG = "agent/message";

/** A change of a note: only what differs. */
export interface NotePatch {
  content?: string;
  /** Null takes it away. */
  path?: string | null;
  tags?: { add: string[]; remove: string[] };
  metadata?: Record<string, unknown>;
  remove_metadata?: string[];
}

export interface NewNote {
  content: string;
  path?: string;
  tags: readonly string[];
  metadata: Readonly<Record<string, unknown>>;
}

export interface NotePage {
  notes: VaultNote[];
  next?: string;
}

/** A note by its place alone. */
export type Place = Schemas["GraphNode"];

/** So many notes are asked for their places; a vault that has more shows folders of these. */
export const MOST_PLACES = 5_000;
const PAGE = 50;

const of = (vault: string, rest: string): string => `vault/${segment(vault)}/api/${rest}`;
const note = (vault: string, id: string, more = ""): string => of(vault, `notes/${segment(id)}${more}`);

export const vaultApi = {
  names: () => request<Schemas["VaultNames"]>("GET", "vaults/list"),
  async list(vault: string, filter: NotesFilter, can: Capabilities, cursor?: string): Promise<NotePage> {
    let next: string | undefined;
    const notes = await request<VaultNote[]>("GET", of(vault, `notes?${notesQuery(filter, can, cursor)}`), undefined, {}, (headers) => {
      next = headers.get("x-next-cursor") ?? undefined;
    });
    return { notes, ...(next === undefined ? {} : { next }) };
  },
  note: (vault: string, id: string, can: Capabilities) =>
    request<VaultNote>("GET", note(vault, id, `?include_attachments=true${can.links ? "&include_links=true" : ""}`)),
  tags: (vault: string) => request<TagCount[]>("GET", of(vault, "tags")),
  /** Where notes are, without what is in them. */
  async places(vault: string, messages: boolean): Promise<{ places: Place[]; cut: boolean }> {
    let cut = false;
    const query = `notes?format=graph&limit=${MOST_PLACES}${messages ? "" : `&exclude_tag=${segment(MESSAGE_TAG)}`}`;
    const { nodes } = await request<Schemas["NoteGraph"]>("GET", of(vault, query), undefined, {}, (headers) => {
      cut = headers.has("x-next-cursor");
    });
    return { places: nodes, cut };
  },
  /** Written only if the note is still the one of that moment. */
  save: (vault: string, id: string, patch: NotePatch, seen: string) => request<VaultNote>("PATCH", note(vault, id), { ...patch, if_updated_at: seen }),
  create: (vault: string, made: NewNote) => request<VaultNote>("POST", of(vault, "notes"), made),
  remove: (vault: string, id: string) => request<Schemas["NoteDeleted"]>("DELETE", note(vault, id)),
  attach: (vault: string, id: string, file: { path: string; filename: string; mimeType: string }) =>
    request<NoteFile>("POST", note(vault, id, "/attachments"), { path: file.path, filename: file.filename, mimeType: file.mimeType }),
  detach: (vault: string, id: string, file: string) => request<unknown>("DELETE", note(vault, id, `/attachments/${segment(file)}`)),
};

export function notesQuery({ text, tags, folder, messages }: NotesFilter, can: Capabilities, cursor?: string): string {
  const query = new URLSearchParams({ limit: String(PAGE) });
  const words = expression(text);
  if (words && can.search) query.set("search", words);
  else if (can.order_by) query.set("order_by", "updated_at");
  query.set("sort", "desc");
  if (tags.length > 0) query.set("tag", tags.join(","));
  if (tags.length > 1) query.set("tag_match", "all");
  if (folder) query.set("path_prefix", `${folder}/`);
  if (!messages && !tags.some((tag) => tag === MESSAGE_TAG || tag.startsWith(`${MESSAGE_TAG}/`))) query.set("exclude_tag", MESSAGE_TAG);
  if (cursor) query.set("cursor", cursor);
  return query.toString();
}

/** What a person types finds words that begin so; who writes an expression of the search means it. */
export function expression(text: string): string {
  const trimmed = text.trim();
  return /^[\p{L}\p{N}\s]+$/u.test(trimmed) && !/\b(AND|OR|NOT|NEAR)\b/.test(trimmed) ? `${trimmed.split(/\s+/).join(" ")}*` : trimmed;
}
