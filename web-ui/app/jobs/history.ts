/** Runs and schedules of jobs in words. Pure. */
import { plural } from "../format";
import type { Job, Run } from "./api";
import { cronInWords } from "./cron";

/** What a job's schedule says; the words only where there are some. */
export function scheduleText({ schedule }: Job): { words?: string; code?: string } {
  const { cron, at } = schedule;
  if (cron) {
    const words = cronInWords(cron);
    return { ...(words ? { words } : {}), code: cron };
  }
  return at ? { words: "Once" } : {};
}

const TURNS: Record<string, string> = {
  waiting: "its message waits",
  working: "its turn runs",
  joined: "its message joined a turn",
  ok: "its turn succeeded",
  error: "its turn failed",
  cancelled: "its turn was stopped",
  interrupted: "its turn was interrupted",
};

/** How a turn stands that a job has made. */
export function turnWords(state: string): string {
  return (TURNS[state] ?? state).replace(/^./, (first) => first.toUpperCase());
}

export interface RunLine {
  text: string;
  bad: boolean;
  reason?: string;
}

export function runLine(run: Run): RunLine {
  const count = run.count ?? 1;
  const reason = run.reason ? { reason: run.reason } : {};
  if (run.state === "skipped") return { text: count > 1 ? `${plural(count, "time")} skipped` : "Skipped", bad: false, ...reason };
  if (run.state === "pending") return { text: "It is being started", bad: false, ...reason };
  if (run.state === "failed") return { text: "Could not be started", bad: true, ...reason };
  const missed = count > 1 ? `${count} missed times` : "a missed time";
  const how = run.kind === "manual" ? "Run now" : run.kind === "catch_up" ? `Made up for ${missed}` : "Run";
  const why = /^error:\s*(.*)$/s.exec(run.outcome ?? "")?.[1];
  const state = run.turn?.state ?? (why === undefined ? run.outcome : "error");
  const turn = state ? (TURNS[state] ?? state) : undefined;
  return { text: `${how}${turn ? `: ${turn}` : ""}`, bad: state === "error" || state === "interrupted", ...(why ? { reason: why } : reason) };
}

/** What stands where a job's next run would, when there is none. */
export function noNextRun(job: Job): string {
  if (job.status === "error") return "It does not run until its note is corrected.";
  if (job.status === "done") return "Done: it ran when it was due.";
  if (!job.enabled || job.status === "paused") return `Paused: it does not run until it is switched on.${job.pause_reason ? ` ${job.pause_reason}` : ""}`;
  return "No next run is known.";
}
