import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { type Job, jobsApi } from "../../jobs/api";
import { draftOf, editOf, fieldOf, type JobDraft, newJob } from "../../jobs/form";
import { dropForm, keepForm, keptForm } from "../../jobs/kept";
import { usePreview } from "../../jobs/preview";
import { localZone } from "../../jobs/when";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { agents } from "../../store";
import { Field, FormError, Problems, useFirstInvalid } from "../Field";
import { NextRuns } from "./NextRuns";
import { Rules } from "./Rules";
import { Timing } from "./Timing";

const TAKEN = "There is a job of this id already. Edit that one, or choose another id.";

interface JobFormProps {
  /** Whose job it is; to be chosen when absent. */
  agent?: string;
  /** An agent that is likely to be chosen. */
  likely?: string;
  job?: Job;
  /** The jobs that there are: a new one cannot have the id of another one of its agent, which the daemon would change then. */
  jobs?: readonly Job[];
  /** Under which the form is kept until it is saved. */
  keep: string;
  saved: () => void;
  close: () => void;
}

/** A new job, or another version of one. What is written in it is kept until it is saved or given up. */
export function JobForm({ agent, likely = "", job, jobs = [], keep, saved, close }: JobFormProps) {
  const zone = localZone();
  const kept = useSignal(keptForm(keep));
  const opened = useSignal<JobDraft>(kept.value?.opened ?? draftOf(job, zone));
  const draft = useSignal<JobDraft>(kept.value?.draft ?? opened.value);
  const chosen = useSignal(agent ?? (kept.value?.agent || likely));
  const action = useAction();
  const error = action.error.value;
  const { kind } = draft.value;
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const preview = usePreview(draft.value, chosen.value).value;
  const form = useFirstInvalid(error);
  const isTaken = !job && jobs.some(({ id, channel }) => channel === chosen.value && id === draft.value.id.trim());
  const { fields, rest } = objections(error?.problems ?? (job && !kept.value ? job.problems : undefined) ?? [], preview.problems, kind, draft.value, touched.value);

  useLayoutEffect(() => {
    // Not when it came back by itself: the reader may be elsewhere.
    if (!kept.value) form.current?.querySelector<HTMLElement>("select, input, textarea")?.focus();
  }, []);
  const set = (change: Partial<JobDraft>): void => {
    draft.value = { ...draft.value, ...change };
    touched.value = new Set([...touched.value, ...Object.keys(change), ...(change.kind ? [change.kind] : [])]);
    remember();
  };
  const remember = (): void => keepForm(keep, { agent: chosen.value, opened: opened.value, draft: draft.value });
  const chooseAgent = (name: string): void => {
    chosen.value = name;
    remember();
  };
  const afresh = (): void => {
    dropForm(keep);
    kept.value = undefined;
    opened.value = draft.value = draftOf(job, zone);
    touched.value = new Set();
    action.forget();
  };
  const leave = (): void => {
    dropForm(keep);
    close();
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isTaken) return;
    touched.value = new Set();
    const send = (): Promise<unknown> => {
      if (!job) return jobsApi.create(newJob(draft.value, chosen.value, zone));
      const edit = editOf(draft.value, opened.value, zone);
      return Object.keys(edit).length === 0 ? Promise.resolve() : jobsApi.edit(job, edit);
    };
    if (!(await action.run(send))) return;
    dropForm(keep);
    saved();
  };

  return (
    <form class="job-form" ref={form} onSubmit={submit} aria-label={job ? `Edit ${job.id}` : "New job"}>
      <h2>{job ? `Edit ${job.id}` : agent ? "New job" : "New schedule"}</h2>
      {kept.value ? (
        <p class="note" role="status">
          What you wrote here before is back; it was not saved yet.{" "}
          <button type="button" class="link" onClick={afresh}>
            {job ? "Discard it" : "Begin anew"}
          </button>
        </p>
      ) : null}
      {job ? null : (
        <div class="grid">
          {agent === undefined ? <Whose chosen={chosen.value} choose={chooseAgent} /> : null}
          <Field id="job-id" label="Id" help="Letters, digits, - and _, such as morning-report." problems={isTaken ? [TAKEN] : fields.get("id")}>
            {(tied) => (
              <input
                {...tied} type="text" required autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.value.id}
                onInput={(event) => set({ id: event.currentTarget.value })}
              />
            )}
          </Field>
        </div>
      )}
      <Field id="job-message" label="Message" help="What the agent is written each time." problems={fields.get("message")}>
        {(tied) => (
          <textarea {...tied} rows={3} dir="auto" required value={draft.value.message} onInput={(event) => set({ message: event.currentTarget.value })} />
        )}
      </Field>
      <div class="job-times">
        <div>
          <Timing draft={draft.value} set={set} fields={fields} />
        </div>
        <NextRuns preview={preview} zone={draft.value.tz.trim()} once={kind === "at"} />
      </div>
      {preview.warnings.length > 0 ? (
        <div class="note warn">
          <Problems list={preview.warnings} />
        </div>
      ) : null}
      <Rules draft={draft.value} set={set} fields={fields} />
      {error ? (
        <>
          <FormError error={error} rest={rest} />
          <p class="hint">What you wrote is kept, also when you leave this page.</p>
        </>
      ) : null}
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value}>
          {action.busy.value ? "Saving…" : job ? "Save" : "Add it"}
        </button>
        <button type="button" onClick={leave}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function Whose({ chosen, choose }: { chosen: string; choose: (name: string) => void }) {
  return (
    <Field id="job-agent" label="Agent" help="Who gets the message.">
      {(tied) => (
        <select {...tied} required value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">Choose one</option>
          {agents.value?.map(({ name, vault }) => (
            <option key={`${vault} ${name}`} value={name}>{name}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** What was refused, until its field is touched; and what would be refused now, of fields in which something was written. */
function objections(refused: Parameters<typeof sortProblems>[0], foreseen: Parameters<typeof sortProblems>[0], kind: JobDraft["kind"], draft: JobDraft, touched: ReadonlySet<string>) {
  const at = (key: string): string | undefined => fieldOf(key, kind);
  const { fields: old, rest } = sortProblems(refused, at, touched);
  const fields = new Map(old);
  for (const [field, messages] of sortProblems(foreseen, at).fields) {
    if (touched.has(field) && draft[field as keyof JobDraft] !== "") fields.set(field, messages);
  }
  return { fields, rest };
}
