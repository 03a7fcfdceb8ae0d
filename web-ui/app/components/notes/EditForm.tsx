import { useSignal } from "@preact/signals";
import { useCallback, useLayoutEffect, useRef } from "preact/hooks";
import { ApiError } from "../../api";
import { time } from "../../format";
import { useAction } from "../../resource";
import { minute } from "../../store";
import { vaultApi, type VaultNote } from "../../vault/api";
import { dropNoteDraft, keepNoteDraft, noteDraft, notKept } from "../../vault/drafts";
import { afterSaving, type Base, baseOf, changedWords, changesOf, clashes, type Edit, editOf, isChanged, metadataOf, newNote, onTop, wrongs } from "../../vault/edit";
import { willDo } from "../../vault/keep";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Field } from "../Field";
import { useEscape } from "../useListKeys";
import { Clash } from "./Clash";
import { MetadataRows } from "./MetadataRows";
import { Follows } from "./NotePage";
import { abilities, noteHref } from "./state";
import { TagsField } from "./TagsField";
import { TextField } from "./TextField";

/** How long after a key was pressed the draft is stored: a long text takes a moment. */
const STORE_MS = 250;

interface EditFormProps {
  vault: string;
  /** Blank: a new note. */
  id: string;
  title: string;
  base: Base;
  /** It is not there any more. */
  gone?: boolean;
  /** Where one goes who does not save. */
  away: string;
}

