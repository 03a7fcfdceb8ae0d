import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { resend, sendError, sending } from "../../sending";
import { ErrorNote } from "../ErrorNote";

/** Says something better than the message of a turn that has ended. Stays, with its text, when the daemon refuses it. */
export function Rewrite({ agent, turn, text, done }: { agent: string; turn: string; text: string; done: () => void }) {
  const draft = useSignal(text);
  const area = useRef<HTMLTextAreaElement>(null);
  const tried = useSignal(false);
  useLayoutEffect(() => area.current?.focus(), []);

  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (draft.value.trim() === "") return;
    tried.value = true;
    if (await resend(agent, turn, draft.value)) done();
  };

  return (
    <form
      class="rewrite"
      onSubmit={send}
      onKeyDown={(event) => {
        if (event.key === "Escape") done();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void send(event);
      }}
    >
      <textarea
        ref={area}
        rows={Math.min(12, draft.value.split("\n").length + 1)}
        dir="auto"
        aria-label="Send this instead"
        value={draft.value}
        onInput={(event) => (draft.value = event.currentTarget.value)}
      />
      {tried.value && sendError.value ? <ErrorNote error={sendError.value} /> : null}
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={sending.value !== undefined || draft.value.trim() === ""}>
          Send as a new message
        </button>
        <button type="button" class="small" onClick={done}>
          Leave it
        </button>
      </div>
    </form>
  );
}
