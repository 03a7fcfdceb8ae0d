/** When a cron expression is next due, where the daemon does not tell. Pure; the daemon alone decides. */
import { type CronFields, cronFields } from "./cron";
import { momentOf, wallClock } from "./when";

const DAY_MS = 86_400_000;
/** Until the next 29 February, which may be eight years off. */
const DAYS_LOOKED_AT = 366 * 9;

/** The next moments with the zone's offset, as many as there are. A time that a change of the clock leaves out is none. */
export function nextRuns(expression: string, zone: string, from: number, many: number): string[] {
  const fields = cronFields(expression);
  const start = wallClock(from, zone);
  if (!fields || start === undefined) return [];
  const found: string[] = [];
  const first = Date.parse(`${start.slice(0, 10)}T00:00:00Z`);
  for (let day = 0; day < DAYS_LOOKED_AT && found.length < many; day++) {
    const date = new Date(first + day * DAY_MS);
    if (!isDue(fields, date)) continue;
    for (const wall of wallsOf(fields, date)) {
      if (wall <= start) continue;
      const at = momentOf(wall, zone);
      if (at !== undefined) found.push(at);
      if (found.length === many) break;
    }
  }
  return found;
}

/** Dates and weekdays that both restrict the day add up. */
function isDue({ dates, months, days }: CronFields, date: Date): boolean {
  if (!months.values.includes(date.getUTCMonth() + 1)) return false;
  const byDate = dates.values.includes(date.getUTCDate());
  const byDay = days.values.includes(date.getUTCDay());
  return dates.any || days.any ? byDate && byDay : byDate || byDay;
}

function* wallsOf({ hours, minutes }: CronFields, date: Date): Generator<string> {
  const day = date.toISOString().slice(0, 10);
  for (const hour of hours.values) for (const minute of minutes.values) yield `${day}T${pad(hour)}:${pad(minute)}`;
}

const pad = (value: number): string => String(value).padStart(2, "0");
