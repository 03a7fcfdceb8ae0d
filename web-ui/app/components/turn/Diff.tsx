import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { FileEdits } from "../../fold/tools";
import { type DiffLine, diffLines, lineCounts } from "../../fold/difference";

/** What an edit changes, line by line. What compares the texts is loaded when there is something to compare. */
export function Diff({ edits }: { edits: FileEdits }) {
  return (
    <>
      {edits.edits.map((edit, index) => (
        <Change key={index} before={edit.before} after={edit.after} path={edits.path} />
      ))}
      {edits.cut ? <p class="hint">Only the beginning of this change is shown: the live feed has the first 2,000 characters.</p> : null}
    </>
  );
}

function Change({ before, after, path }: { before: string; after: string; path: string }) {
  const lines = useSignal<readonly DiffLine[] | undefined>(undefined);
  useEffect(() => {
    let current = true;
    void diffLines(before, after).then((found) => {
      if (current) lines.value = found;
    });
    return () => {
      current = false;
    };
  }, [before, after]);
  const shown = lines.value;
  if (!shown) return <p class="quiet">Comparing…</p>;
  const { added, removed } = lineCounts(shown);
  return (
    <figure class="diff">
      <figcaption>
        <bdi>{path}</bdi>
        <span class="counts">
          {added > 0 ? <span class="added">+{added}</span> : null}
          {removed > 0 ? <span class="removed">−{removed}</span> : null}
        </span>
      </figcaption>
      <div class="diff-lines" role="region" tabIndex={0} aria-label={`Changes in ${path}: ${added} lines added, ${removed} removed`}>
        {shown.map((line, index) =>
          line.kind === "gap" ? (
            <div key={index} class="line gap">
              {line.count} lines the same
            </div>
          ) : (
            <div key={index} class={`line ${line.kind}`}>
              {line.kind === "same" ? null : <span class="visually-hidden">{line.kind === "added" ? "Added: " : "Removed: "}</span>}
              {line.text || " "}
            </div>
          ),
        )}
      </div>
    </figure>
  );
}
