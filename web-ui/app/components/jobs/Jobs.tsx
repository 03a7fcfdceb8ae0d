import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { onTold } from "../../events";
import { type Job, jobsApi } from "../../jobs/api";
import { keptForm } from "../../jobs/kept";
import { useResource } from "../../resource";
import { ErrorNote } from "../ErrorNote";
import { JobForm } from "./JobForm";
import { JobRow } from "./JobRow";
import "../../styles/schedules.css";

/** The messages that an agent gets by the clock. */
export function Jobs({ agent }: { agent: string }) {
  const jobs = useResource(() => jobsApi.list(agent));
  const keep = `new ${agent}`;
  const adding = useSignal(keptForm(keep) !== undefined);
  const list = jobs.value.value?.jobs;
  useEffect(() => onTold("jobs", () => void jobs.load()), []);
  return (
    <section class="panel" aria-label="Jobs">
      <div class="column stack">
        {jobs.error.value ? (
          <ErrorNote error={jobs.error.value}>
            <button type="button" onClick={() => void jobs.load()}>
              Try again
            </button>
          </ErrorNote>
        ) : null}
        {list === undefined && !jobs.error.value ? <p class="quiet center">Loading jobs…</p> : null}
        {adding.value ? (
          <JobForm
            agent={agent}
            jobs={list ?? []}
            keep={keep}
            close={() => (adding.value = false)}
            saved={() => {
              adding.value = false;
              void jobs.load();
            }}
          />
        ) : list ? (
          <div class={list.length === 0 ? "empty" : "row-actions"}>
            {list.length === 0 ? (
              <>
                <p>
                  <strong>Nothing is scheduled.</strong>
                </p>
                <p>A job writes this agent a message by the clock: each morning, every Friday, or once.</p>
              </>
            ) : null}
            <button type="button" class="primary" onClick={() => (adding.value = true)}>
              {list.length === 0 ? "Add the first job" : "Add a job"}
            </button>
          </div>
        ) : null}
        <ul class="cards">
          {list?.map((job: Job) => (
            <JobRow key={job.noteId} job={job} reload={jobs.load} />
          ))}
        </ul>
      </div>
    </section>
  );
}
