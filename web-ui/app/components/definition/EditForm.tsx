import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { draftOf, editOf, otherKeys, type Part, withPart } from "../../agent/draft";
import { MODEL, partLabel, WANTS } from "../../agent/fields";
import { decide, drop, keep, keyOf, lookAt, onTopOf, undecided, unsavedOf, unsavedParts } from "../../agent/unsaved";
import { api, ApiError, type Note, type Problem } from "../../api";
import { useAction } from "../../resource";
import { listed } from "../../sandbox";
import { editAgent, failure } from "../../store";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Field, FormError, useFirstInvalid } from "../Field";
import { Conflict } from "./Conflict";
import { FormFoot } from "./FormFoot";
import { OtherKeys } from "./OtherKeys";
import { MoreSettings, SettingInput, type SettingInputs } from "./SettingInput";
import { useVerdict } from "./useVerdict";
import { told } from "./verdictFields";

interface EditFormProps {
  name: string;
  vault: string;
  note: string;
  /** What the daemon found in the note as it is. */
  problems: readonly Problem[];
  warnings: readonly Problem[];
  done: () => void;
}

/** Changes a definition, from what its note says now. What was changed and not saved is laid over that. */
export function EditForm(props: EditFormProps) {
  const { vault, note: id, done } = props;
  const note = useSignal<Note | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const load = async (): Promise<void> => {
    error.value = undefined;
    try {
      note.value = await api.note(vault, id);
    } catch (thrown) {
      error.value = failure(thrown);
    }
  };
  useEffect(() => void load(), []);
  if (note.value) return <Loaded {...props} read={note.value} />;
  return (
    <div class="column">
      {error.value ? (
        <ErrorNote error={error.value}>
          {unsavedOf(keyOf(vault, id)) ? <p>What you have changed is kept.</p> : null}
          <div class="row-actions">
            <button type="button" onClick={() => void load()}>
              Try again
            </button>
            <button type="button" onClick={done}>
              Back
            </button>
          </div>
        </ErrorNote>
      ) : (
        <p class="quiet">Loading the note…</p>
      )}
    </div>
  );
}

/** Brings the field of a part into view, also where it is folded away. */
function show(form: HTMLElement | null, part: Part): void {
  const field = form?.querySelector<HTMLElement>(`#${CSS.escape(part === "name" || part === "prompt" ? `edit-${part}` : `set-${part}`)}`);
  field?.closest("details")?.setAttribute("open", "");
  field?.scrollIntoView({ block: "center" });
  field?.focus({ preventScroll: true });
}

function Loaded({ name, vault, note: id, read, problems: before, warnings, done }: EditFormProps & { read: Note }) {
  const key = keyOf(vault, id);
  const note = useSignal(read);
  const taken = useSignal<readonly Part[]>([]);
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const action = useAction();
  const error = action.error.value;
  const theirs = draftOf(note.value);
  const unsaved = unsavedOf(key) ?? { draft: theirs, base: theirs, open: true };
  const { draft } = unsaved;
  const open = undecided(unsaved, theirs);
  const edit = editOf(draft, theirs, note.value);
  const changed = unsavedParts(unsaved);

  /** Lays what is unsaved over a note that was read. */
  const take = (fresh: Note): void => {
    const kept = unsavedOf(key);
    note.value = fresh;
    if (!kept) return;
    const laid = onTopOf(kept, draftOf(fresh));
    keep(key, { ...laid.unsaved, open: true });
    taken.value = laid.taken;
  };
  // Before anything is drawn: whoever leaves at once finds the form as they left it.
  useLayoutEffect(() => {
    take(read);
    const asked = lookAt.peek();
    if (asked?.key === key) show(form.current, asked.part);
    lookAt.value = undefined;
  }, []);

  const check = useVerdict({ vault, name: draft.name.trim(), content: draft.prompt, metadata: edit.metadata ?? {}, note_id: id });
  const { problems, warnings: odd } = told(check, error?.problems ?? [], { problems: before, warnings }, draft, touched.value);
  const form = useFirstInvalid(error);
  const change = (part: Part, text: string): void => {
    keep(key, { ...unsaved, open: true, draft: withPart(draft, part, text) });
    touched.value = new Set([...touched.value, part]);
  };
  const inputs: SettingInputs = { values: draft.settings, problems: problems.fields, warnings: odd.fields, set: change };

  /** Written once more when somebody else has changed only what is not changed here: the daemon itself writes on the note, too. */
  const save = async (): Promise<void> => {
    try {
      await editAgent(name, edit);
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.code !== "conflict") throw thrown;
      const fresh = await api.note(vault, id);
      take(fresh);
      const now = unsavedOf(key);
      if (!now || undecided(now, draftOf(fresh)).length > 0) return;
      await editAgent(name, editOf(now.draft, draftOf(fresh), fresh));
    }
    drop(key);
    done();
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (open.length > 0) {
      form.current?.querySelector<HTMLElement>(".conflict")?.focus();
      return;
    }
    touched.value = new Set();
    if (Object.keys(edit).length === 0) {
      drop(key);
      done();
      return;
    }
    await action.run(save);
  };

  return (
    <form class="column definition-form" ref={form} onSubmit={submit} noValidate>
      <h2>Edit the definition</h2>
      <Conflict unsaved={unsaved} theirs={theirs} decide={(part, choice) => keep(key, decide(unsaved, theirs, part, choice))} />
      {taken.value.length > 0 ? (
        <p class="note" role="status">
          Somebody else has changed {listed(taken.value.map((part) => `“${partLabel(part)}”`))} meanwhile. That is in the form now, with your changes laid over it.
        </p>
      ) : null}
      <Field id="edit-name" label="Name" help="It is also where its messages are sent." problems={problems.fields.get("name")} warnings={odd.fields.get("name")}>
        {(tied) => (
          <input
            {...tied} type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.name}
            onInput={(event) => change("name", event.currentTarget.value)}
          />
        )}
      </Field>
      <Field id="edit-prompt" label="Role" help="What it is told before every conversation." problems={problems.fields.get("prompt")} warnings={odd.fields.get("prompt")}>
        {(tied) => <textarea {...tied} rows={9} dir="auto" value={draft.prompt} onInput={(event) => change("prompt", event.currentTarget.value)} />}
      </Field>
      <SettingInput field={MODEL} {...inputs} />
      <SettingInput field={WANTS} {...inputs} />
      <OtherKeys keys={otherKeys(theirs)} {...inputs} />
      <MoreSettings {...inputs} />
      {error ? <FormError error={error} rest={[]} /> : null}
      <FormFoot check={check} found={[...problems.fields.values()].flat().length + problems.rest.length} rest={[...problems.rest, ...odd.rest]}>
        <button type="submit" class="primary" disabled={action.busy.value}>
          {action.busy.value ? "Saving…" : "Save"}
        </button>
        <button
          type="button"
          onClick={() => {
            if (changed.length > 0) keep(key, { ...unsaved, open: false });
            done();
          }}
        >
          {changed.length > 0 ? "Keep for later" : "Cancel"}
        </button>
        {changed.length > 0 ? (
          <Confirm
            label="Discard…"
            question={`Discard what you changed (${listed(changed.map(partLabel))})?`}
            yes="Discard it"
            onYes={() => {
              drop(key);
              done();
            }}
          />
        ) : null}
      </FormFoot>
    </form>
  );
}

