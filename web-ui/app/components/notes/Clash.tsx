import { useLayoutEffect, useRef } from "preact/hooks";
import { fullTime } from "../../format";
import type { VaultNote } from "../../vault/api";
import { baseOf, type Edit, editOf, properties } from "../../vault/edit";
import { Confirm } from "../Confirm";
import { Diff } from "../turn/Diff";

interface ClashProps {
  /** What saving it now would make of the note. */
  mine: Edit;
  theirs: VaultNote;
  fields: readonly string[];
  busy: boolean;
  over: () => void;
  drop: () => void;
  close: () => void;
}

/** Two have changed the same: theirs and yours side by side, and the choice. */
export function Clash({ mine, theirs, fields, busy, over, drop, close }: ClashProps) {
  const box = useRef<HTMLElement>(null);
  useLayoutEffect(() => box.current?.focus(), [theirs.updatedAt]);
  const now = editOf(baseOf(theirs));
  const edits = [
    { name: "The text", before: now.content, after: mine.content },
    { name: "Path, tags and metadata", before: properties(now), after: properties(mine) },
  ].filter(({ before, after }) => before !== after);
  return (
    <section class="note warn clash" role="alert" aria-label="Changed by somebody else, too" ref={box} tabIndex={-1}>
      <p>
        <strong>Nothing was saved: somebody else has changed {fields.join(", ")} since you began</strong> ({fullTime(theirs.updatedAt)}). Below, red is theirs and green is yours. Both are kept until
        you choose.
      </p>
      {edits.map(({ name, before, after }) => (
        <Diff key={name} edits={{ path: name, edits: [{ before, after }], cut: false }} />
      ))}
      <div class="row-actions">
        <button type="button" class="primary" disabled={busy} onClick={over}>
          {busy ? "Saving…" : "Save mine over theirs"}
        </button>
        <Confirm label="Take theirs" question="Discard what you wrote, and take theirs?" yes="Take theirs" no="Keep mine" onYes={drop} />
        <button type="button" class="small" onClick={close}>
          Go on editing mine
        </button>
      </div>
    </section>
  );
}
