/** Edits of notes that are not saved. They outlive a reload, another room, a refusal and a new sign-in. */
import { signal } from "@preact/signals";
import type { Base, Edit } from "./edit";

export interface NoteDraft {
  base: Base;
  edit: Edit;
  /** When it was last changed. */
  at: string;
}

const PREFIX = "reveille:note-draft:";
/** What this page has written; the browser may not keep it. Null was taken away. */
const own = new Map<string, NoteDraft | null>();
/** Goes up with each change. */
const version = signal(0);
/** Whether the browser refused to keep one: it then is there only as long as the page. */
export const notKept = signal(false);

/** A new note has a blank id; there is one for each vault. */
const keyOf = (vault: string, id: string): string => `${encodeURIComponent(vault)}/${id}`;

export function noteDraft(vault: string, id: string): NoteDraft | undefined {
  void version.value;
  const key = keyOf(vault, id);
  const written = own.get(key);
  return written === undefined ? stored(key) : (written ?? undefined);
}

export function keepNoteDraft(vault: string, id: string, draft: NoteDraft): void {
  put(keyOf(vault, id), draft);
}

export function dropNoteDraft(vault: string, id: string): void {
  put(keyOf(vault, id), null);
}

/** Ids of the notes of a vault that have one. */
export function draftsIn(vault: string): string[] {
  void version.value;
  const start = keyOf(vault, "");
  const keys = new Set([...storedKeys(), ...own.keys()]);
  return [...keys].filter((key) => key.startsWith(start) && own.get(key) !== null).map((key) => key.slice(start.length));
}

function put(key: string, draft: NoteDraft | null): void {
  own.set(key, draft);
  try {
    if (draft) localStorage.setItem(PREFIX + key, JSON.stringify(draft));
    else localStorage.removeItem(PREFIX + key);
    notKept.value = false;
  } catch (error) {
    console.warn("an edit could not be stored", error);
    notKept.value = draft !== null;
  }
  version.value++;
}

function storedKeys(): string[] {
  try {
    return Object.keys(localStorage).flatMap((key) => (key.startsWith(PREFIX) ? [key.slice(PREFIX.length)] : []));
  } catch {
    // Storage is forbidden: there are none.
    return [];
  }
}

function stored(key: string): NoteDraft | undefined {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return isDraft(found) ? found : undefined;
  } catch {
    // Written by something else, or storage is forbidden: as if there were none.
    return undefined;
  }
}

function isDraft(value: unknown): value is NoteDraft {
  const draft = value as NoteDraft | null;
  return (
    typeof draft === "object" && draft !== null && typeof draft.at === "string" && typeof draft.base?.content === "string" && typeof draft.edit?.content === "string" &&
    Array.isArray(draft.edit.rows) && Array.isArray(draft.edit.tags) && Array.isArray(draft.base.tags) && typeof draft.base.metadata === "object" && draft.base.metadata !== null
  );
}

// What another window of the browser writes is seen here, too.
if (typeof addEventListener === "function") {
  addEventListener("storage", (event) => {
    if (!event.key?.startsWith(PREFIX)) return;
    own.delete(event.key.slice(PREFIX.length));
    version.value++;
  });
}
