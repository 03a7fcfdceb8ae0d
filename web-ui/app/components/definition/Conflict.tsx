import { useLayoutEffect, useRef } from "preact/hooks";
import { type Draft, type Part, partOf } from "../../agent/draft";
import { partLabel } from "../../agent/fields";
import { type Choice, undecided, type Unsaved } from "../../agent/unsaved";
import { listed } from "../../sandbox";
import { Diff } from "../turn/Diff";

interface ConflictProps {
  unsaved: Unsaved;
  /** What the note says now. */
  theirs: Draft;
  decide: (part: Part, choice: Choice) => void;
}

/** What a person and somebody else have both changed: shown side by side until it is decided. */
export function Conflict({ unsaved, theirs, decide }: ConflictProps) {
  const box = useRef<HTMLDivElement>(null);
  const parts = undecided(unsaved, theirs);
  const any = parts.length > 0;
  useLayoutEffect(() => {
    if (any) box.current?.focus();
  }, [any]);
  if (!any) return null;
  return (
    <div class="note warn conflict" role="region" aria-label="Changed meanwhile" tabIndex={-1} ref={box}>
      <p>
        <strong>Somebody else has changed {listed(parts.map((part) => `“${partLabel(part)}”`))} while you were writing.</strong> Nothing was
        saved, and both are kept here. Choose what is to stand:
      </p>
      {parts.map((part) => (
        <section key={part} aria-label={partLabel(part)}>
          <h3>{partLabel(part)}</h3>
          {part === "prompt" ? (
            <Diff edits={{ path: "From what is in the note now, to yours", edits: [{ before: theirs.prompt, after: unsaved.draft.prompt }], cut: false }} />
          ) : (
            <dl class="facts">
              <div>
                <dt>In the note now</dt>
                <dd>{partOf(theirs, part) || <span class="quiet">nothing</span>}</dd>
              </div>
              <div>
                <dt>Yours</dt>
                <dd>{partOf(unsaved.draft, part) || <span class="quiet">nothing</span>}</dd>
              </div>
            </dl>
          )}
          <div class="row-actions">
            <button type="button" class="small" onClick={() => decide(part, "mine")}>
              Keep mine
            </button>
            <button type="button" class="small" onClick={() => decide(part, "theirs")}>
              Take what is in the note
            </button>
            {part === "prompt" ? (
              <button type="button" class="small" onClick={() => decide(part, "both")}>
                Put mine below it
              </button>
            ) : null}
          </div>
        </section>
      ))}
    </div>
  );
}
