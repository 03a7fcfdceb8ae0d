import { useSignal } from "@preact/signals";
import type { ApiError } from "../api";
import { createAgent } from "../store";
import { ErrorNote } from "./ErrorNote";

const TEMPLATES = [
  {
    label: "Assistant",
    name: "helper",
    prompt:
      "You are a helpful assistant. Answer briefly and plainly. When you use a tool, say in the end what you did and where the result is.",
  },
  {
    label: "Reviewer",
    name: "reviewer",
    prompt:
      "You review code and text. Point out what is wrong or risky first, each with its place and a proposed change; then what could be simpler. Say so when all is well.",
  },
  {
    label: "Researcher",
    name: "researcher",
    prompt:
      "You research questions. Look things up rather than guess, name the source of each claim, tell what is certain from what is not, and end with a short summary.",
  },
] as const;

/** A new agent; `name` is set for a channel that already holds messages. */
export function AgentForm({ first, name: channel }: { first: boolean; name?: string }) {
  const name = useSignal<string>(channel ?? (first ? TEMPLATES[0].name : ""));
  const prompt = useSignal<string>(first || channel ? TEMPLATES[0].prompt : "");
  const busy = useSignal(false);
  const error = useSignal<ApiError | undefined>(undefined);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = undefined;
    try {
      await createAgent(name.value.trim(), prompt.value);
    } catch (problem) {
      error.value = problem as ApiError;
    }
    busy.value = false;
  };

  return (
    <form class="agent-form" onSubmit={submit}>
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
      <label for="agent-name">Name</label>
      <input
        id="agent-name"
        type="text"
        required
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        value={name.value}
        onInput={(event) => (name.value = event.currentTarget.value)}
      />
      <label for="agent-prompt">Role</label>
      <textarea
        id="agent-prompt"
        required
        rows={7}
        dir="auto"
        value={prompt.value}
        onInput={(event) => (prompt.value = event.currentTarget.value)}
      />
      {error.value ? <ErrorNote error={error.value} /> : null}
      <div class="actions">
        <button class="primary" type="submit" disabled={busy.value}>
          {busy.value ? "Creating…" : "Create agent"}
        </button>
      </div>
    </form>
  );
}
