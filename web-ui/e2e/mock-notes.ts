/** The double's side of the notes of vaults. It answers as soon as there is a note in it. */
import type { NoteLink, VaultNote } from "../app/vault/api";
import type { Reply } from "./mock";

const missing: Reply = [404, { error: "Not found", error_type: "not_found", message: "no note has this id or path; paths are case-sensitive" }];

export class MockNotes {
  vaults = new Map<string, VaultNote[]>();
  links: NoteLink[] = [];
  /** Notes of a page at most. */
  page = Infinity;
  /** Vaults that cannot be searched, list no tags and know no links. */
  plain = new Set<string>();
  /** The next change is refused with this. */
  refusal: Reply | undefined;
  /** The next read is refused with this. */
  away: Reply | undefined;
  /** What was changed. */
  changes: { call: string; body: Record<string, unknown> }[] = [];
  asked: string[] = [];
  private clock = Date.now() - 86_400_000;

  add(note: Partial<VaultNote> & { id: string }, vault = "default"): VaultNote {
    const at = this.tick();
    const made: VaultNote = { content: "", tags: [], createdAt: at, updatedAt: at, ...note };
    this.vaults.set(vault, [...(this.vaults.get(vault) ?? []), made]);
    return made;
  }

  /** Somebody else changes a note. */
  change(id: string, more: Partial<VaultNote>, vault = "default"): void {
    Object.assign(this.find(vault, id) ?? {}, more, { updatedAt: this.tick() });
  }

  link(source: string, target: string): void {
    const path = (id: string): string | undefined => this.find("default", id)?.path ?? undefined;
    const [sourcePath, targetPath] = [path(source), path(target)];
    this.links.push({ sourceId: source, targetId: target, relationship: "wikilink", createdAt: this.tick(), ...(sourcePath ? { sourcePath } : {}), ...(targetPath ? { targetPath } : {}) });
  }

  find(vault: string, key: string): VaultNote | undefined {
    return this.vaults.get(vault)?.find((note) => note.id === key || note.path === key);
  }

  private tick(): string {
    this.clock += 1_000;
    return new Date(this.clock).toISOString();
  }

  answer(method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply | undefined {
    if (this.vaults.size === 0) return undefined;
    if (path === "/vaults/list") return [200, { vaults: [...this.vaults.keys()] }];
    const [root, vault = "", api, kind, key, part, file] = path.split("/").slice(1).map(decodeURIComponent);
    if (root !== "vault" || api !== "api" || (kind !== "notes" && kind !== "tags")) return undefined;
    if (method === "GET") {
      this.asked.push(`${path}?${query}`);
      const { away } = this;
      this.away = undefined;
      if (away) return away;
      if (kind === "tags") return this.plain.has(vault) ? [501, { error: "unsupported", message: "this vault lists no tags; nothing was done" }] : [200, this.tags(vault)];
      return key === undefined ? this.list(vault, query) : this.one(vault, key, query);
    }
    this.changes.push({ call: `${method} ${path}`, body });
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal) return refusal;
    if (part === "attachments") return this.attach(method, vault, key ?? "", file, body);
    if (method === "POST") return this.create(vault, body);
    const note = this.find(vault, key ?? "");
    if (!note) return missing;
    if (method === "DELETE") {
      this.vaults.set(vault, (this.vaults.get(vault) ?? []).filter((other) => other !== note));
      return [200, { deleted: true, id: note.id }];
    }
    return this.patch(note, body);
  }

  private tags(vault: string): { name: string; count: number }[] {
    const counts = new Map<string, number>();
    for (const tag of (this.vaults.get(vault) ?? []).flatMap(({ tags }) => tags)) counts.set(tag, (counts.get(tag) ?? 0) + 1);
    return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  private one(vault: string, key: string, query: URLSearchParams): Reply {
    const note = this.find(vault, key);
    if (!note) return missing;
    if (query.has("include_links") && this.plain.has(vault)) return [501, { error: "unsupported", message: "this vault knows no links; nothing was done" }];
    const links = this.links.filter((link) => link.sourceId === note.id || link.targetId === note.id);
    return [200, { attachments: [], ...note, ...(query.has("include_links") ? { links } : {}) }];
  }

  private list(vault: string, query: URLSearchParams): Reply {
    const tags = query.get("tag")?.split(",") ?? [];
    const without = query.get("exclude_tag");
    const prefix = query.get("path_prefix");
    const words = query.get("search")?.replace("*", "").toLowerCase().split(" ");
    if (words && this.plain.has(vault)) return [501, { error: "unsupported", message: "this vault cannot search the text of notes; search there; nothing was done" }];
    const found = (this.vaults.get(vault) ?? []).filter(
      (note) =>
        tags.every((tag) => note.tags.includes(tag)) && !(without && note.tags.includes(without)) && (!prefix || note.path?.startsWith(prefix)) &&
        (!words || words.every((word) => `${note.content}`.toLowerCase().includes(word))),
    );
    found.sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
    const start = Number(query.get("cursor") ?? 0);
    const end = start + Math.min(this.page, Number(query.get("limit") ?? 50));
    const page = found.slice(start, end);
    const headers: Record<string, string> = end < found.length ? { "x-next-cursor": String(end) } : {};
    if (query.get("format") === "graph") return [200, { nodes: page.map(({ id, path, tags: own }) => ({ id, path: path ?? null, tags: own })), edges: [] }, headers];
    return [200, page.map(({ content, ...rest }) => ({ ...rest, preview: (content ?? "").replace(/\s+/g, " ").slice(0, 120), byteSize: content?.length ?? 0 })), headers];
  }

  private create(vault: string, body: Record<string, unknown>): Reply {
    const path = body.path as string | undefined;
    if (path && this.find(vault, path)) return [409, { error: "path_conflict", error_type: "path_conflict", path, message: `there is a note at ${path} already` }];
    return [201, this.add({ id: `n${this.clock}`, ...(body as Partial<VaultNote>) }, vault)];
  }

  private patch(note: VaultNote, body: Record<string, unknown>): Reply {
    if (body.if_updated_at !== note.updatedAt) return [409, { error: "conflict", error_type: "conflict", message: "the note has changed; read it again and repeat the change", current_updated_at: note.updatedAt }];
    const tags = body.tags as { add: string[]; remove: string[] } | undefined;
    const metadata: Record<string, unknown> = { ...note.metadata, ...(body.metadata as Record<string, unknown> | undefined) };
    for (const key of (body.remove_metadata as string[] | undefined) ?? []) delete metadata[key];
    if (typeof body.content === "string") note.content = body.content;
    if (body.path !== undefined) note.path = body.path as string | null;
    if (tags) note.tags = [...note.tags.filter((tag) => !tags.remove.includes(tag)), ...tags.add].sort();
    Object.assign(note, { metadata, updatedAt: this.tick() });
    return [200, note];
  }

  private attach(method: string, vault: string, key: string, file: string | undefined, body: Record<string, unknown>): Reply {
    const note = this.find(vault, key);
    if (!note) return missing;
    if (method === "DELETE") {
      note.attachments = (note.attachments ?? []).filter(({ id }) => id !== file);
      return [204, null];
    }
    const made = { id: `f${(note.attachments?.length ?? 0) + 1}`, noteId: note.id, createdAt: this.tick(), size: 5, ...(body as { path: string; filename: string; mimeType: string }) };
    note.attachments = [...(note.attachments ?? []), made];
    return [201, made];
  }
}
