import { signal } from "@preact/signals";
import { way } from "../../access";
import { useAction } from "../../resource";
import { signOut } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Dialog } from "./Dialog";

/** Whether somebody is asked how far they want to sign out. */
export const signOutAsked = signal(false);

const close = (): void => {
  signOutAsked.value = false;
};

/** Here, or everywhere. */
export function SignOut() {
  return signOutAsked.value ? <Asked /> : null;
}

function Asked() {
  const action = useAction();
  const kind = way.value.kind;
  const leave = (everywhere: boolean) => () => action.run(() => signOut(everywhere)).then((done) => done && close());
  return (
    <Dialog title="Sign out?" onCancel={close}>
      <p>
        {kind === "cookie"
          ? <Sentence text="To come back you need a fresh link from `reveille open`." />
          : kind === "token"
            ? "This tab forgets its token. The token itself goes on to hold."
            : "This tab forgets what the hub gave it. At the hub you stay signed in."}{" "}
        Turns go on, and what you have written and not sent stays in this browser.
      </p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      <div class="actions">
        <button type="button" class="primary" disabled={action.busy.value} onClick={leave(false)}>
          Sign out here
        </button>
        <button type="button" class="danger" disabled={action.busy.value} onClick={leave(true)}>
          Sign out everywhere
        </button>
        <button type="button" onClick={close}>
          Stay
        </button>
      </div>
      <p class="hint">Everywhere: every browser that has signed in by a link needs a fresh one.</p>
    </Dialog>
  );
}
