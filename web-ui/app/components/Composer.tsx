import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { isStopping, runningHere, runningTurn, stop, stopError } from "../conversation";
import { changeDraft, draftOf } from "../drafts";
import { bytes } from "../format";
import { addFiles, sendDraft, sendError, sending, tooLong, uploads } from "../sending";
import { selectedAgent } from "../store";
import { ErrorNote } from "./ErrorNote";
import { askedMessage } from "./useShownMessage";

interface ComposerProps {
  name: string;
  /** Where the draft is kept: that of the agent's only place to write, when nothing is said. */
  slot?: string;
  /** The conversation that the message belongs to. */
  subject?: string;
}

/** Where a message is written, sent, and the running turn stopped. */
export function Composer({ name, slot = name, subject }: ComposerProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const dropping = useSignal(false);
  const { text, files } = draftOf(slot);
  const turn = runningHere.value;
  const works = runningTurn.value !== undefined;
  const busy = sending.value !== undefined;
  const underWay = uploads.value.some((one) => one.agent === slot && !one.error);
  const vault = selectedAgent.value?.vault;
  const long = tooLong(text);

  useLayoutEffect(() => {
    // On a touch screen this would open the keyboard over the conversation; a message that was asked for has the focus.
    if (matchMedia("(hover: hover)").matches && askedMessage() === undefined) area.current?.focus();
  }, []);
  useLayoutEffect(() => fit(area.current), [text]);

  const keyDown = (event: KeyboardEvent): void => {
    // Enter that ends a composition (Japanese, Chinese…) picks a word and sends nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void sendDraft(name, slot, subject);
  };
  const take = (list: FileList | null | undefined): boolean => {
    if (!vault || !list || list.length === 0) return false;
    void addFiles(slot, vault, [...list]);
    return true;
  };

  return (
    <form
      class={`composer ${dropping.value ? "dropping" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        void sendDraft(name, slot, subject);
      }}
      onDragOver={(event) => {
        if (!vault || !event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        dropping.value = true;
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) dropping.value = false;
      }}
      onDrop={(event) => {
        dropping.value = false;
        if (take(event.dataTransfer?.files)) event.preventDefault();
      }}
    >
      <div class="column">
        {sendError.value ? <ErrorNote error={sendError.value}>{text || files.length > 0 ? <p>Your message is kept.</p> : null}</ErrorNote> : null}
        {stopError.value ? <ErrorNote error={stopError.value} /> : null}
        <AddedFiles name={slot} />
        <div class="compose">
          {vault ? <Attach take={take} /> : null}
          <textarea
            ref={area}
            rows={1}
            dir="auto"
            aria-label={`Message to ${name}`}
            aria-describedby="compose-help"
            placeholder={works ? "Write the next message" : "Write a message"}
            readOnly={busy}
            value={text}
            onInput={(event) => changeDraft(slot, { text: event.currentTarget.value })}
            onKeyDown={keyDown}
            onPaste={(event) => {
              // Text that also comes as a picture (from a table, say) is pasted as text.
              if (!event.clipboardData?.getData("text/plain") && take(event.clipboardData?.files)) event.preventDefault();
            }}
          />
          {turn ? (
            <button type="button" class="stop" disabled={isStopping(turn)} onClick={() => void stop(turn)}>
              {isStopping(turn) ? "Stopping…" : "Stop"}
            </button>
          ) : null}
          <button type="submit" class="primary" disabled={busy || underWay || long !== undefined || (text.trim() === "" && files.length === 0)}>
            {busy ? "Sending…" : "Send"}
          </button>
        </div>
        <p id="compose-help" class={long ? "hint bad" : "hint"} role={long ? "alert" : undefined}>
          {long ? long : underWay ? "The message can be sent when its files are there." : works ? "A message sent now waits until the running turn ends." : "Enter sends, Shift+Enter starts a new line."}
        </p>
      </div>
    </form>
  );
}

function Attach({ take }: { take: (files: FileList | null) => boolean }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="attach" aria-label="Attach files" title="Attach files: choose, paste or drop them" onClick={() => input.current?.click()}>
        <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" aria-hidden="true">
          <path d="M20 11.5l-8.2 8.2a5 5 0 0 1-7.1-7.1l8.6-8.6a3.4 3.4 0 0 1 4.8 4.8l-8.6 8.6a1.7 1.7 0 0 1-2.4-2.4l7.9-7.9" />
        </svg>
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-hidden="true"
        tabIndex={-1}
        onChange={(event) => {
          take(event.currentTarget.files);
          // The same file can be chosen again after it was taken away.
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}

/** The files of the draft, and those on their way. */
function AddedFiles({ name }: { name: string }) {
  const { files } = draftOf(name);
  const coming = uploads.value.filter((one) => one.agent === name);
  if (files.length === 0 && coming.length === 0) return null;
  return (
    <ul class="added-files" aria-label="Files of this message">
      {files.map((file) => (
        <li key={file.path}>
          <bdi>{file.filename}</bdi> {file.size == null ? null : <span class="quiet">{bytes(file.size)}</span>}
          <button
            type="button"
            class="link"
            aria-label={`Take ${file.filename} away`}
            onClick={() => changeDraft(name, { files: files.filter((other) => other !== file) })}
          >
            ✕
          </button>
        </li>
      ))}
      {coming.map((one) => (
        <li key={one.id} class={one.error ? "bad" : ""}>
          <bdi>{one.name}</bdi>{" "}
          {one.error ? (
            <span role="alert">
              {one.error.message} {one.error.nextStep}
            </span>
          ) : (
            <progress value={one.part} max={1} aria-label={`${one.name} is being stored`} />
          )}
          <button type="button" class="link" aria-label={`Take ${one.name} away`} onClick={one.cancel}>
            ✕
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Grows the box with its text; the style sheet bounds it. */
function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
