/** Scheduled messages: the shapes and calls of `/api/jobs`. */
import { type Part, request, segment } from "../api";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
/** Five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`; or one moment instead. */
export type Schedule = Schemas["JobSchedule"];
export type CatchUp = "once" | "skip";
export type Overlap = "queue" | "skip";
export type Job = Part<Schemas["Job"], "id" | "noteId" | "channel" | "message" | "schedule" | "enabled" | "status">;
/** One occurrence, or `count` of them that were skipped together up to `until_at`. */
export type Run = Part<Schemas["JobRun"], "occurrence_at" | "at" | "kind" | "state">;
export type Ran = Schemas["JobRan"];
/** What the daemon makes of a job that is not written yet. */
export type Judged = Schemas["JobVerdict"];
/** What is left out is as the daemon has it. */
export type NewJob = Part<Schemas["NewJob"], "id" | "channel" | "message" | "schedule">;
export type JobEdit = Partial<Schemas["JobEdit"]>;

/** By its note: the ids of jobs may be the same for several agents. */
const at = (job: Job): string => `api/jobs/${segment(job.noteId || job.id)}`;

export const jobsApi = {
  /** Those of all agents. */
  all: () => request<{ jobs: Job[] }>("GET", "api/jobs"),
  list: (agent: string) => request<{ jobs: Job[] }>("GET", `api/jobs?agent=${segment(agent)}`),
  create: (job: NewJob) => request<Schemas["JobAnswer"]>("POST", "api/jobs", job),
  edit: (job: Job, edit: JobEdit) => request<Schemas["JobAnswer"]>("PATCH", at(job), edit),
  remove: (job: Job) => request<Schemas["JobRemoved"]>("DELETE", at(job)),
  run: (job: Job) => request<Ran>("POST", `${at(job)}/run`),
  /** Says what is wrong with it and when it would be due; nothing is written. */
  validate: (job: NewJob) => request<Judged>("POST", "api/jobs/validate", job),
  pause: (job: Job, reason?: string) => request<unknown>("POST", `${at(job)}/pause`, reason ? { reason } : undefined),
  resume: (job: Job) => request<unknown>("POST", `${at(job)}/resume`),
  runs: (job: Job) => request<{ runs: Run[] }>("GET", `${at(job)}/runs`),
};
