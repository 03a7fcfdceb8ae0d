import { useSignal } from "@preact/signals";
import { type CatchUp, type Job, jobsApi, type Overlap } from "../../jobs/api";
import { cronInWords } from "../../jobs/cron";
import { draftOf, editOf, fieldOf, type JobDraft, newJob } from "../../jobs/form";
import { localZone, zones } from "../../jobs/when";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { Field, FormError, More, type Tied, useFirstInvalid } from "../Field";

const TAKEN = "There is a job of this id already. Edit that one, or choose another id.";
const EXAMPLES = [
  ["0 9 * * 1-5", "Workdays at nine"],
  ["@hourly", "Every hour"],
  ["0 7 * * 1", "Mondays at seven"],
  ["0 6 1 * *", "Firsts of a month"],
] as const;

interface JobFormProps {
  agent: string;
  job?: Job;
  /** Ids that a new job cannot have: the daemon would take it for another version of that one. */
  taken?: readonly string[];
  saved: () => void;
  close: () => void;
}

/** A new job, or another version of one. */
export function JobForm({ agent, job, taken = [], saved, close }: JobFormProps) {
  const zone = localZone();
  const opened = useSignal(draftOf(job, zone)).value;
  const draft = useSignal<JobDraft>(opened);
  const action = useAction();
  const error = action.error.value;
  const { kind } = draft.value;
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const { fields, rest } = sortProblems(error ? error.problems : (job?.problems ?? []), (key) => fieldOf(key, kind), touched.value);
  const isTaken = taken.includes(draft.value.id.trim());
  const form = useFirstInvalid(error);
  const set = (change: Partial<JobDraft>): void => {
    draft.value = { ...draft.value, ...change };
    touched.value = new Set([...touched.value, ...Object.keys(change), ...(change.kind ? [change.kind] : [])]);
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isTaken) return;
    touched.value = new Set();
    const send = (): Promise<unknown> => {
      if (!job) return jobsApi.create(newJob(draft.value, agent, zone));
      const edit = editOf(draft.value, opened, zone);
      return Object.keys(edit).length === 0 ? Promise.resolve() : jobsApi.edit(job, edit);
    };
    if (await action.run(send)) saved();
  };
  const text = (key: "id" | "subject" | "cron" | "tz", tied: Tied, more: { list?: string; required?: boolean; readOnly?: boolean } = {}) => (
    <input
      {...tied} {...more} type="text" autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.value[key]}
      onInput={(event) => set({ [key]: event.currentTarget.value })}
    />
  );

  return (
    <form class="job-form" ref={form} onSubmit={submit} aria-label={job ? `Edit ${job.id}` : "New job"}>
      <h2>{job ? `Edit ${job.id}` : "New job"}</h2>
      {job ? null : (
        <Field id="job-id" label="Id" help="Letters, digits, - and _, such as morning-report." problems={isTaken ? [TAKEN] : fields.get("id")}>
          {(tied) => text("id", tied, { required: true })}
        </Field>
      )}
      <Field id="job-message" label="Message" help="What the agent is written each time." problems={fields.get("message")}>
        {(tied) => (
          <textarea {...tied} rows={3} dir="auto" required value={draft.value.message} onInput={(event) => set({ message: event.currentTarget.value })} />
        )}
      </Field>
      <fieldset class="kinds">
        <legend>When</legend>
        {([["cron", "Again and again"], ["at", "Once"]] as const).map(([value, label]) => (
          <label key={value} class="radio">
            <input type="radio" name="job-kind" checked={kind === value} onChange={() => set({ kind: value })} /> {label}
          </label>
        ))}
      </fieldset>
      <div class="grid">
        {kind === "cron" ? (
          <Field id="job-cron" label="Cron" help={<CronHelp cron={draft.value.cron} choose={(cron) => set({ cron })} />} problems={fields.get("cron")}>
            {(tied) => text("cron", tied, { required: true })}
          </Field>
        ) : (
          <Field id="job-at" label="Date and time" problems={fields.get("at")}>
            {(tied) => <input {...tied} type="datetime-local" required value={draft.value.at} onInput={(event) => set({ at: event.currentTarget.value })} />}
          </Field>
        )}
        <Field id="job-tz" label="Zone" help={draft.value.tz.trim() ? "Whose clock it goes by." : kind === "cron" ? "Empty: the daemon's." : "Empty: yours."} problems={fields.get("tz")}>
          {(tied) => (
            <>
              {text("tz", tied, { list: "job-zones" })}
              <datalist id="job-zones">
                {zones().map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      </div>
      <Rules draft={draft.value} set={set} fields={fields} />
      {error ? <FormError error={error} rest={rest} /> : null}
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value}>
          {action.busy.value ? "Saving…" : job ? "Save" : "Add it"}
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** The expression in words as it is typed; while there are none, what may be written. */
function CronHelp({ cron, choose }: { cron: string; choose: (cron: string) => void }) {
  const words = cronInWords(cron);
  if (words) return <>{words}</>;
  return (
    <>
      Minute, hour, day, month, weekday. For example:{" "}
      {EXAMPLES.map(([example, label]) => (
        <button key={example} type="button" class="link" onClick={() => choose(example)}>
          {label}
        </button>
      ))}
    </>
  );
}

interface RulesProps {
  draft: JobDraft;
  set: (change: Partial<JobDraft>) => void;
  fields: ReadonlyMap<string, readonly string[]>;
}

/** What seldom has to be changed. */
function Rules({ draft, set, fields }: RulesProps) {
  return (
    <More title="More" objected={["catchUp", "overlap", "subject"].some((field) => fields.has(field))}>
      <div class="grid">
        <Field id="job-catch-up" label="When the daemon was off at the time" problems={fields.get("catchUp")}>
          {(tied) => (
            <select {...tied} value={draft.catchUp} onChange={(event) => set({ catchUp: event.currentTarget.value as CatchUp })}>
              <option value="once">It runs once soon after, unless that is too late</option>
              <option value="skip">That time is skipped</option>
            </select>
          )}
        </Field>
        <Field id="job-overlap" label="When the last run still goes on" problems={fields.get("overlap")}>
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
