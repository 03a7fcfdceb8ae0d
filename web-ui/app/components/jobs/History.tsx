import { useSignal } from "@preact/signals";
import { fullTime, time } from "../../format";
import { type Job, jobsApi, type Run } from "../../jobs/api";
import { runLine } from "../../jobs/history";
import { useResource } from "../../resource";
import { hashOf } from "../../route";
import { now } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";

/** What became of the last times that a job was due; read when it is opened. */
export function History({ job }: { job: Job }) {
  const open = useSignal(false);
  return (
    <details class="history" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        History<span class="visually-hidden"> of {job.id}</span>
      </summary>
      {open.value ? <Runs key={job.lastRunAt ?? ""} job={job} /> : null}
    </details>
  );
}

function Runs({ job }: { job: Job }) {
  const runs = useResource(() => jobsApi.runs(job));
  const list = runs.value.value?.runs;
  if (runs.error.value) return <ErrorNote error={runs.error.value} />;
  if (!list) return <p class="quiet">Loading…</p>;
  if (list.length === 0) return <p class="quiet">It was not due yet since it was made.</p>;
  return (
    <ol class="runs" aria-label={`Last runs of ${job.id}`}>
      {list.map((run) => (
        <RunItem key={`${run.occurrence_at} ${run.at} ${run.kind}`} run={run} agent={job.channel} />
      ))}
    </ol>
  );
}

function RunItem({ run, agent }: { run: Run; agent: string }) {
  const { text, bad, reason } = runLine(run);
  return (
    <li class={run.state}>
      <span class="run-time">
        <time dateTime={run.occurrence_at} title={fullTime(run.occurrence_at)}>
          {time(run.occurrence_at, now.value)}
        </time>
        {run.until_at ? (
          <>
            {" to "}
            <time dateTime={run.until_at} title={fullTime(run.until_at)}>
              {time(run.until_at, now.value)}
            </time>
          </>
        ) : null}
      </span>
      <span>
        <span class={bad ? "bad-text" : undefined}>{text}</span>
        {reason ? (
          <span class="quiet">
            {" · "}
            <Sentence text={reason} />
          </span>
        ) : null}
        {run.message_id ? (
          <>
            {" "}
            <a href={hashOf({ view: "agent", name: agent, message: run.message_id })}>See it</a>
          </>
        ) : null}
      </span>
    </li>
  );
}
