import { useSignal } from "@preact/signals";
import { type Agent, api } from "../../api";
import { type Action, useAction } from "../../resource";
import { ErrorNote } from "../ErrorNote";

/** Pause, with a reason for those who read it later, and resume. */
export function Pausing({ agent, changed }: { agent: Agent; changed: () => Promise<unknown> }) {
  const action = useAction();
  const asking = useSignal(false);
  const { name } = agent;
  const run = async (work: () => Promise<unknown>): Promise<void> => {
    if (!(await action.run(work))) return;
    asking.value = false;
    await changed();
  };
  return (
    <>
      {agent.pause ? (
        <button type="button" disabled={action.busy.value} onClick={() => void run(() => api.resumeAgent(name))}>
          Resume
        </button>
      ) : asking.value ? (
        <Reason action={action} cancel={() => (asking.value = false)} pause={(reason) => void run(() => api.pauseAgent(name, reason))} />
      ) : (
        <button type="button" onClick={() => (asking.value = true)}>
          Pause…
        </button>
      )}
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
    </>
  );
}

function Reason({ action, cancel, pause }: { action: Action; cancel: () => void; pause: (reason: string) => void }) {
  const reason = useSignal("");
  return (
    <form
      class="pause-form"
      onSubmit={(event) => {
        event.preventDefault();
        pause(reason.value.trim());
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") cancel();
      }}
    >
      <label for="pause-reason">Why it is paused (may be left out)</label>
      <input
        id="pause-reason"
        type="text"
        autocomplete="off"
        aria-describedby="pause-help"
        ref={(input) => input?.focus()}
        value={reason.value}
        onInput={(event) => (reason.value = event.currentTarget.value)}
      />
      <p id="pause-help" class="hint">
        Its messages wait until it is resumed. A turn that runs goes on to its end.
      </p>
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value}>
          Pause it
        </button>
        <button type="button" onClick={cancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
