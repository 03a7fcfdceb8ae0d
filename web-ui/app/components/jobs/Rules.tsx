import type { CatchUp, Overlap } from "../../jobs/api";
import type { JobDraft } from "../../jobs/form";
import { Field, More } from "../Field";

interface RulesProps {
  draft: JobDraft;
  set: (change: Partial<JobDraft>) => void;
  fields: ReadonlyMap<string, readonly string[]>;
}

const CATCH_UP: Record<CatchUp, string> = {
  once: "For work that must be done, if late: a report, a backup. However many times were missed, it runs once.",
  skip: "For work that is pointless later: a good morning, a look at the market as it opens. The history says what was skipped.",
};
const OVERLAP: Record<Overlap, string> = {
  queue: "Nothing is left out; when runs take longer than the time between them, they pile up.",
  skip: "There is never more than one at a time. The history says what was skipped.",
};

/** What seldom has to be changed. */
export function Rules({ draft, set, fields }: RulesProps) {
  return (
    <More title="More" objected={["catchUp", "overlap", "subject"].some((field) => fields.has(field))}>
      <div class="grid">
        <Field id="job-catch-up" label="When the daemon was off at the time" help={CATCH_UP[draft.catchUp]} problems={fields.get("catchUp")}>
          {(tied) => (
            <select {...tied} value={draft.catchUp} onChange={(event) => set({ catchUp: event.currentTarget.value as CatchUp })}>
              <option value="once">It runs once soon after, unless that is too late</option>
              <option value="skip">That time is skipped</option>
            </select>
          )}
        </Field>
        <Field id="job-overlap" label="When the last run still goes on" help={OVERLAP[draft.overlap]} problems={fields.get("overlap")}>
          {(tied) => (
            <select {...tied} value={draft.overlap} onChange={(event) => set({ overlap: event.currentTarget.value as Overlap })}>
              <option value="queue">The next one waits in line</option>
              <option value="skip">The next one is skipped</option>
            </select>
          )}
        </Field>
        <Field id="job-subject" label="Subject" help="Which conversation its messages belong to; empty: the agent's main one." problems={fields.get("subject")}>
          {(tied) => (
            <input {...tied} type="text" autocomplete="off" value={draft.subject} onInput={(event) => set({ subject: event.currentTarget.value })} />
          )}
        </Field>
      </div>
    </More>
  );
}
