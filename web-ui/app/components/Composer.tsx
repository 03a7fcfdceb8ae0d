import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { drafts, isStopping, runningTurn, sendDraft, sendError, sending, setDraft, stop, stopError } from "../conversation";
import { ErrorNote } from "./ErrorNote";
import { askedMessage } from "./useShownMessage";

/** Where a message is written, sent, and the running turn stopped. */
export function Composer({ name }: { name: string }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const text = drafts.value[name] ?? "";
  const turn = runningTurn.value;
  const busy = sending.value !== undefined;

  useEffect(() => {
    // On a touch screen this would open the keyboard over the conversation; a message that was asked for has the focus.
    if (matchMedia("(hover: hover)").matches && askedMessage() === undefined) area.current?.focus();
  }, []);
  useLayoutEffect(() => fit(area.current), [text]);

  const keyDown = (event: KeyboardEvent): void => {
    // Enter that ends a composition (Japanese, Chinese…) picks a word and sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void sendDraft(name);
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void sendDraft(name);
      }}
    >
      <div class="column">
        {sendError.value ? <ErrorNote error={sendError.value}>{text ? <p>Your text is kept.</p> : null}</ErrorNote> : null}
        {stopError.value ? <ErrorNote error={stopError.value} /> : null}
        <div class="compose">
          <textarea
            ref={area}
            rows={1}
            dir="auto"
            aria-label={`Message to ${name}`}
            aria-describedby="compose-help"
            placeholder={turn ? "Write the next message" : "Write a message"}
            readOnly={busy}
            value={text}
            onInput={(event) => setDraft(name, event.currentTarget.value)}
            onKeyDown={keyDown}
          />
          {turn ? (
            <button type="button" class="stop" disabled={isStopping(turn)} onClick={() => void stop(turn)}>
              {isStopping(turn) ? "Stopping…" : "Stop"}
            </button>
          ) : null}
          <button type="submit" class="primary" disabled={busy || text.trim() === ""}>
            {busy ? "Sending…" : "Send"}
          </button>
        </div>
        <p id="compose-help" class="hint">
          {turn ? "A message sent now waits until the running turn ends." : "Enter sends, Shift+Enter starts a new line."}
        </p>
      </div>
    </form>
  );
}

/** Grows the box with its text; the style sheet bounds it. */
function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
