import type { SettingField } from "../../agent/fields";
import { GROUPS } from "../../agent/fields";
import { Field, More } from "../Field";

export interface SettingInputs {
  values: Readonly<Record<string, string>>;
  problems: ReadonlyMap<string, readonly string[]>;
  warnings?: ReadonlyMap<string, readonly string[]>;
  set: (key: string, value: string) => void;
}

/** One key of a definition. */
export function SettingInput({ field, values, problems, warnings, set }: { field: SettingField } & SettingInputs) {
  const { key, label, help, kind, choices } = field;
  const value = values[key] ?? "";
  return (
    <Field id={`set-${key}`} label={label} help={help} problems={problems.get(key)} warnings={warnings?.get(key)}>
      {(tied) =>
        kind === "choice" && choices ? (
          <select {...tied} value={value} onChange={(event) => set(key, event.currentTarget.value)}>
            <option value="">Default: {choices[0]?.[1]}</option>
            {choices.map(([word, meaning]) => (
              <option key={word} value={word}>
                {meaning}
              </option>
            ))}
            {/* What the note says and this page has no words for stays until something else is chosen. */}
            {value && !choices.some(([word]) => word === value) ? <option value={value}>{value}</option> : null}
          </select>
        ) : (
          <input
            {...tied}
            type="text"
            inputMode={kind === "number" ? "decimal" : "text"}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            value={value}
            onInput={(event) => set(key, event.currentTarget.value)}
          />
        )
      }
    </Field>
  );
}

/** All settings but the first few, folded away; open where there is something to correct. */
export function MoreSettings(inputs: SettingInputs) {
  const objected = GROUPS.some((group) => group.fields.some(({ key }) => inputs.problems.has(key) || inputs.warnings?.has(key)));
  return (
    <More title="More settings" objected={objected}>
      {GROUPS.map((group) => (
        <fieldset key={group.title}>
          <legend>{group.title}</legend>
          <div class="grid">
            {group.fields.map((field) => (
              <SettingInput key={field.key} field={field} {...inputs} />
            ))}
          </div>
        </fieldset>
      ))}
    </More>
  );
}
