import { fullTime, time } from "../../format";
import type { Job } from "../../jobs/api";
import { noNextRun, scheduleText } from "../../jobs/history";
import { elsewhere, fromNow } from "../../jobs/when";
import { now } from "../../store";
import { JobForm } from "./JobForm";
import { JobDetails, Last, Switch } from "./JobParts";
import { useJob } from "./useJob";

/** One job of an agent: when, what, how it went, and what can be done with it. */
export function JobRow({ job, reload }: { job: Job; reload: () => Promise<void> }) {
  const hand = useJob(job, reload);
  if (hand.editing.value) {
    const close = (): void => {
      hand.editing.value = false;
    };
    return (
      <li class="card">
        <JobForm agent={job.channel} job={job} keep={job.noteId} close={close} saved={() => void reload().then(close)} />
      </li>
    );
  }
  return (
    <li class="card" aria-label={`Job ${job.id}`}>
      <div class="card-head">
        <h2>
          <bdi>{job.id}</bdi>
        </h2>
        <Switch hand={hand} />
      </div>
      <When job={job} />
      <p class="card-line">
        Last: <Last job={job} />
      </p>
      <JobDetails hand={hand} />
    </li>
  );
}

function When({ job }: { job: Job }) {
  const { words, code } = scheduleText(job);
  const { tz } = job.schedule;
  const next = job.enabled && job.status !== "error" ? job.nextRunAt : undefined;
  const there = next ? elsewhere(next, tz) : undefined;
  return (
    <>
      <p class="job-when">
        {words ? <strong>{words}</strong> : null} {code ? <code>{code}</code> : null} {tz ? <span class="quiet">{tz}</span> : null}
      </p>
      <p class="card-line">
        {next ? (
          <>
            Next:{" "}
            <time dateTime={next} title={fullTime(next)}>
              {time(next, now.value)}
            </time>{" "}
            ({fromNow(next, now.value)}){there ? ` · ${there}` : null}
          </>
        ) : (
          noNextRun(job)
        )}
      </p>
    </>
  );
}
