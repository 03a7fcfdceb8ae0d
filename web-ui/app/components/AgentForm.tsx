import { useSignal } from "@preact/signals";
import { settingsOf, withPart } from "../agent/draft";
import { MODEL } from "../agent/fields";
import { TEMPLATES } from "../agent/templates";
import { drop, keep, keyOf, unsavedOf, unsavedParts } from "../agent/unsaved";
import { useAction } from "../resource";
import { createAgent, health } from "../store";
import { FormFoot } from "./definition/FormFoot";
import { MoreSettings, SettingInput, type SettingInputs } from "./definition/SettingInput";
import { useVerdict } from "./definition/useVerdict";
import { told } from "./definition/verdictFields";
import { Field, FormError, useFirstInvalid } from "./Field";

const NOTHING = { problems: [], warnings: [] };

/** A new agent; `name` is set for a channel that already holds messages. What was written and not made yet is kept. */
export function AgentForm({ first, name: channel }: { first: boolean; name?: string }) {
  const key = keyOf(undefined, `new ${channel ?? ""}`);
  const blank = { name: channel ?? (first ? TEMPLATES[0].name : ""), prompt: first || channel ? TEMPLATES[0].prompt : "", settings: {} };
  const unsaved = unsavedOf(key) ?? { draft: blank, base: blank, open: true };
  const { draft } = unsaved;
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const vaults = health.value?.vaults ?? [];
  const chosen = useSignal("");
  const vault = chosen.value || vaults[0]?.name || "";
  const action = useAction();
  const error = action.error.value;
  const name = draft.name.trim();
  const check = useVerdict(name && vault ? { vault, name, content: draft.prompt, metadata: settingsOf(draft.settings) } : undefined);
  const { problems, warnings } = told(check, error?.problems ?? [], NOTHING, draft, touched.value);
  const form = useFirstInvalid(error);
  const change = (part: string, text: string): void => {
    keep(key, { ...unsaved, draft: withPart(draft, part, text) });
    touched.value = new Set([...touched.value, part]);
  };
  const inputs: SettingInputs = { values: draft.settings, problems: problems.fields, warnings: warnings.fields, set: change };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    touched.value = new Set();
    await action.run(async () => {
      await createAgent(name, draft.prompt, settingsOf(draft.settings), chosen.value || undefined);
      drop(key);
    });
  };

  return (
    <form class="agent-form" ref={form} onSubmit={submit}>
      <a class="back" href="#/">
        ‹ Agents
      </a>
      <h1>{first ? "Create your first agent" : "New agent"}</h1>
      <p>
        {channel ? (
          <>
            Messages wait for an agent named <bdi>{channel}</bdi>. As soon as it exists, it answers them.
          </>
        ) : (
          "An agent is a name and a role. Write it a message, and it does the work and answers."
        )}
      </p>
      <fieldset class="templates">
        <legend>Start from</legend>
        {TEMPLATES.map((template) => (
          <button
            key={template.label}
            type="button"
            aria-pressed={draft.prompt === template.prompt}
            onClick={() => {
              const untouched = draft.name === "" || TEMPLATES.some((other) => other.name === draft.name);
              const called = !channel && untouched ? template.name : draft.name;
              keep(key, { ...unsaved, draft: { ...draft, name: called, prompt: template.prompt } });
            }}
          >
            {template.label}
          </button>
        ))}
      </fieldset>
      <Field id="agent-name" label="Name" problems={problems.fields.get("name")} warnings={warnings.fields.get("name")}>
        {(tied) => (
          <input
            {...tied} type="text" required autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.name}
            onInput={(event) => change("name", event.currentTarget.value)}
          />
        )}
      </Field>
      <Field id="agent-prompt" label="Role" problems={problems.fields.get("prompt")} warnings={warnings.fields.get("prompt")}>
        {(tied) => <textarea {...tied} required rows={7} dir="auto" value={draft.prompt} onInput={(event) => change("prompt", event.currentTarget.value)} />}
      </Field>
      {vaults.length > 1 ? (
        <Field id="agent-vault" label="Vault" help="Where its notes are: its definition, messages and replies.">
          {(tied) => (
            <select {...tied} value={vault} onChange={(event) => (chosen.value = event.currentTarget.value)}>
              {vaults.map(({ name: one, state }) => (
                <option key={one} value={one}>
                  {one}
                  {state === "ready" ? "" : " (does not work now)"}
                </option>
              ))}
            </select>
          )}
        </Field>
      ) : null}
      <SettingInput field={MODEL} {...inputs} />
      <MoreSettings {...inputs} />
      {error ? <FormError error={error} rest={[]} /> : null}
      <FormFoot check={check} found={[...problems.fields.values()].flat().length + problems.rest.length} rest={[...problems.rest, ...warnings.rest]}>
        <button class="primary" type="submit" disabled={action.busy.value}>
          {action.busy.value ? "Creating…" : "Create agent"}
        </button>
        {unsavedParts(unsaved).length > 0 ? (
          <button type="button" onClick={() => drop(key)}>
            Start over
          </button>
        ) : null}
      </FormFoot>
    </form>
  );
}