/** The form of a note. What is written is kept by the browser until it is saved or discarded. */
export function EditForm({ vault, id, title, base: opened, gone = false, away }: EditFormProps) {
  // Somebody else may remove the note while it is edited.
  const lost = useSignal(gone);
  const isNew = id === "" || lost.value;
  const kept = useRef(noteDraft(vault, id)).current;
  // What was written before was written for the note as it was then.
  const base = useSignal<Base>(kept?.base ?? opened);
  const edit = useSignal<Edit>(kept?.edit ?? editOf(opened));
  const restored = useSignal(kept?.at);
  const tried = useSignal(false);
  const said = useSignal("");
  const clash = useSignal<{ theirs: VaultNote; fields: readonly string[] } | undefined>(undefined);
  const action = useAction();
  const store = useStored(vault, id, () => (isChanged(edit.peek(), base.peek()) ? { base: base.peek(), edit: edit.peek() } : undefined));
  const changed = isChanged(edit.value, base.value);
  const wrong = tried.value ? wrongs(edit.value) : new Map<string, string>();

  const change = (more: Partial<Edit>): void => {
    edit.value = { ...edit.peek(), ...more };
    said.value = "";
    store.soon();
  };
  const done = (note: VaultNote, words: string, sent: Edit): void => {
    const saved = baseOf(note);
    edit.value = afterSaving(edit.peek(), sent, saved);
    base.value = saved;
    restored.value = undefined;
    clash.value = undefined;
    tried.value = false;
    said.value = words;
    store.now();
  };

  /** On top of what others have made of it meanwhile, as long as nobody loses by that. `over`: of what they made of it, this. */
  const write = async (over?: VaultNote): Promise<void> => {
    const sent = edit.peek();
    const patch = changesOf(sent, base.peek());
    if (!patch) return;
    const seen = over?.updatedAt ?? base.peek().updatedAt ?? "";
    try {
      done(await vaultApi.save(vault, id, patch, seen), "Saved.", sent);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        lost.value = true;
        throw new ApiError(404, "gone", "This note was removed meanwhile, or moved.", "Save once more to make a new one of it.");
      }
      if (!(error instanceof ApiError) || error.status !== 409 || error.code !== "conflict") throw error;
      const theirs = await vaultApi.note(vault, id, abilities(vault));
      const now = baseOf(theirs);
      const fields = clashes(edit.peek(), base.peek(), now);
      if (fields.length > 0) {
        clash.value = { theirs, fields };
        return;
      }
      const words = changedWords(base.peek(), now);
      done(await vaultApi.save(vault, id, patch, theirs.updatedAt), `Saved. Meanwhile somebody else had changed ${words.join(", ") || "something"}: that is kept, too.`, sent);
    }
  };
  const create = async (): Promise<void> => {
    const sent = edit.peek();
    const note = await vaultApi.create(vault, newNote(sent));
    const saved = baseOf(note);
    const since = afterSaving(edit.peek(), sent, saved);
    store.drop();
    if (isChanged(since, saved)) keepNoteDraft(vault, note.id, { base: saved, edit: since, at: new Date().toISOString() });
    location.hash = noteHref(vault, note.id);
  };
  const save = useRef<() => void>(() => {});
  save.current = () => {
    tried.value = true;
    said.value = "";
    if (wrongs(edit.peek()).size > 0) {
      requestAnimationFrame(() => document.querySelector<HTMLElement>(".note-form [aria-invalid=true]")?.focus());
      return;
    }
    if (isNew || changesOf(edit.peek(), base.peek())) void action.run(() => (isNew ? create() : write()));
  };
  useSaveKey(save);
  useEscape(useCallback(() => (location.hash = away), [away]));
  const discard = (): void => {
    store.drop();
    base.value = opened;
    edit.value = editOf(opened);
    restored.value = undefined;
    clash.value = undefined;
    tried.value = false;
    action.forget();
    if (isNew) location.hash = away;
  };

  const metadata = metadataOf(edit.value.rows);
  const does = isNew ? willDo(edit.value.tags, metadata) : undefined;
  return (
    <form
      class="note-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        save.current();
      }}
    >
      <h1>
        <bdi>{title}</bdi>
      </h1>
      {restored.value && changed ? (
        <p class="note warn" role="note">
          {isNew ? "This is what you wrote" : "These are your unsaved changes"} from {time(restored.value, minute.value)}.
          {!isNew && opened.updatedAt !== base.value.updatedAt ? " The note has changed since then; saving compares the two." : ""}
        </p>
      ) : null}
      {notKept.value ? (
        <p class="note bad" role="alert">
          This browser does not keep what you write here: it is lost when the page is closed or loaded anew. Save it soon.
        </p>
      ) : null}
      {isNew ? null : <Follows note={{ id, path: base.value.path, tags: [...base.value.tags], metadata: { ...base.value.metadata } }} />}
      {does ? (
        <p class="note follows" role="note">
          {does}
        </p>
      ) : null}
      {clash.value ? (
        <Clash
          mine={onTop(edit.value, base.value, baseOf(clash.value.theirs))} theirs={clash.value.theirs} fields={clash.value.fields} busy={action.busy.value}
          over={() => void action.run(() => write(clash.peek()?.theirs))}
          drop={() => clash.value && done(clash.value.theirs, "This is the note as the others made it.", edit.peek())}
          close={() => (clash.value = undefined)}
        />
      ) : null}
      <TextField text={edit.value.content} vault={vault} id={id} wrong={wrong.get("content")} change={(content) => change({ content })} />
      <Field
        id="note-path" label="Path" problems={wrong.has("path") ? [wrong.get("path") ?? ""] : []}
        help={abilities(vault).without_path ? "Where it stands, such as Projects/Roof. It may have none." : "Where it stands, such as Projects/Roof. Without one the vault makes one."}
      >
        {(tied) => <input {...tied} type="text" dir="auto" autocapitalize="none" spellcheck={false} value={edit.value.path} onInput={(event) => change({ path: event.currentTarget.value })} />}
      </Field>
      <TagsField vault={vault} tags={edit.value.tags} change={(tags) => change({ tags })} />
      <MetadataRows rows={edit.value.rows} wrong={wrong} canRemove={abilities(vault).remove_metadata} change={(rows) => change({ rows })} />
      {action.error.value ? (
        <ErrorNote error={action.error.value}>
          <p>What you wrote is kept here. Save tries it again.</p>
        </ErrorNote>
      ) : null}
      <div class="save-bar">
        <button type="submit" class="primary" disabled={action.busy.value || (!isNew && !changed)} title="Ctrl+S">
          {action.busy.value ? "Saving…" : lost.value ? "Save as a new note" : "Save"}
        </button>
        <a class="button" href={away}>
          Close
        </a>
        {changed ? <Confirm label="Discard" question="Discard what you wrote?" yes="Discard" onYes={discard} /> : null}
        <span class="quiet" role="status">
          {said.value || (tried.value && wrong.size > 0 ? "Not saved: something is to be corrected." : changed ? "Not saved yet; kept in this browser." : "")}
        </span>
      </div>
    </form>
  );
}

/** Keeps the draft in the browser, soon after each change and whatever happens to the page. */
function useStored(vault: string, id: string, draft: () => { base: Base; edit: Edit } | undefined) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const store = (): void => {
    clearTimeout(timer.current);
    timer.current = undefined;
    const now = draft();
    if (now) keepNoteDraft(vault, id, { ...now, at: new Date().toISOString() });
    else dropNoteDraft(vault, id);
  };
  const flush = (): void => {
    if (timer.current !== undefined) store();
  };
  useLayoutEffect(() => {
    addEventListener("pagehide", flush);
    document.addEventListener("visibilitychange", flush);
    return () => {
      removeEventListener("pagehide", flush);
      document.removeEventListener("visibilitychange", flush);
      flush();
    };
  }, []);
  return {
    soon(): void {
      timer.current ??= setTimeout(store, STORE_MS);
    },
    now: store,
    drop(): void {
      clearTimeout(timer.current);
      timer.current = undefined;
      dropNoteDraft(vault, id);
    },
  };
}

/** Ctrl+S, or Cmd+S, wherever the focus is. */
function useSaveKey(save: { current: () => void }): void {
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      event.preventDefault();
      save.current();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
