/** Names, folders and hits of notes. Pure. */
import type { Capabilities, Place, VaultNote } from "./api";

export const EVERYTHING: Capabilities = {
  atomic_batches: true, links: true, operators: true, order_by: true, remove_metadata: true, search: true, tag_parents: true, tag_schemas: true, triggers: true, without_path: true,
};

/** What a note is called: the end of its path, else its first heading or words. */
export function nameOf({ path, content, preview, id }: Pick<VaultNote, "path" | "content" | "preview" | "id">): string {
  const last = path?.split("/").filter(Boolean).at(-1);
  if (last) return last;
  const line = (content ?? preview ?? "").trim().split("\n")[0]?.replace(/^#+\s+/, "").trim();
  return line ? (line.length > 80 ? `${line.slice(0, 80)}…` : line) : id;
}

/** The beginning of a text without the marks of Markdown, and without the name of the note where that stands first. */
export function wordsOf(preview: string, name: string): string {
  const plain = preview
    .replace(/!?\[\[([^[\]|]*)(?:\|([^[\]]*))?\]\]/g, (_, target: string, shown?: string) => shown || target)
    .replace(/!?\[([^[\]]*)\]\([^()]*\)/g, "$1")
    .replace(/^(?:[-*>]|\d+\.)(?=\s)|(?:^|\s)#{1,6}(?=\s)/g, " ")
    .replace(/[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}/g, (marks) => (marks === "_" ? "_" : ""))
    .replace(/\s+/g, " ")
    .trim();
  return plain.startsWith(name) ? plain.slice(name.length).trim() : plain;
}

/** The folder that a path is in; blank at the top. */
export function folderOf(path: string | null | undefined): string {
  return path?.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

export interface Folder {
  name: string;
  path: string;
  /** Notes in it and below. */
  count: number;
}

/** Names sort as people count. */
const NAMES = new Intl.Collator(undefined, { numeric: true });

/** What is right below a folder. */
export function foldersIn(places: readonly Place[], folder: string): Folder[] {
  const start = folder ? `${folder}/` : "";
  const counts = new Map<string, number>();
  for (const { path } of places) {
    if (!path?.startsWith(start)) continue;
    const rest = path.slice(start.length);
    const slash = rest.indexOf("/");
    if (slash > 0) counts.set(rest.slice(0, slash), (counts.get(rest.slice(0, slash)) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ name, path: start + name, count })).sort((a, b) => NAMES.compare(a.name, b.name));
}

/** The folders above one, and itself, with what each is called. */
export function trail(folder: string): { name: string; path: string }[] {
  const parts = folder.split("/").filter(Boolean);
  return parts.map((name, index) => ({ name, path: parts.slice(0, index + 1).join("/") }));
}

/** A text with what was searched for apart. */
export function hits(text: string, search: string): { text: string; hit: boolean }[] {
  const words = search.match(/[\p{L}\p{N}]+/gu)?.filter((word) => !/^(AND|OR|NOT|NEAR)$/.test(word)) ?? [];
  if (words.length === 0) return [{ text, hit: false }];
  const found = new RegExp(`((?<![\\p{L}\\p{N}])(?:${words.join("|")}))`, "giu");
  return text.split(found).flatMap((part, index) => (part === "" ? [] : [{ text: part, hit: index % 2 === 1 }]));
}
