import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { onTold } from "../../events";
import { fullTime, plural } from "../../format";
import { type Job, jobsApi } from "../../jobs/api";
import { keptForm } from "../../jobs/kept";
import { arrangedJobs, JOB_STATES, type JobState, stateOf } from "../../jobs/list";
import { noNextRun, scheduleText } from "../../jobs/history";
import { dayTime, elsewhere, fromNow } from "../../jobs/when";
import { useResource } from "../../resource";
import { hashOf } from "../../route";
import { agents, go, minute, route } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { JobForm } from "./JobForm";
import { JobDetails, Last, Switch } from "./JobParts";
import { useJob } from "./useJob";
import "../../styles/schedules.css";

const KEEP = "new";

/** What the clock sends, of all agents or of one. */
export function Schedules() {
  const jobs = useResource(jobsApi.all);
  const text = useSignal("");
  const state = useSignal<JobState>("all");
  const adding = useSignal(keptForm(KEEP) !== undefined);
  const add = useRef<HTMLButtonElement>(null);
  const at = route.value;
  const agent = (at.view === "jobs" && at.path?.[0]) || "";
  const list = jobs.value.value?.jobs;
  const shown = arrangedJobs(list ?? [], { agent, state: state.value, text: text.value });
  useEffect(() => onTold("jobs", () => void jobs.load()), []);
  const close = (): void => {
    adding.value = false;
    requestAnimationFrame(() => add.current?.focus());
  };
  return (
    <main class="home-page" id="main" tabIndex={-1}>
      <header class="home-head">
        <div>
          <h1>Schedules</h1>
          <Summary list={list} />
        </div>
        <button ref={add} type="button" class="primary" disabled={adding.value || !agents.value?.length} onClick={() => (adding.value = true)}>
          New schedule
        </button>
      </header>
      {adding.value ? (
        <section class="card schedule-form">
          <JobForm
            likely={agent}
            jobs={list ?? []}
            keep={KEEP}
            close={close}
            saved={() => {
              close();
              void jobs.load();
            }}
          />
        </section>
      ) : null}
      {list && list.length > 0 ? <Tools list={list} agent={agent} text={text} state={state} /> : null}
      {jobs.error.value ? (
        <ErrorNote error={jobs.error.value}>
          <button type="button" onClick={() => void jobs.load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {list === undefined && !jobs.error.value ? <p class="quiet pad">Loading schedules…</p> : null}
      {list?.length === 0 && !adding.value ? <Empty add={() => (adding.value = true)} /> : null}
      {list && list.length > 0 ? (
        <>
          <table class="home-table schedule-table">
            <thead>
              <tr>
                <th scope="col">Schedule</th>
                <th scope="col">Agent</th>
                <th scope="col">Next run</th>
                <th scope="col">Last run</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            {shown.map((job) => (
              <Row key={job.noteId} job={job} reload={jobs.load} />
            ))}
          </table>
          <p class="quiet home-count" role="status">
            {shown.length === 0 ? "None of them fits. " : shown.length === list.length ? "" : `${shown.length} of ${plural(list.length, "schedule")} shown.`}
          </p>
        </>
      ) : null}
    </main>
  );
}

function Summary({ list }: { list: readonly Job[] | undefined }) {
  // As high as with the words in it.
  if (!list) return <p class="quiet">&nbsp;</p>;
  const words = list.map((job) => stateOf(job).word);
  const many = (word: string): number => words.filter((one) => one === word).length;
  const next = arrangedJobs(list, { agent: "", state: "on", text: "" })[0]?.nextRunAt;
  const parts = [
    plural(list.length, "schedule"),
    many("Paused") > 0 ? `${many("Paused")} paused` : "",
    many("To be corrected") > 0 ? `${many("To be corrected")} to be corrected` : "",
    next ? `the next ${fromNow(next, minute.value)}` : "",
  ];
  return <p class="quiet">{parts.filter(Boolean).join(" · ")}</p>;
}

interface ToolsProps {
  list: readonly Job[];
  agent: string;
  text: { value: string };
  state: { value: JobState };
}

function Tools({ list, agent, text, state }: ToolsProps) {
  const names = [...new Set([...list.map(({ channel }) => channel), ...(agent ? [agent] : [])])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return (
    <div class="home-tools" role="search">
      <input
        type="search" data-search aria-label="Find a schedule" placeholder="Find a schedule" value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <select
        aria-label="Agent" value={agent}
        onChange={({ currentTarget: { value } }) => go({ view: "jobs", ...(value ? { path: [value] } : {}) })}
      >
        <option value="">All agents</option>
        {names.map((name) => (
          <option key={name} value={name}>{name}</option>
        ))}
      </select>
      <select aria-label="State" value={state.value} onChange={(event) => (state.value = event.currentTarget.value as JobState)}>
        {JOB_STATES.map(({ state: own, label }) => (
          <option key={own} value={own}>{label}</option>
        ))}
      </select>
    </div>
  );
}

function Empty({ add }: { add: () => void }) {
  const none = agents.value?.length === 0;
  return (
    <div class="empty">
      <p>
        <strong>Nothing is scheduled.</strong>
      </p>
      <p>A schedule writes an agent a message by the clock: each morning, every Friday, or once.</p>
      {none ? (
        <p>
          It needs an agent first: <a href={hashOf({ view: "new" })}>make one</a>.
        </p>
      ) : (
        <button type="button" class="primary" onClick={add}>
          Make the first one
        </button>
      )}
    </div>
  );
}

function Row({ job, reload }: { job: Job; reload: () => Promise<void> }) {
  const hand = useJob(job, reload);
  const open = useSignal(hand.editing.peek());
  const shows = useComputed(() => open.value || hand.editing.value);
  const { word, tone } = stateOf(job);
  const { words, code } = scheduleText(job);
  const id = `job-${job.noteId}`;
  const close = (): void => {
    hand.editing.value = false;
  };
  return (
    <tbody>
      <tr>
        <th scope="row">
          <button type="button" class="fold" aria-expanded={shows.value} aria-controls={id} onClick={() => (open.value = !open.value)}>
            <bdi>{job.id}</bdi>
          </button>
          <span class="cell-words">{words ?? code}</span>
        </th>
        <td class="cell-agent">
          <a href={hashOf({ view: "agent", name: job.channel })}>
            <bdi>{job.channel}</bdi>
          </a>
        </td>
        <td class="cell-due">
          <Due job={job} />
        </td>
        <td class="cell-last">
          <div>
            <Last job={job} />
          </div>
        </td>
        <td class="cell-on">
          {job.status === "error" || job.status === "done" ? <span class={`tag ${tone}`}>{word}</span> : <Switch hand={hand} word={word} />}
        </td>
      </tr>
      <tr id={id} class="schedule-more" hidden={!shows.value}>
        {shows.value ? (
          <td colSpan={5}>
            <div class="stack" role="group" aria-label={`Job ${job.id}`}>
              {hand.editing.value ? (
                <JobForm agent={job.channel} job={job} keep={job.noteId} close={close} saved={() => void reload().then(close)} />
              ) : (
                <>
                  <p class="job-when">
                    {code ? <code>{code}</code> : null} <span class="quiet">{job.schedule.tz || "In the daemon's zone"}</span>
                    {job.subject ? <span class="quiet">Subject: {job.subject}</span> : null}
                  </p>
                  <JobDetails hand={hand} />
                </>
              )}
            </div>
          </td>
        ) : null}
      </tr>
    </tbody>
  );
}

/** On the reader's clock, and on that of the job. */
function Due({ job }: { job: Job }) {
  const { tz } = job.schedule;
  const next = stateOf(job).word === "Enabled" ? job.nextRunAt : undefined;
  if (!next) return <span class="quiet cell-none">{noNextRun(job)}</span>;
  return (
    <>
      <time dateTime={next} title={fullTime(next)}>
        {dayTime(next, minute.value)}
      </time>{" "}
      <span class="soon">{fromNow(next, minute.value)}</span>
      <span class="quiet cell-there">{elsewhere(next, tz) ?? (tz ? `the same in ${tz}` : "")}</span>
    </>
  );
}
