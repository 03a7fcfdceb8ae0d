import { useSignal } from "@preact/signals";
import { type Job, jobsApi } from "../../jobs/api";
import { useResource } from "../../resource";
import { ErrorNote } from "../ErrorNote";
import { JobForm } from "./JobForm";
import { JobRow } from "./JobRow";

/** The messages that an agent gets by the clock. */
export function Jobs({ agent }: { agent: string }) {
  const jobs = useResource(() => jobsApi.list(agent));
  const adding = useSignal(false);
  const list = jobs.value.value?.jobs;
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
            taken={list?.map(({ id }) => id) ?? []}
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
