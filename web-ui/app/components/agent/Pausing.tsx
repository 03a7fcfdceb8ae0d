import { useSignal } from "@preact/signals";
import { type Agent, api } from "../../api";
import { useAction } from "../../resource";
import { refreshAgents } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Dialog } from "../frame/Dialog";

/** Pause, with a reason for those who read it later, and resume. */
export function Pausing({ agent }: { agent: Agent }) {
  const asking = useSignal(false);
  const resuming = useAction();
  const resume = (): Promise<boolean> =>
    resuming.run(async () => {
      await api.resumeAgent(agent.name);
      await refreshAgents();
    });
  return (
    <>
      {agent.pause ? (
        <button type="button" class="small" disabled={resuming.busy.value} onClick={() => void resume()}>
          {resuming.busy.value ? "Resuming…" : "Resume"}
        </button>
      ) : (
        <button type="button" class="small" onClick={() => (asking.value = true)}>
          Pause…
        </button>
      )}
      {asking.value ? <Ask name={agent.name} close={() => (asking.value = false)} /> : null}
      {resuming.error.value ? (
        <Dialog title="It could not be resumed" onCancel={resuming.forget}>
          <ErrorNote error={resuming.error.value} />
          <div class="actions row-actions">
            <button type="button" onClick={() => void resume()}>
              Try again
            </button>
            <button type="button" onClick={resuming.forget}>
              Close
            </button>
          </div>
        </Dialog>
      ) : null}
    </>
  );
}

function Ask({ name, close }: { name: string; close: () => void }) {
  const reason = useSignal("");
  const action = useAction();
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    await action.run(async () => {
      await api.pauseAgent(name, reason.value.trim());
      close();
      await refreshAgents();
    });
  };
  return (
    <Dialog title={`Pause ${name}`} onCancel={close}>
      <p>Its messages are taken, and wait until it is resumed. A turn that runs goes on to its end.</p>
      <form onSubmit={submit}>
        <label for="pause-reason">Why it is paused (may be left out)</label>
        <input
          data-first id="pause-reason" type="text" autocomplete="off" value={reason.value}
          onInput={(event) => (reason.value = event.currentTarget.value)}
        />
        {action.error.value ? <ErrorNote error={action.error.value} /> : null}
        <div class="actions row-actions">
          <button type="submit" class="primary" disabled={action.busy.value}>
            {action.busy.value ? "Pausing…" : "Pause it"}
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
