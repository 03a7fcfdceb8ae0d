/** What the notes room remembers while the page is open, and where its parts are. */
import { computed, type Signal, signal } from "@preact/signals";
import { ALL_NOTES, type Capabilities, type NotesFilter } from "../../vault/api";
import { EVERYTHING } from "../../vault/browse";
import { hashOf } from "../../route";
import { health } from "../../store";

const filters = new Map<string, Signal<NotesFilter>>();

/** How the notes of a vault were narrowed: coming back shows them so again. */
export function filterOf(vault: string): Signal<NotesFilter> {
  const known = filters.get(vault);
  if (known) return known;
  const fresh = signal<NotesFilter>(ALL_NOTES);
  filters.set(vault, fresh);
  return fresh;
}

/** The vault that was looked at last. */
export const lastVault = signal<string | undefined>(undefined);
/** What was done last, told in the list. */
export const told = signal<string | undefined>(undefined);

/** What a vault can do; everything, as long as nobody has said. */
export function abilities(vault: string): Capabilities {
  return { ...EVERYTHING, ...known.value?.find(({ name }) => name === vault)?.capabilities };
}

/** How the vaults stand. */
export const known = computed(() => health.value?.vaults ?? undefined);

export const listHref = (vault: string): string => hashOf({ view: "notes", path: [vault] });
export const noteHref = (vault: string, id: string): string => hashOf({ view: "notes", path: [vault, id] });
export const editHref = (vault: string, id: string): string => hashOf({ view: "notes", path: [vault, id, "edit"] });
/** No note has a place of three parts but its editor. */
export const newHref = (vault: string): string => hashOf({ view: "notes", path: [vault, "-", "new"] });

/** Narrows the list of a vault and goes there. */
export function showOnly(vault: string, filter: Partial<NotesFilter>): void {
  filterOf(vault).value = { ...ALL_NOTES, ...filter };
  location.hash = listHref(vault);
}
