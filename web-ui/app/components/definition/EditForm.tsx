import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Draft, draftOf, editOf, fieldOf, otherKeys } from "../../agent/draft";
import { MODEL, WANTS } from "../../agent/fields";
import { api, type ApiError, type Note, type Problem } from "../../api";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { editAgent, failure } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Field, FormError, useFirstInvalid } from "../Field";
import { MoreSettings, SettingInput, type SettingInputs } from "./SettingInput";

interface EditFormProps {
  name: string;
  vault: string;
  note: string;
  /** What the daemon found in the note as it is. */
  problems: readonly Problem[];
  done: () => void;
}

/** Changes a definition, from what its note says now. */
export function EditForm({ name, vault, note: id, problems, done }: EditFormProps) {
  const note = useSignal<Note | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  useEffect(() => {
    api.note(vault, id).then(
      (read) => (note.value = read),
      (thrown) => (error.value = failure(thrown)),
    );
  }, []);
  if (!note.value) {
    return (
      <div class="column">
        {error.value ? (
          <ErrorNote error={error.value}>
            <button type="button" onClick={done}>
              Back
            </button>
          </ErrorNote>
        ) : (
          <p class="quiet">Loading the note…</p>
        )}
      </div>
    );
  }
  return <Loaded name={name} note={note.value} problems={problems} done={done} />;
}

function Loaded({ name, note, problems, done }: { name: string; note: Note; problems: readonly Problem[]; done: () => void }) {
  const opened = useSignal(draftOf(note)).value;
  const draft = useSignal<Draft>(opened);
  const action = useAction();
  const error = action.error.value;
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const { fields, rest } = sortProblems(error ? error.problems : problems, (key) => fieldOf(key, draft.value), touched.value);
  const form = useFirstInvalid(error);
  const change = (key: string, more: Partial<Draft>): void => {
    draft.value = { ...draft.value, ...more };
    touched.value = new Set([...touched.value, key]);
  };
  const set = (key: string, value: string): void => change(key, { settings: { ...draft.value.settings, [key]: value } });
  const inputs: SettingInputs = { values: draft.value.settings, problems: fields, set };

  const submit = async (event: Event, over = false): Promise<void> => {
    event.preventDefault();
    touched.value = new Set();
    const edit = editOf(draft.value, opened, note);
    if (over) delete edit.if_updated_at;
    if (Object.keys(edit).length === 0 || (await action.run(() => editAgent(name, edit)))) done();
  };

  return (
    <form class="column definition-form" ref={form} onSubmit={submit} noValidate>
      <h2>Edit the definition</h2>
      <Field id="edit-name" label="Name" help="It is also where its messages are sent." problems={fields.get("name")}>
        {(tied) => (
          <input
            {...tied} type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.value.name}
            onInput={(event) => change("name", { name: event.currentTarget.value })}
          />
        )}
      </Field>
      <Field id="edit-prompt" label="Role" help="What it is told before every conversation." problems={fields.get("prompt")}>
        {(tied) => (
          <textarea
            {...tied} rows={9} dir="auto" value={draft.value.prompt}
            onInput={(event) => change("prompt", { prompt: event.currentTarget.value })}
          />
        )}
      </Field>
      <SettingInput field={MODEL} {...inputs} />
      <SettingInput field={WANTS} {...inputs} />
      <OtherKeys keys={otherKeys(opened)} {...inputs} />
      <MoreSettings {...inputs} />
      {error ? <FormError error={error} rest={rest} /> : null}
      {error?.code === "conflict" ? (
        <button type="button" disabled={action.busy.value} onClick={(event) => void submit(event, true)}>
          Save over it
        </button>
      ) : null}
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value}>
          {action.busy.value ? "Saving…" : "Save"}
        </button>
        <button type="button" onClick={done}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** Keys of the note that are perhaps misspelled, or mean something to somebody else. */
function OtherKeys({ keys, ...inputs }: { keys: readonly string[] } & SettingInputs) {
  if (keys.length === 0) return null;
  return (
    <fieldset>
      <legend>Other keys of the note</legend>
      <p class="hint">Empty takes a key away.</p>
      <div class="grid">
        {keys.map((key) => (
          <SettingInput key={key} field={{ key, label: key, kind: "text" }} {...inputs} />
        ))}
      </div>
    </fieldset>
  );
}
