import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useAction } from "../../resource";
import { asked, cancel, refusalText, show } from "../../step-up";
import { Sentence } from "../Text";
import { Dialog } from "./Dialog";

/** Asks for the PIN while something waits for it. */
export function StepUp() {
  if (!asked.value) return null;
  return asked.value.reason === "setup" ? <Setup /> : <Prompt />;
}

function Prompt() {
  const pin = useSignal("");
  const input = useRef<HTMLInputElement>(null);
  const action = useAction();
  const error = action.error.value;
  useLayoutEffect(() => input.current?.focus(), [error]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const shown = pin.value;
    pin.value = "";
    await action.run(() => show(shown));
  };
  return (
    <Dialog title="Your PIN, please" onCancel={cancel}>
      <p>This needs the PIN that was set on the machine. It is asked for again after five minutes.</p>
      <form onSubmit={submit}>
        <label for="pin">PIN</label>
        <input
          ref={input} data-first id="pin" type="password" inputMode="numeric" autocomplete="off" maxLength={12} required value={pin.value}
          aria-invalid={error ? true : undefined} aria-describedby={error ? "pin-bad" : undefined}
          onInput={(event) => (pin.value = event.currentTarget.value = event.currentTarget.value.replace(/\D/g, ""))}
        />
        {error ? (
          <p class="field-bad" id="pin-bad" role="alert">
            {refusalText(error)} {error.nextStep && error.code !== "rate_limited" ? <Sentence text={error.nextStep} /> : null}
          </p>
        ) : null}
        <div class="actions">
          <button class="primary" type="submit" disabled={action.busy.value || pin.value.length < 4}>
            {action.busy.value ? "Looking…" : "Go on"}
          </button>
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** The first PIN is set on the machine alone: else whoever comes first would choose it. */
function Setup() {
  return (
    <Dialog title="A PIN is needed" onCancel={cancel}>
      <p>
        This daemon does such things only with a PIN, and none is set yet. On the machine where it runs, type <code>reveille pin set</code>,
        then try again here.
      </p>
      <div class="actions">
        <button type="button" onClick={cancel}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
