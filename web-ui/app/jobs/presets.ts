/** The usual times of a job, to be chosen instead of a cron expression. Pure. */
import { cronFields } from "./cron";
import type { JobDraft } from "./form";

export type Preset = "quarter" | "hourly" | "daily" | "weekdays" | "weekly" | "monthly" | "once" | "own";

export const PRESETS: readonly { preset: Preset; label: string }[] = [
  { preset: "quarter", label: "Every 15 minutes" },
  { preset: "hourly", label: "Every hour" },
  { preset: "daily", label: "Every day" },
  { preset: "weekdays", label: "Weekdays" },
  { preset: "weekly", label: "Every week" },
  { preset: "monthly", label: "Every month" },
  { preset: "once", label: "Once" },
  { preset: "own", label: "Other times" },
];

/** As a week begins here. */
export const WEEKDAYS: readonly { day: number; label: string }[] = [
  { day: 1, label: "Monday" }, { day: 2, label: "Tuesday" }, { day: 3, label: "Wednesday" }, { day: 4, label: "Thursday" },
  { day: 5, label: "Friday" }, { day: 6, label: "Saturday" }, { day: 0, label: "Sunday" },
];

/** What a preset leaves open. */
export interface Chosen {
  /** `HH:MM` */
  time: string;
  weekday: number;
}

/** Whether it has a time of day. */
export const hasTime = (preset: Preset): boolean => ["daily", "weekdays", "weekly", "monthly"].includes(preset);

export function presetOf({ kind, cron }: Pick<JobDraft, "kind" | "cron">): Preset {
  if (kind === "at") return "once";
  const chosen = chosenOf(cron);
  const fits = PRESETS.find(({ preset }) => preset !== "once" && preset !== "own" && sameCron(cronOf(preset, chosen), cron));
  return fits?.preset ?? "own";
}

/** The time and the weekday of an expression, where it has one of each; else what is usual. */
export function chosenOf(cron: string): Chosen {
  const fields = cronFields(cron);
  const only = (values: readonly number[] | undefined): number | undefined => (values?.length === 1 ? values[0] : undefined);
  const hour = only(fields?.hours.values);
  const minute = only(fields?.minutes.values);
  return {
    time: hour === undefined || minute === undefined ? "09:00" : `${pad(hour)}:${pad(minute)}`,
    weekday: only(fields?.days.values) ?? 1,
  };
}

export function cronOf(preset: Preset, { time, weekday }: Chosen): string {
  const [hour = 9, minute = 0] = time.split(":").map(Number);
  const at = `${minute} ${hour}`;
  switch (preset) {
    case "quarter":
      return "*/15 * * * *";
    case "hourly":
      return "0 * * * *";
    case "weekdays":
      return `${at} * * 1-5`;
    case "weekly":
      return `${at} * * ${weekday}`;
    case "monthly":
      return `${at} 1 * *`;
    default:
      return `${at} * * *`;
  }
}

/** What changes in the form when a preset is chosen. Other times begin with those that stand there. */
export function choose(preset: Preset, draft: Pick<JobDraft, "cron">): Partial<JobDraft> {
  if (preset === "once") return { kind: "at" };
  return preset === "own" ? { kind: "cron" } : { kind: "cron", cron: cronOf(preset, chosenOf(draft.cron)) };
}

/** By what they mean: `@daily` is `0 0 * * *`. */
function sameCron(one: string, other: string): boolean {
  const [a, b] = [one, other].map((cron) => cronFields(cron));
  if (!a || !b) return false;
  return (["minutes", "hours", "dates", "months", "days"] as const).every((name) => a[name].values.join() === b[name].values.join());
}

const pad = (value: number): string => String(value).padStart(2, "0");
