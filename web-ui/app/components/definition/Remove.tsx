import { useSignal } from "@preact/signals";
import { drop, keyOf } from "../../agent/unsaved";
import { type Agent, api } from "../../api";
import { plural } from "../../format";
import { useAction } from "../../resource";
import { go, refreshAgents } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Dialog } from "../frame/Dialog";

/** Deletes an agent, after its name was typed. */
export function Remove({ agent }: { agent: Agent }) {
  const asking = useSignal(false);
  return (
    <>
      <button type="button" class="danger" onClick={() => (asking.value = true)}>
        Delete…
      </button>
      {asking.value ? <Ask agent={agent} close={() => (asking.value = false)} /> : null}
    </>
  );
}

function Ask({ agent, close }: { agent: Agent; close: () => void }) {
  const { name, vault, note_id: note, waiting, running } = agent;
  const typed = useSignal("");
  const action = useAction();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (typed.value !== name) return;
    await action.run(async () => {
      await api.removeAgent(name);
      drop(keyOf(vault, note));
      close();
      go({ view: "home" });
      await refreshAgents();
    });
  };
  return (
    <Dialog title={`Delete ${name}?`} onCancel={close}>
      <p>
        The note that defines it goes out of the vault{vault ? ` ${vault}` : ""}, and nobody answers under this name any more. This cannot be taken back.
      </p>
      {running ? <p>It is working now.</p> : null}
      <p>
        <strong>Kept:</strong> its messages, replies and conversations in the vault.{" "}
        {waiting > 0 ? `${plural(waiting, "message")} in line ${waiting === 1 ? "waits" : "wait"} for an agent of this name. ` : ""}
        What you gave it (secrets, connections) stays with the daemon, and another note that takes the name does not get it before you say so.
      </p>
      <form onSubmit={submit}>
        <label for="delete-name">
          Type <bdi>{name}</bdi> to delete it
        </label>
        <input
          data-first id="delete-name" type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
        {action.error.value ? <ErrorNote error={action.error.value} /> : null}
        <div class="actions row-actions">
          <button type="submit" class="danger" disabled={action.busy.value || typed.value !== name}>
            {action.busy.value ? "Deleting…" : "Delete it"}
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
