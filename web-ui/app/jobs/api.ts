/** Scheduled messages: the shapes and calls of `/api/jobs`. */
import { type Problem, request, segment } from "../api";

export interface Schedule {
  /** Five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`. */
  cron?: string | null;
  /** One moment, instead. */
  at?: string | null;
  /** IANA zone; the daemon's, when absent. */
  tz?: string | null;
}

export type CatchUp = "once" | "skip";
export type Overlap = "queue" | "skip";

export interface Job {
  id: string;
  noteId: string;
  vault?: string;
  channel: string;
  message: string;
  subject?: string | null;
  schedule: Schedule;
  enabled: boolean;
  status: "enabled" | "paused" | "done" | "error" | (string & {});
  status_detail?: string | null;
  pause_reason?: string | null;
  problems?: readonly Problem[];
  warnings?: readonly Problem[];
  catch_up?: CatchUp | null;
  overlap?: Overlap | null;
  lastRunAt?: string | null;
  /** `ok`, or `error: …`. */
  lastStatus?: string | null;
  nextRunAt?: string | null;
}

/** One occurrence, or `count` of them that were skipped together up to `until_at`. */
export interface Run {
  occurrence_at: string;
  at: string;
  kind: "scheduled" | "manual" | "catch_up" | (string & {});
  state: "pending" | "fired" | "skipped" | "failed" | (string & {});
  count?: number;
  until_at?: string | null;
  reason?: string | null;
  /** The message that it wrote. */
  message_id?: string | null;
  turn?: { id: string; state: string } | null;
  /** How that ended, also when the turn itself is forgotten: `ok`, or `error: …`. */
  outcome?: string | null;
}

export interface Ran {
  /** `ok`, or `error: …`. */
  status: string;
  /** The message that was written. */
  message_id?: string | null;
  /** The turn that answers it. */
  turn?: string | null;
}

/** What the daemon makes of a job that is not written yet. To be replaced by the schema's when the daemon's document has it. */
export interface Judged {
  ok: boolean;
  problems: readonly Problem[];
  warnings: readonly Problem[];
  /** Whose clock counts; null when the schedule cannot be read. */
  tz?: string | null;
  /** The next occurrences: the moment, and what the clock of the job's zone shows then. */
  next: readonly { at: string; local: string }[];
}

export interface NewJob {
  id: string;
  channel: string;
  message: string;
  subject?: string;
  schedule: Schedule;
  catch_up?: CatchUp;
  overlap?: Overlap;
}

export interface JobEdit {
  message?: string;
  subject?: string | null;
  schedule?: Schedule;
  enabled?: boolean;
  catch_up?: CatchUp;
  overlap?: Overlap;
}

/** By its note: the ids of jobs may be the same for several agents. */
const at = (job: Job): string => `api/jobs/${segment(job.noteId || job.id)}`;

export const jobsApi = {
  /** Those of all agents. */
  all: () => request<{ jobs: Job[] }>("GET", "api/jobs"),
  list: (agent: string) => request<{ jobs: Job[] }>("GET", `api/jobs?agent=${segment(agent)}`),
  create: (job: NewJob) => request<{ job: Job }>("POST", "api/jobs", job),
  edit: (job: Job, edit: JobEdit) => request<{ job: Job }>("PATCH", at(job), edit),
  remove: (job: Job) => request<{ removed: boolean }>("DELETE", at(job)),
  run: (job: Job) => request<Ran>("POST", `${at(job)}/run`),
  /** Says what is wrong with it and when it would be due; nothing is written. */
  validate: (job: NewJob) => request<Judged>("POST", "api/jobs/validate", job),
  pause: (job: Job, reason?: string) => request<unknown>("POST", `${at(job)}/pause`, reason ? { reason } : undefined),
  resume: (job: Job) => request<unknown>("POST", `${at(job)}/resume`),
  runs: (job: Job) => request<{ runs: Run[] }>("GET", `${at(job)}/runs`),
};
