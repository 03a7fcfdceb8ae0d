import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../api";
import { plural } from "../../format";
import { useAction } from "../../resource";
import { type Layer, nameProblem, secretsApi, type StoredNames } from "../../secrets";
import { ErrorNote } from "../ErrorNote";
import { Field } from "../Field";
import { SecretInput } from "./SecretInput";

interface AddSecretProps {
  agent: string;
  known: StoredNames;
  others: number;
  first: { name: string; layer: Layer };
  close: () => void;
  done: (name: string) => Promise<unknown>;
}

/** Stores a variable. What was typed stays until it is stored. */
export function AddSecret({ agent, known, others, first, close, done }: AddSecretProps) {
  const replaces = first.name !== "";
  const name = useSignal(first.name);
  const layer = useSignal<Layer>(first.layer);
  /** Nothing is said of a name before somebody has written it. */
  const left = useSignal(false);
  const missing = useSignal(false);
  const value = useRef<HTMLInputElement | HTMLTextAreaElement>(null);
  const nameBox = useRef<HTMLInputElement>(null);
  const action = useAction();
  const error = action.error.value;
  const called = name.value.trim();
  const wrong = nameProblem(called);
  const refused = refusal(error, called);
  const there = (layer.value === "agent" ? known.channels[agent] : known.default)?.includes(called);

  useLayoutEffect(() => (replaces ? value.current : nameBox.current)?.focus(), []);
  useLayoutEffect(() => {
    if (error) (refused.name ? nameBox : value).current?.focus();
  }, [error]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    left.value = true;
    const text = value.current?.value ?? "";
    missing.value = text === "";
    if (wrong) nameBox.current?.focus();
    else if (text === "") value.current?.focus();
    else if (await action.run(() => secretsApi.set(layer.value === "agent" ? agent : undefined, called, text))) await done(called);
  };
  const title = replaces ? `Replace ${first.name}` : "Add a variable";
  const shownProblems = [...(wrong && (left.value || (called !== "" && !/^\d*$/.test(called))) ? [wrong] : []), ...(refused.name && !wrong ? [refused.name] : [])];

  return (
    <form class="inner" onSubmit={submit} autocomplete="off" noValidate aria-label={title}>
      <fieldset class="kinds">
        <legend>For</legend>
        <label class="radio">
          <input type="radio" name="layer" checked={layer.value === "agent"} onChange={() => (layer.value = "agent")} />
          <span>
            <bdi>{agent}</bdi> alone
          </span>
        </label>
        <label class="radio">
          <input type="radio" name="layer" checked={layer.value === "all"} onChange={() => (layer.value = "all")} />
          <span>all agents{others > 0 ? ` (${plural(others + 1, "agent")} now)` : ""}</span>
        </label>
      </fieldset>
      <Field id="secret-name" label="Name" help={there ? "This is stored already: the new value takes the place of the old one." : "Such as GH_TOKEN or DATABASE_URL."} problems={shownProblems}>
        {(tied) => (
          <input
            {...tied} ref={nameBox} class="mono" type="text" required autocomplete="off" autocapitalize="characters" spellcheck={false} maxLength={256} value={name.value}
            onBlur={() => (left.value = called !== "" || left.value)}
            onInput={(event) => {
              name.value = event.currentTarget.value;
              action.forget();
            }}
          />
        )}
      </Field>
      <Field
        id="secret-value"
        label={replaces || there ? "New value" : "Value"}
        help="It goes to the daemon and nowhere else. A key of several lines can be pasted."
        problems={[...(missing.value ? ["Write the value. To be rid of a variable, remove it."] : []), ...(refused.value ? [refused.value] : [])]}
      >
        {(tied) => <SecretInput tied={tied} input={value} lines />}
      </Field>
      {error && !refused.name && !refused.value ? <ErrorNote error={error} /> : null}
      {error ? <p class="hint">Nothing was stored. What you typed is still there.</p> : null}
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Storing…" : replaces || there ? "Replace it" : "Store it"}
        </button>
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** What the daemon objects to stands at what it is about: it says so in its sentence alone. */
function refusal(error: ApiError | undefined, name: string): { name?: string; value?: string } {
  if (!error || error.code !== "invalid_body") return {};
  if (/value/i.test(error.message) && !error.message.includes("cannot be set here")) return { value: error.message };
  return error.message.includes(name) || /name/i.test(error.message) ? { name: error.message } : {};
}
