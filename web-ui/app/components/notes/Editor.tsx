import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useRef } from "preact/hooks";
import { ApiError } from "../../api";
import { failure } from "../../store";
import { vaultApi, type VaultNote } from "../../vault/api";
import { nameOf } from "../../vault/browse";
import { noteDraft } from "../../vault/drafts";
import { type Base, baseOf, NEW } from "../../vault/edit";
import { ErrorNote } from "../ErrorNote";
import { useFromTop } from "../useKeptScroll";
import { EditForm } from "./EditForm";
import { abilities, listHref, noteHref } from "./state";

/** Changes a note, from what it says now or from what was written before and not saved. */
export function EditNote({ vault, id }: { vault: string; id: string }) {
  const note = useSignal<VaultNote | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const load = useCallback(async () => {
    error.value = undefined;
    try {
      note.value = await vaultApi.note(vault, id, abilities(vault));
    } catch (thrown) {
      error.value = failure(thrown);
    }
  }, []);
  useEffect(() => void load(), []);
  const draft = noteDraft(vault, id);
  const gone = error.value?.status === 404;
  // What was written is there also when its note is not, or the daemon is away.
  const box = useRef<HTMLElement>(null);
  useFromTop(box);
  const base: Base | undefined = note.value ? baseOf(note.value) : error.value && draft ? draft.base : undefined;
  return (
    <article class="note-page" ref={box}>
      {error.value ? (
        <ErrorNote error={gone ? new ApiError(404, "gone", "This note was removed, or moved.", draft ? "What you wrote is below: copy it, or save it as a new note." : "") : error.value}>
          {gone && !draft ? (
            <a class="button" href={listHref(vault)}>
              All notes
            </a>
          ) : null}
          {gone ? null : (
            <button type="button" onClick={() => void load()}>
              Try again
            </button>
          )}
        </ErrorNote>
      ) : null}
      {base ? (
        <EditForm
          key={note.value ? "read" : "kept"} vault={vault} id={id} title={note.value ? nameOf(note.value) : base.path || id} base={base} gone={gone}
          away={noteHref(vault, id)}
        />
      ) : error.value ? null : (
        <p class="quiet center">Loading the note…</p>
      )}
    </article>
  );
}

/** A note that is not there yet. */
export function WriteNote({ vault }: { vault: string }) {
  const box = useRef<HTMLElement>(null);
  useFromTop(box);
  return (
    <article class="note-page" ref={box}>
      <EditForm vault={vault} id="" title="New note" base={NEW} away={listHref(vault)} />
    </article>
  );
}

