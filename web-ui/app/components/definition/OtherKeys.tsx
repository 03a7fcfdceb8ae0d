import { HIDDEN } from "../../agent/draft";
import { Field } from "../Field";
import { SettingInput, type SettingInputs } from "./SettingInput";

/** Keys of the note that are perhaps misspelled, or mean something to somebody else. */
export function OtherKeys({ keys, ...inputs }: { keys: readonly string[] } & SettingInputs) {
  if (keys.length === 0) return null;
  return (
    <fieldset>
      <legend>Other keys of the note</legend>
      <p class="hint">Empty takes a key away.</p>
      <div class="grid">
        {keys.map((key) =>
          inputs.values[key] === HIDDEN ? (
            <Hidden key={key} name={key} {...inputs} />
          ) : (
            <SettingInput key={key} field={{ key, label: key, kind: "text" }} {...inputs} />
          ),
        )}
      </div>
    </fieldset>
  );
}

/** What looks like a secret is not shown: it can be taken out of the note. */
function Hidden({ name, problems, warnings, set }: { name: string } & SettingInputs) {
  return (
    <Field id={`set-${name}`} label={name} help="It looks like a secret, so it is not shown here." problems={problems.get(name)} warnings={warnings?.get(name)}>
      {(tied) => (
        <div class="inline">
          <input {...tied} type="text" readOnly value={HIDDEN} />
          <button type="button" aria-label={`Take ${name} out of the note`} onClick={() => set(name, "")}>
            Take it out
          </button>
        </div>
      )}
    </Field>
  );
}
