import { type Signal, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Job, jobsApi, type Ran } from "../../jobs/api";
import { keptForm } from "../../jobs/kept";
import { type Action, useAction } from "../../resource";

/** What a person does with one job, and what came of it. */
export interface JobHand {
  job: Job;
  action: Action;
  /** A form that was left unsaved is open again. */
  editing: Signal<boolean>;
  ran: Signal<Ran | undefined>;
  act: (work: () => Promise<unknown>) => Promise<boolean>;
  runNow: () => Promise<boolean>;
  reload: () => Promise<void>;
}

export function useJob(job: Job, reload: () => Promise<void>): JobHand {
  const editing = useSignal(keptForm(job.noteId) !== undefined);
  const action = useAction();
  const ran = useSignal<Ran | undefined>(undefined);
  const last = useRef<Promise<unknown>>(Promise.resolve());
  // One after the other: what is done while something else is under way is not lost.
  const act = async (work: () => Promise<unknown>): Promise<boolean> => {
    const own = last.current.then(() => {
      ran.value = undefined;
      return action.run(work);
    });
    last.current = own;
    const done = await own;
    await reload();
    return done;
  };
  const runNow = (): Promise<boolean> =>
    act(async () => {
      ran.value = await jobsApi.run(job);
    });
  return { job, action, editing, ran, act, runNow, reload };
}
