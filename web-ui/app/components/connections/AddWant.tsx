import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { draftOf, editOf, partOf, withPart } from "../../agent/draft";
import { type Agent, api, ApiError } from "../../api";
import { hasAccess, WANTABLE, type Wantable, wantOf, wantProblem } from "../../connections";
import { useAction } from "../../resource";
import { withRule } from "../../sandbox";
import { editAgent, refreshGrants } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Field } from "../Field";
import { useOpener } from "../useOpener";

/** Adds to what a definition asks for. It then waits above to be approved. */
export function AddWant({ agent }: { agent: Agent }) {
  const open = useSignal(false);
  const told = useSignal("");
  const opener = useOpener(open.value);
  if (!agent.vault || !agent.note_id) return null;
  return (
    <>
      <p class="told" role="status">
        {told.value}
      </p>
      {open.value ? (
        <Form
          agent={agent}
          vault={agent.vault}
          note={agent.note_id}
          close={() => (open.value = false)}
          done={(want) => {
            open.value = false;
            told.value = `${want} is asked for now.`;
          }}
        />
      ) : (
        <div class="row-actions">
          <button
            ref={opener}
            type="button"
            onClick={() => {
              told.value = "";
              open.value = true;
            }}
          >
            Ask for a connection…
          </button>
        </div>
      )}
    </>
  );
}

interface FormProps {
  agent: Agent;
  vault: string;
  note: string;
  close: () => void;
  done: (want: string) => void;
}

function Form({ agent, vault, note, close, done }: FormProps) {
  const kind = useSignal<Wantable>("mcp-url");
  const target = useSignal("");
  const access = useSignal<"read" | "write">("read");
  const tried = useSignal(false);
  const box = useRef<HTMLInputElement>(null);
  const action = useAction();
  const error = action.error.value;
  const chosen = WANTABLE.find((one) => one.kind === kind.value) ?? WANTABLE[0];
  const wanted = (agent.connections ?? []).map(({ key }) => key);
  const problem = wantProblem(kind.value, target.value, access.value, wanted);
  const refused = error?.problems.filter(({ key }) => key === "wants").map(({ message }) => message) ?? [];
  useLayoutEffect(() => box.current?.focus(), []);

  /** Written on the note as it is now. */
  const add = async (want: string): Promise<void> => {
    const read = await api.note(vault, note);
    const theirs = draftOf(read);
    const before = partOf(theirs, "wants");
    const after = withRule(before, want);
    if (after === before) throw new ApiError(409, "wanted", "It asks for that already.", "Nothing was written.");
    await editAgent(agent.name, editOf(withPart(theirs, "wants", after), theirs, read));
    await refreshGrants();
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    tried.value = true;
    if (problem) {
      box.current?.focus();
      return;
    }
    const want = wantOf(kind.value, target.value, access.value);
    if (await action.run(() => add(want))) done(want);
    else box.current?.focus();
  };

  return (
    <form class="card add-want" onSubmit={submit} noValidate aria-label="Ask for a connection">
      <h2>Ask for a connection</h2>
      <div class="grid">
        <Field id="want-kind" label="What">
          {(tied) => (
            <select {...tied} value={kind.value} onChange={(event) => (kind.value = event.currentTarget.value as Wantable)}>
              {WANTABLE.map((one) => (
                <option key={one.kind} value={one.kind}>
                  {one.label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field id="want-target" label={chosen.target} help={`Such as ${chosen.example}`} problems={[...(tried.value && problem ? [problem] : []), ...refused]}>
          {(tied) => (
            <input
              {...tied} ref={box} type="text" inputMode={kind.value === "mcp-url" ? "url" : "text"} autocomplete="off" autocapitalize="none" spellcheck={false} value={target.value}
              onInput={(event) => {
                target.value = event.currentTarget.value;
                action.forget();
              }}
            />
          )}
        </Field>
      </div>
      {hasAccess(kind.value) ? (
        <fieldset class="kinds">
          <legend>To</legend>
          {(["read", "write"] as const).map((one) => (
            <label key={one} class="radio">
              <input type="radio" name="access" checked={access.value === one} onChange={() => (access.value = one)} />
              <span>{one === "read" ? "read" : "read and write"}</span>
            </label>
          ))}
        </fieldset>
      ) : null}
      {error && refused.length === 0 ? <ErrorNote error={error} /> : null}
      <p class="hint">It goes into the definition, and is given once you approve it.</p>
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Asking…" : "Ask for it"}
        </button>
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
