import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useAction } from "../../resource";
import { titleOf } from "../../threads";
import type { Thread } from "../../threads-api";
import { ErrorNote } from "../ErrorNote";
import { rename } from "./actions";

/** The name of a conversation, as a field in its place. What was typed stays until it is saved or left by Esc. */
export function Rename({ thread, done }: { thread: Thread; done: (now?: Thread) => void }) {
  const text = useSignal(thread.title ?? "");
  const action = useAction();
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.select(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    let now: Thread | undefined;
    if (await action.run(async () => (now = await rename(thread, text.value)))) done(now);
  };
  return (
    <form
      class="rename"
      data-own-escape
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.isComposing) return;
        event.preventDefault();
        done();
      }}
    >
      <div class="inline">
        <input
          ref={field} type="text" dir="auto" maxLength={200} readOnly={action.busy.value} aria-label="Name of the conversation" placeholder={titleOf({ ...thread, title: null })}
          value={text.value} onInput={(event) => (text.value = event.currentTarget.value)}
        />
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Saving…" : "Save"}
        </button>
        <button type="button" class="small" onClick={() => done()}>
          Cancel
        </button>
      </div>
      {action.error.value ? (
        <ErrorNote error={action.error.value}>
          <p>The name that you wrote is kept in the field: Save tries it again.</p>
        </ErrorNote>
      ) : null}
    </form>
  );
}
