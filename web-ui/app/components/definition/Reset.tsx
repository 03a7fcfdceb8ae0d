import { useSignal } from "@preact/signals";
import { api } from "../../api";
import { plural } from "../../format";
import { useAction } from "../../resource";
import { refreshAgents } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Dialog } from "../frame/Dialog";
import { Sentence } from "../Text";

/** Lets an agent begin all its conversations anew, after saying what that takes and what it leaves. */
export function Reset({ name }: { name: string }) {
  const asking = useSignal(false);
  const done = useSignal<{ conversations: number; warning?: string | null | undefined } | undefined>(undefined);
  const action = useAction();
  const reset = (): Promise<boolean> =>
    action.run(async () => {
      done.value = await api.resetAgent(name);
      asking.value = false;
      await refreshAgents();
    });
  return (
    <>
      <button type="button" onClick={() => (asking.value = true)}>
        Reset…
      </button>
      {done.value ? (
        <p class="told" role="status">
          {done.value.conversations === 0 ? "There was no conversation to forget." : `${plural(done.value.conversations, "conversation")} forgotten: the next message of each begins anew.`}{" "}
          {done.value.warning ? <Sentence text={done.value.warning} /> : null}
        </p>
      ) : null}
      {asking.value ? (
        <Dialog title={`Let ${name} begin anew?`} onCancel={() => (asking.value = false)}>
          <p>In its next turns it remembers nothing of what was said before, in any of its conversations. A turn that runs goes on.</p>
          <p>
            <strong>Kept:</strong> all messages and replies, the notes of its conversations, the files that it has made, what is in line, its
            definition, jobs, connections and secrets.
          </p>
          {action.error.value ? <ErrorNote error={action.error.value} /> : null}
          <div class="actions row-actions">
            <button type="button" class="danger" disabled={action.busy.value} onClick={() => void reset()}>
              {action.busy.value ? "Resetting…" : "Reset it"}
            </button>
            <button type="button" data-first onClick={() => (asking.value = false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}
