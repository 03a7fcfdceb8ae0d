/** A cron expression in words. Pure; the daemon alone judges whether an expression is good. */

export interface Field {
  /** Nothing but `*`. */
  any: boolean;
  /** `n` of `*` with a step of `n`. */
  every?: number;
  values: readonly number[];
}

const MACROS: Record<string, string> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
};
const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/** More times of day than this are told by their hours and minutes. */
const TIMES_TOLD = 6;

export interface CronFields {
  minutes: Field;
  hours: Field;
  dates: Field;
  months: Field;
  days: Field;
}

/** `undefined` when the expression cannot be read. */
export function cronFields(expression: string): CronFields | undefined {
  const tokens = (MACROS[expression.trim()] ?? expression).trim().split(/\s+/);
  if (tokens.length !== RANGES.length) return undefined;
  const [minutes, hours, dates, months, days] = RANGES.map(([low, high], index) => field(tokens[index] ?? "", low, high));
  return minutes && hours && dates && months && days ? { minutes, hours, dates, months, days } : undefined;
}

/** `undefined` when the expression cannot be read. */
export function cronInWords(expression: string): string | undefined {
  const fields = cronFields(expression);
  if (!fields) return undefined;
  const { minutes, hours, dates, months, days } = fields;
  const when = timesOf(minutes, hours);
  const day = daysOf(dates, days, months);
  // "Every 15 minutes" needs no "every day" beside it.
  const words = when.often && day.every ? [when.text] : when.often ? [when.text, day.text] : [day.text, when.text];
  const text = words.filter(Boolean).join(when.often ? ", " : " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function field(token: string, low: number, high: number): Field | undefined {
  const values = new Set<number>();
  for (const part of token.split(",")) {
    const match = /^(?:(\*)|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!match) return undefined;
    const [, all, first, last, by] = match;
    const from = all ? low : Number(first);
    const to = last === undefined ? (all || by ? high : from) : Number(last);
    const step = by === undefined ? 1 : Number(by);
    if (from < low || to > high || from > to || step < 1) return undefined;
    for (let value = from; value <= to; value += step) values.add(value);
  }
  const every = /^\*\/(\d+)$/.exec(token)?.[1];
  return { any: token === "*", ...(every ? { every: Number(every) } : {}), values: [...values].sort((a, b) => a - b) };
}

/** When in a day. `often` where it is an interval rather than times of day. */
function timesOf(minutes: Field, hours: Field): { text: string; often: boolean } {
  const allHours = hours.values.length === 24;
  const interval = everyMinutes(minutes);
  if (interval) return { text: allHours ? interval : `${interval} ${during(hours)}`, often: true };
  const past = minutes.values;
  if (hours.every && hours.every > 1 && 24 % hours.every === 0) {
    return { text: `every ${hours.every} hours${past.length === 1 && past[0] === 0 ? "" : ` at ${list(past.map(colon))}`}`, often: true };
  }
  if (allHours) return { text: past.length === 1 && past[0] === 0 ? "every hour" : `every hour at ${list(past.map(colon))}`, often: true };
  const range = run(hours.values);
  if (range && hours.values.length > 3 && past.length === 1) {
    const [from, to] = range.map((hour) => clock(hour, past[0] ?? 0));
    return { text: `every hour from ${from} to ${to}`, often: true };
  }
  if (past.length * hours.values.length > TIMES_TOLD) return { text: `at ${list(past.map(colon))} ${during(hours)}`, often: true };
  return { text: `at ${list(hours.values.flatMap((hour) => past.map((minute) => clock(hour, minute))))}`, often: false };
}

function everyMinutes({ values, every }: Field): string | undefined {
  if (values.length === 60) return "every minute";
  return every && 60 % every === 0 && every < 60 ? `every ${every} minutes` : undefined;
}

function during(hours: Field): string {
  const range = run(hours.values);
  if (range && range[0] !== range[1]) return `from ${clock(range[0], 0)} to ${clock(range[1], 59)}`;
  const [only] = hours.values;
  if (hours.values.length === 1 && only !== undefined) return `from ${clock(only, 0)} to ${clock(only, 59)}`;
  return `in the hours ${list(hours.values.map(pad))}`;
}

/** Two fields that both restrict the day add up; a field restricts when it is anything but `*`. */
function daysOf(dates: Field, days: Field, months: Field): { text: string; every: boolean } {
  const inMonths = months.values.length === 12 ? "" : ` in ${list(months.values.map((month) => MONTHS[month - 1] ?? ""))}`;
  const everyDay = (dates.any && days.any) || (!dates.any && dates.values.length === 31) || (!days.any && days.values.length === 7);
  if (everyDay) return { text: `every day${inMonths}`, every: inMonths === "" };
  const parts = [];
  if (!dates.any) parts.push(datesText(dates, inMonths));
  if (!days.any) parts.push(weekdays(days.values));
  return { text: `${parts.join(" and also ")}${inMonths}`, every: false };
}

function datesText(dates: Field, inMonths: string): string {
  const range = run(dates.values);
  const which =
    range && dates.values.length > 2 ? `days ${range[0]} to ${range[1]}` : `${dates.values.length === 1 ? "day" : "days"} ${list(dates.values.map(String))}`;
  return `on ${which} of ${inMonths ? "the month" : "every month"}`;
}

function weekdays(values: readonly number[]): string {
  const range = run(values);
  const named = (day: number): string => DAYS[day] ?? "";
  if (range && values.length > 2) return `${named(range[0])} to ${named(range[1])}`;
  // A week begins on Monday here.
  const sorted = [...values].sort((a, b) => ((a + 6) % 7) - ((b + 6) % 7));
  return `every ${list(sorted.map(named))}`;
}

/** The ends of values that follow each other. */
function run(values: readonly number[]): [number, number] | undefined {
  const [first] = values;
  const last = values.at(-1);
  if (first === undefined || last === undefined || last - first !== values.length - 1) return undefined;
  return [first, last];
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

const pad = (value: number): string => String(value).padStart(2, "0");
const colon = (minute: number): string => `:${pad(minute)}`;
const clock = (hour: number, minute: number): string => `${pad(hour)}:${pad(minute)}`;
