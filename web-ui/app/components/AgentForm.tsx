import { useSignal } from "@preact/signals";
import { fieldOf, settingsOf } from "../agent/draft";
import { MODEL } from "../agent/fields";
import { TEMPLATES } from "../agent/templates";
import { sortProblems } from "../problems";
import { useAction } from "../resource";
import { createAgent } from "../store";
import { MoreSettings, SettingInput, type SettingInputs } from "./definition/SettingInput";
import { Field, FormError, useFirstInvalid } from "./Field";

/** A new agent; `name` is set for a channel that already holds messages. */
export function AgentForm({ first, name: channel }: { first: boolean; name?: string }) {
  const name = useSignal<string>(channel ?? (first ? TEMPLATES[0].name : ""));
  const prompt = useSignal<string>(first || channel ? TEMPLATES[0].prompt : "");
  const settings = useSignal<Readonly<Record<string, string>>>({});
  const action = useAction();
  const error = action.error.value;
  const draft = { name: name.value, prompt: prompt.value, settings: settings.value };
  const { fields, rest } = sortProblems(error?.problems ?? [], (key) => fieldOf(key, draft));
  const form = useFirstInvalid(error);
  const inputs: SettingInputs = {
    values: settings.value,
    problems: fields,
    set: (key, value) => (settings.value = { ...settings.value, [key]: value }),
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    await action.run(() => createAgent(name.value.trim(), prompt.value, settingsOf(settings.value)));
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
            aria-pressed={prompt.value === template.prompt}
            onClick={() => {
              prompt.value = template.prompt;
              const untouched = name.value === "" || TEMPLATES.some((other) => other.name === name.value);
              if (!channel && untouched) name.value = template.name;
            }}
          >
            {template.label}
          </button>
        ))}
      </fieldset>
      <Field id="agent-name" label="Name" problems={fields.get("name")}>
        {(tied) => (
          <input
            {...tied} type="text" required autocomplete="off" autocapitalize="none" spellcheck={false} value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        )}
      </Field>
      <Field id="agent-prompt" label="Role" problems={fields.get("prompt")}>
        {(tied) => (
          <textarea {...tied} required rows={7} dir="auto" value={prompt.value} onInput={(event) => (prompt.value = event.currentTarget.value)} />
        )}
      </Field>
      <SettingInput field={MODEL} {...inputs} />
      <MoreSettings {...inputs} />
      {error ? <FormError error={error} rest={rest} /> : null}
      <div class="actions">
        <button class="primary" type="submit" disabled={action.busy.value}>
          {action.busy.value ? "Creating…" : "Create agent"}
        </button>
      </div>
    </form>
  );
}
