/** The form of a job: from the job, to what is sent. Pure. */
import type { CatchUp, Job, JobEdit, NewJob, Overlap, Schedule } from "./api";
import { momentOf, wallClock } from "./when";

export interface JobDraft {
  id: string;
  message: string;
  subject: string;
  kind: "cron" | "at";
  cron: string;
  /** As an input of date and time holds it: `YYYY-MM-DDTHH:MM` in the zone below. */
  at: string;
  tz: string;
  catchUp: CatchUp;
  overlap: Overlap;
}

/** `zone` is the reader's, which a new job is given. */
export function draftOf(job: Job | undefined, zone: string): JobDraft {
  if (!job) return { id: "", message: "", subject: "", kind: "cron", cron: "0 9 * * *", at: "", tz: zone, catchUp: "once", overlap: "queue" };
  const { cron, at, tz } = job.schedule;
  return {
    id: job.id,
    message: job.message,
    subject: job.subject ?? "",
    kind: at && !cron ? "at" : "cron",
    cron: cron ?? "",
    at: at ? (wallClock(at, tz || zone) ?? "") : "",
    tz: tz ?? "",
    catchUp: job.catch_up === "skip" ? "skip" : "once",
    overlap: job.overlap === "skip" ? "skip" : "queue",
  };
}

/** What the form says of the time. A wall time that no clock shows is sent as it is: the daemon says what is wrong with it. */
export function scheduleOf(draft: JobDraft, zone: string): Schedule {
  const tz = draft.tz.trim();
  const named = tz ? { tz } : {};
  if (draft.kind === "cron") return { cron: draft.cron.trim(), ...named };
  return { at: momentOf(draft.at, tz || zone) ?? draft.at, ...named };
}

export function newJob(draft: JobDraft, channel: string, zone: string): NewJob {
  const subject = draft.subject.trim();
  return {
    id: draft.id.trim(),
    channel,
    message: draft.message.trim(),
    ...(subject ? { subject } : {}),
    schedule: scheduleOf(draft, zone),
    catch_up: draft.catchUp,
    overlap: draft.overlap,
  };
}

/** Only what was changed in the form since it was opened, so that nothing else is written anew. */
export function editOf(draft: JobDraft, opened: JobDraft, zone: string): JobEdit {
  const subject = draft.subject.trim();
  const timed = (["kind", "cron", "at", "tz"] as const).some((key) => draft[key] !== opened[key]);
  return {
    ...(draft.message === opened.message ? {} : { message: draft.message.trim() }),
    ...(draft.subject === opened.subject ? {} : { subject: subject || null }),
    ...(timed ? { schedule: scheduleOf(draft, zone) } : {}),
    ...(draft.catchUp === opened.catchUp ? {} : { catch_up: draft.catchUp }),
    ...(draft.overlap === opened.overlap ? {} : { overlap: draft.overlap }),
  };
}

const FIELDS: Record<string, string> = {
  id: "id",
  message: "message",
  subject: "subject",
  cron: "cron",
  schedule: "cron",
  at: "at",
  tz: "tz",
  catch_up: "catchUp",
  overlap: "overlap",
};

/** The field of the form that a key of the API stands in. */
export function fieldOf(key: string, kind: JobDraft["kind"]): string | undefined {
  const field = FIELDS[key];
  // Only one of the two is there to be seen.
  return field === "cron" || field === "at" ? kind : field;
}
