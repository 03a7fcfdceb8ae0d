/** All schedules in one list: what is shown of each, in which order, and how the last run ended. Pure. */
import type { Job } from "./api";
import { cronInWords } from "./cron";

export type JobState = "all" | "on" | "paused" | "error" | "done" | "failed";

export const JOB_STATES: readonly { state: JobState; label: string }[] = [
  { state: "all", label: "All states" },
  { state: "on", label: "Enabled" },
  { state: "paused", label: "Paused" },
  { state: "failed", label: "Last run failed" },
  { state: "error", label: "To be corrected" },
  { state: "done", label: "Done" },
];

export interface StateWord {
  word: string;
  tone: "good" | "waiting" | "bad" | "quiet";
}

export function stateOf(job: Job): StateWord {
  if (job.status === "error") return { word: "To be corrected", tone: "bad" };
  if (job.status === "done") return { word: "Done", tone: "quiet" };
  if (!job.enabled || job.status === "paused") return { word: "Paused", tone: "waiting" };
  return { word: "Enabled", tone: "good" };
}

export interface LastLine {
  text: string;
  bad: boolean;
  why?: string;
}

/** How the last run ended, as `lastStatus` tells it: `ok`, `error: CODE: why` or `error: skipped: why`. */
export function lastLine({ lastStatus }: Job): LastLine | undefined {
  if (!lastStatus) return undefined;
  if (lastStatus === "ok") return { text: "Succeeded", bad: false };
  const why = /^error:\s*(.*)$/s.exec(lastStatus)?.[1];
  if (why === undefined) return { text: lastStatus, bad: false };
  const skipped = /^skipped(?: (\d+) runs)?:\s*(.*)$/s.exec(why);
  if (skipped) return { text: skipped[1] ? `${skipped[1]} times skipped` : "Skipped", bad: true, why: skipped[2] ?? "" };
  if (why === "cancelled") return { text: "Stopped", bad: false };
  // A code is for programs.
  return { text: "Failed", bad: true, why: why.replace(/^[a-z][a-z0-9_]*:\s+/, "") };
}

function inState(job: Job, state: JobState): boolean {
  switch (state) {
    case "all":
      return true;
    case "on":
      return stateOf(job).word === "Enabled";
    case "paused":
      return stateOf(job).word === "Paused";
    case "error":
      return job.status === "error";
    case "done":
      return job.status === "done";
    case "failed":
      return lastLine(job)?.bad ?? false;
  }
}

export interface JobFilter {
  agent: string;
  state: JobState;
  text: string;
}

/** What needs a person first, then what is due soonest, then what is not due at all. */
export function arrangedJobs(jobs: readonly Job[], { agent, state, text }: JobFilter): Job[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (job: Job): boolean => {
    if (agent && job.channel !== agent) return false;
    const all = [job.id, job.channel, job.message, cronInWords(job.schedule.cron ?? "") ?? ""].join("\n").toLowerCase();
    return inState(job, state) && words.every((word) => all.includes(word));
  };
  return jobs.filter(fits).sort((a, b) => rank(a) - rank(b) || due(a) - due(b) || a.id.localeCompare(b.id, undefined, { numeric: true }) || a.channel.localeCompare(b.channel));
}

const rank = (job: Job): number => (job.status === "error" ? 0 : isDue(job) ? 1 : job.status === "done" ? 3 : 2);
const isDue = (job: Job): boolean => job.enabled && job.status !== "error" && job.status !== "done" && job.status !== "paused";

function due({ nextRunAt }: Job): number {
  const ms = nextRunAt ? new Date(nextRunAt).getTime() : NaN;
  return Number.isNaN(ms) ? Number.MAX_SAFE_INTEGER : ms;
}
