import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { follow } from "../../events";
import { fullTime, time } from "../../format";
import { type Job, jobsApi, type Ran } from "../../jobs/api";
import { turnWords } from "../../jobs/history";
import { dropForm } from "../../jobs/kept";
import { lastLine } from "../../jobs/list";
import { useResource } from "../../resource";
import { type AgentRoute, hashOf } from "../../route";
import { now } from "../../store";
import { turnsApi } from "../../turns";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Problems } from "../Field";
import { Sentence } from "../Text";
import { History } from "./History";
import type { JobHand } from "./useJob";

/** What stands in a job, how it went, and what can be done with it. */
export function JobDetails({ hand }: { hand: JobHand }) {
  const { job, action, editing, ran, act, runNow } = hand;
  const problems = job.problems ?? [];
  return (
    <>
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
        <button type="button" class="small" disabled={job.status === "error" || action.busy.value} onClick={() => void runNow()} aria-label={`Run now: ${job.id}`}>
          Run now
        </button>
        <button type="button" class="small" onClick={() => (editing.value = true)} aria-label={`Edit ${job.id}`}>
          Edit
        </button>
        {job.enabled && job.status === "enabled" ? <PauseWhy hand={hand} /> : null}
        <Confirm label="Delete…" question={`Delete the job ${job.id}?`} yes="Delete" onYes={() => void act(() => jobsApi.remove(job)).then((done) => done && dropForm(job.noteId))} />
      </div>
      <p class="card-line" role="status">
        <WhatRan ran={ran.value} agent={job.channel} />
      </p>
      {action.error.value ? (
        <ErrorNote error={action.error.value}>
          <button type="button" class="small" onClick={action.forget}>
            Dismiss
          </button>
        </ErrorNote>
      ) : null}
      <History job={job} />
    </>
  );
}

/** Pauses with a word for those who come after; the switch does it without. */
function PauseWhy({ hand: { job, act } }: { hand: JobHand }) {
  const asking = useSignal(false);
  const reason = useSignal("");
  const input = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const asked = useRef(false);
  useLayoutEffect(() => {
    if (asking.value) input.current?.focus();
    else if (asked.current) opener.current?.focus();
    asked.current = asking.value;
  }, [asking.value]);
  if (!asking.value) {
    return (
      <button ref={opener} type="button" class="small" onClick={() => (asking.value = true)}>
        Pause…
      </button>
    );
  }
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (await act(() => jobsApi.pause(job, reason.value.trim()))) asking.value = false;
  };
  return (
    <form
      class="confirm" aria-label={`Pause ${job.id}`} onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Escape") asking.value = false;
      }}
    >
      <input
        ref={input} class="small-input" type="text" maxLength={300} aria-label="Why it is paused" placeholder="Why? May be left out" value={reason.value}
        onInput={(event) => (reason.value = event.currentTarget.value)}
      />
      <button type="submit" class="small">
        Pause
      </button>
      <button type="button" class="small" onClick={() => (asking.value = false)}>
        Leave it on
      </button>
    </form>
  );
}

function WhatRan({ ran, agent }: { ran: Ran | undefined; agent: string }) {
  if (!ran) return null;
  if (ran.status.startsWith("error")) return <span class="bad-text">It could not be started: {ran.status.replace(/^error:\s*/, "")}</span>;
  const to: AgentRoute = { view: "agent", name: agent, ...(ran.message_id ? { message: ran.message_id } : {}) };
  return (
    <>
      Its message is written. {ran.turn ? <TurnMade key={ran.turn} turn={ran.turn} agent={agent} /> : null}
      <a href={hashOf(to)}>See it</a>
    </>
  );
}

/** How the turn goes that a run has made. */
function TurnMade({ turn, agent }: { turn: string; agent: string }) {
  const known = useResource(() => turnsApi.turn(turn));
  useEffect(() => {
    const again = (): void => void known.load();
    return follow(agent, {
      event: (_, event) => {
        if (event.turn === turn && event.kind !== "text_delta") again();
      },
      opened: again,
      resync: again,
    });
  }, []);
  const state = known.value.value?.state;
  if (!state) return null;
  return <span class={state === "error" || state === "interrupted" ? "bad-text" : undefined}>{`${turnWords(state)}. `}</span>;
}

export function Switch({ hand: { job, act }, word = job.enabled ? "On" : "Off" }: { hand: JobHand; word?: string }) {
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
      <span aria-hidden="true">{word}</span>
    </label>
  );
}

/** When a job ran last, and how that ended. */
export function Last({ job }: { job: Job }) {
  const { lastRunAt } = job;
  const last = lastLine(job);
  if (!lastRunAt && !last) return <>Not yet</>;
  return (
    <>
      {lastRunAt ? (
        <time dateTime={lastRunAt} title={fullTime(lastRunAt)}>
          {time(lastRunAt, now.value)}
        </time>
      ) : null}
      {last ? (
        <>
          {lastRunAt ? " · " : ""}
          <span class={last.bad ? "bad-text" : undefined}>
            {last.text}
            {last.why ? <Sentence text={`: ${last.why}`} /> : null}
          </span>
        </>
      ) : null}
    </>
  );
}
