/** What was written and not sent yet, by agent. It outlives a reload, another agent, a failed send and a new sign-in. */
import { signal } from "@preact/signals";
import type { StoredFile } from "./turns";

export interface Draft {
  text: string;
  /** Files that are in the vault already and that no message has yet. */
  files: readonly StoredFile[];
  /** Who sends the same draft again sends it under the same name, so that it is not sent twice. */
  key?: string;
}

const EMPTY: Draft = { text: "", files: [] };
const PREFIX = "reveille:draft:";
const drafts = signal<Readonly<Record<string, Draft>>>({});

export function draftOf(name: string): Draft {
  return drafts.value[name] ?? stored(name);
}

/** Changes a draft: what is another message has another key. */
export function changeDraft(name: string, change: Partial<Pick<Draft, "text" | "files">>): void {
  const { text, files } = { ...draftOf(name), ...change };
  put(name, { text, files });
}

/** The key under which the draft is sent. */
export function draftKey(name: string): string {
  const draft = draftOf(name);
  const key = draft.key ?? freshKey();
  put(name, { ...draft, key });
  return key;
}

/** Takes away what was sent; what was written meanwhile stays. */
export function clearDraft(name: string, sent: Draft): void {
  const now = draftOf(name);
  const files = now.files.filter((file) => !sent.files.some(({ path }) => path === file.path));
  put(name, { text: now.text === sent.text ? "" : now.text, files });
}

export function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function put(name: string, draft: Draft): void {
  drafts.value = { ...drafts.value, [name]: draft };
  try {
    if (draft.text === "" && draft.files.length === 0) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(draft));
  } catch (error) {
    // Full or forbidden: the draft is kept as long as the page is open.
    console.warn("the draft could not be stored", error);
  }
}

function stored(name: string): Draft {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    return isDraft(found) ? found : EMPTY;
  } catch {
    // Written by something else, or storage is forbidden: as if there were none.
    return EMPTY;
  }
}

function isDraft(value: unknown): value is Draft {
  const draft = value as Draft | null;
  return typeof draft === "object" && draft !== null && typeof draft.text === "string" && Array.isArray(draft.files);
}
