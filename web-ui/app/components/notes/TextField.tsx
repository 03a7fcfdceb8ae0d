import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { NoteText } from "./NoteText";

interface TextFieldProps {
  text: string;
  vault: string;
  id: string;
  wrong: string | undefined;
  change: (text: string) => void;
}

/** The text of a note, to be written or to be seen as it will be. */
export function TextField({ text, vault, id, wrong, change }: TextFieldProps) {
  const preview = useSignal(false);
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => fit(area.current), [text, preview.value]);
  useLayoutEffect(() => {
    if (matchMedia("(hover: hover)").matches) area.current?.focus();
  }, []);
  return (
    <div class={wrong ? "field-box invalid" : "field-box"}>
      <div class="text-head">
        <label for="note-content">Text</label>
        <div class="two-ways" role="group" aria-label="How the text is shown">
          <button type="button" class="small" aria-pressed={!preview.value} onClick={() => (preview.value = false)}>
            Write
          </button>
          <button type="button" class="small" aria-pressed={preview.value} onClick={() => (preview.value = true)}>
            Preview
          </button>
        </div>
      </div>
      {preview.value ? (
        <div class="preview" role="region" aria-label="Preview" tabIndex={0}>
          {text.trim() ? <NoteText text={text} vault={vault} id={id} links={NONE} /> : <p class="quiet">There is no text yet.</p>}
        </div>
      ) : (
        <textarea
          ref={area} id="note-content" rows={12} dir="auto" aria-invalid={wrong ? true : undefined} aria-describedby={wrong ? "note-content-bad" : "note-content-help"}
          value={text} onInput={(event) => change(event.currentTarget.value)}
        />
      )}
      {wrong ? (
        <p class="field-bad" id="note-content-bad">
          {wrong}
        </p>
      ) : null}
      <p class="hint" id="note-content-help">
        Markdown; [[Path]] links to another note. Ctrl+S saves.
      </p>
    </div>
  );
}

const NONE: readonly never[] = [];

/** Longer texts are not measured with every key. */
const LONG = 100_000;

/** As high as its text, so that the page scrolls and not the field. */
function fit(area: HTMLTextAreaElement | null): void {
  if (!area) return;
  area.classList.toggle("long", area.value.length > LONG);
  if (area.value.length > LONG) {
    area.style.height = "";
    return;
  }
  const frame = area.closest("main");
  const top = frame?.scrollTop;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
  if (frame && top !== undefined) frame.scrollTop = top;
}
