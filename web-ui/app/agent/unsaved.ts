/** Changes of definitions that were made and not saved yet, by note. They outlive a reload, another page and a new sign-in. Values of secrets are never among them. */
import { signal } from "@preact/signals";
import { changedParts, type Draft, merged, type Part, partOf, withPart } from "./draft";

export interface Unsaved {
  draft: Draft;
  /** What was there when the change was begun. What others have changed since is in here, but for what is to be decided. */
  base: Draft;
  /** Whether the form stands open. */
  open: boolean;
}

const PREFIX = "reveille:definition:";
/** Null: there is none, whatever is stored. */
const all = signal<Readonly<Record<string, Unsaved | null>>>({});

/** The part of a form that is to be looked at when it opens. */
export const lookAt = signal<{ key: string; part: Part } | undefined>(undefined);

/** Of an agent that is not there yet there is one, too. */
export function keyOf(vault: string | undefined, note: string | undefined): string {
  return `${vault ?? ""}/${note ?? ""}`;
}

export function unsavedOf(key: string): Unsaved | undefined {
  const known = all.value[key];
  return (known === undefined ? stored(key) : known) ?? undefined;
}

export function unsavedParts(unsaved: Unsaved | undefined): readonly Part[] {
  return unsaved ? changedParts(unsaved.base, unsaved.draft) : [];
}

/** What a note says now, laid under a change. */
export function onTopOf({ draft, base, open }: Unsaved, theirs: Draft): { unsaved: Unsaved; taken: readonly Part[] } {
  const { draft: mine, taken, both } = merged(draft, base, theirs);
  // What both have changed stays as it was below, so that it is asked for until it is decided.
  const below = both.reduce((all, part) => withPart(all, part, partOf(base, part)), theirs);
  return { unsaved: { draft: mine, base: below, open }, taken };
}

/** Parts that both have changed, to something else. */
export function undecided({ draft, base }: Unsaved, theirs: Draft): Part[] {
  return changedParts(base, theirs).filter((part) => partOf(draft, part) !== partOf(theirs, part));
}

export type Choice = "mine" | "theirs" | "both";

/** One of them decided; the other is in what it was decided against. */
export function decide({ draft, base, open }: Unsaved, theirs: Draft, part: Part, choice: Choice): Unsaved {
  const [mine, other] = [partOf(draft, part), partOf(theirs, part)];
  const text = choice === "mine" ? mine : choice === "theirs" ? other : `${other.trimEnd()}\n\n${mine}`;
  return { draft: withPart(draft, part, text), base: withPart(base, part, other), open };
}

export function keep(key: string, unsaved: Unsaved): void {
  all.value = { ...all.value, [key]: unsaved };
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(unsaved));
  } catch (error) {
    // Full or forbidden: it is kept as long as the page is open.
    console.warn("the change could not be stored", error);
  }
}

export function drop(key: string): void {
  all.value = { ...all.value, [key]: null };
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // Then there is none.
  }
}

function stored(key: string): Unsaved | undefined {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return isUnsaved(found) ? found : undefined;
  } catch {
    // Written by something else, or storage is forbidden: as if there were none.
    return undefined;
  }
}

function isUnsaved(value: unknown): value is Unsaved {
  const found = value as Unsaved | null;
  return isDraft(found?.draft) && isDraft(found?.base);
}

function isDraft(draft: Draft | undefined): boolean {
  return typeof draft?.prompt === "string" && typeof draft.name === "string" && typeof draft.settings === "object" && draft.settings !== null;
}
