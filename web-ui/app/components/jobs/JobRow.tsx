import { useSignal } from "@preact/signals";
import { fullTime, time } from "../../format";
import { type Job, jobsApi, type Ran } from "../../jobs/api";
import { noNextRun, scheduleText } from "../../jobs/history";
import { elsewhere, fromNow } from "../../jobs/when";
import { useAction } from "../../resource";
import { type AgentRoute, hashOf } from "../../route";
import { now } from "../../store";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Problems } from "../Field";
import { Sentence } from "../Text";
import { History } from "./History";
import { JobForm } from "./JobForm";

/** One job: when, what, how it went, and what can be done with it. */
export function JobRow({ job, reload }: { job: Job; reload: () => Promise<void> }) {
  const editing = useSignal(false);
  const action = useAction();
  const ran = useSignal<Ran | undefined>(undefined);
  const problems = job.problems ?? [];

  const act = async (work: () => Promise<unknown>): Promise<void> => {
    ran.value = undefined;
    await action.run(work);
    await reload();
  };
  const runNow = (): Promise<void> =>
    act(async () => {
      ran.value = await jobsApi.run(job);
    });

  if (editing.value) {
    const close = (): void => {
      editing.value = false;
    };
    return (
      <li class="card">
        <JobForm agent={job.channel} job={job} close={close} saved={() => void reload().then(close)} />
      </li>
    );
  }
  return (
    <li class="card" aria-label={`Job ${job.id}`}>
      <div class="card-head">
        <h2>
          <bdi>{job.id}</bdi>
        </h2>
        <Switch job={job} act={act} />
      </div>
      <When job={job} />
      <Last job={job} />
      {job.status === "error" && problems.length > 0 ? (
        <div class="note bad">
          <p>
            <strong>This job does not run</strong> until {problems.length === 1 ? "this is" : "these are"} corrected:
          </p>
          <Problems list={problems} />
        </div>
      ) : job.status_detail && job.status !== "paused" ? (
        <p class="card-line">
          <Sentence text={job.status_detail} />
        </p>
      ) : null}
      {job.warnings && job.warnings.length > 0 ? (
        <div class="note warn">
          <Problems list={job.warnings} />
        </div>
      ) : null}
      <p class="job-message" dir="auto">
        {job.message}
      </p>
      <div class="row-actions">
        <button type="button" class="small" disabled={job.status === "error"} onClick={() => void runNow()} aria-label={`Run ${job.id} now`}>
          Run now
        </button>
        <button type="button" class="small" onClick={() => (editing.value = true)} aria-label={`Edit ${job.id}`}>
          Edit
        </button>
        <Confirm label="Delete…" question={`Delete the job ${job.id}?`} yes="Delete" onYes={() => void act(() => jobsApi.remove(job))} />
      </div>
      <p class="card-line" role="status">
        <WhatRan ran={ran.value} agent={job.channel} />
      </p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      <History job={job} />
    </li>
  );
}

function WhatRan({ ran, agent }: { ran: Ran | undefined; agent: string }) {
  if (!ran) return null;
  if (ran.status.startsWith("error")) return <span class="bad-text">It could not be started: {ran.status.replace(/^error:\s*/, "")}</span>;
  const to: AgentRoute = { view: "agent", name: agent, ...(ran.message_id ? { message: ran.message_id } : {}) };
  return (
    <>
      Its message is written. <a href={hashOf(to)}>See it</a>
    </>
  );
}

function Switch({ job, act }: { job: Job; act: (work: () => Promise<unknown>) => Promise<void> }) {
  return (
    <label class="switch">
      <input
        type="checkbox"
        role="switch"
        aria-label={`Job ${job.id} is on`}
        checked={job.enabled}
        onChange={(event) => {
          const on = event.currentTarget.checked;
          // What it shows is what the daemon says, also when that refuses.
          event.currentTarget.checked = job.enabled;
          void act(() => (on ? jobsApi.resume(job) : jobsApi.pause(job)));
        }}
      />
      <span aria-hidden="true">{job.enabled ? "On" : "Off"}</span>
    </label>
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

function Last({ job: { lastRunAt, lastStatus } }: { job: Job }) {
  if (!lastRunAt) return <p class="card-line">It has not run yet.</p>;
  const failed = lastStatus?.startsWith("error");
  return (
    <p class="card-line">
      Last:{" "}
      <time dateTime={lastRunAt} title={fullTime(lastRunAt)}>
        {time(lastRunAt, now.value)}
      </time>
      {lastStatus ? (
        <>
          {" · "}
          <span class={failed ? "bad-text" : undefined}>{lastStatus === "ok" ? "started" : lastStatus}</span>
        </>
      ) : null}
    </p>
  );
}
