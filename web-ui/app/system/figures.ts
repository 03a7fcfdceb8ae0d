/** Figures of the last days: what they come to in a sentence, and where they stand in a chart. Pure. */
import { cost, duration, plural } from "../format";
import type { DayFigures, Outcome, Statistics } from "./api";

export const RANGES = [7, 14, 30] as const;
export type Range = (typeof RANGES)[number];

export interface Series {
  name: string;
  /** Its colour and pattern in the style sheet. */
  tone: string;
  /** One for each day; null where there is none. */
  values: readonly (number | null)[];
}

export interface Chart {
  id: string;
  /** What it is about. */
  name: string;
  /** What it comes to. */
  gist: string;
  /** Bars stand on each other; lines do not. */
  kind: "bars" | "lines";
  series: readonly Series[];
  /** Ends of the scale, from 0: the last is the top. */
  ticks: readonly number[];
  text: (value: number) => string;
}

const OUTCOMES: readonly { outcome: Outcome; name: string }[] = [
  { outcome: "ok", name: "Succeeded" },
  { outcome: "error", name: "Failed" },
  { outcome: "interrupted", name: "Interrupted" },
  { outcome: "cancelled", name: "Stopped" },
];

export const turnsOf = ({ turns }: DayFigures): number => OUTCOMES.reduce((sum, { outcome }) => sum + turns[outcome], 0);

/** `Thu 26 Nov`; a day of the zone is named without one. */
export function dayName(day: string): string {
  const date = new Date(`${day}T12:00:00Z`);
  return Number.isNaN(date.getTime()) ? day : date.toLocaleDateString([], { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
}

export function chartsOf({ days }: Statistics): Chart[] {
  return [turns(days), failures(days), spans(days, "duration", "How long turns took", (day) => day.duration_ms), spans(days, "wait", "How long messages waited", (day) => day.wait_ms), costs(days)];
}

function turns(days: readonly DayFigures[]): Chart {
  const series = OUTCOMES.map(({ outcome, name }) => ({ name, tone: outcome, values: days.map((day) => day.turns[outcome]) }));
  const all = days.map(turnsOf);
  const total = sum(all);
  const most = peak(days, all);
  const gist = total === 0 ? "No turns in these days." : `${plural(total, "turn")}${days.length > 1 && most ? `, the most on ${dayName(most.day)}: ${most.value}` : ""}.`;
  return { id: "turns", name: "Turns by outcome", gist, kind: "bars", series, ticks: ticksOf(Math.max(0, ...all), COUNTS), text: String };
}

function failures(days: readonly DayFigures[]): Chart {
  const values = days.map((day) => day.failures);
  const [failed, total] = [sum(values), sum(days.map(turnsOf))];
  const most = peak(days, values);
  const share = total > 0 ? Math.round((failed / total) * 100) : 0;
  const gist =
    total === 0 ? "No turns in these days." : failed === 0 ? `None of ${plural(total, "turn")} failed or was interrupted.` : `${failed} of ${plural(total, "turn")} failed or ${failed === 1 ? "was" : "were"} interrupted, ${share < 1 ? "under 1" : share} %${most ? `; the most on ${dayName(most.day)}: ${most.value}` : ""}.`;
  return { id: "failures", name: "Failures", gist, kind: "bars", series: [{ name: "Failed or interrupted", tone: "error", values }], ticks: ticksOf(Math.max(0, ...values), COUNTS), text: String };
}

/** Percentiles of days cannot be put together to those of all: the last day that has some is told. */
function spans(days: readonly DayFigures[], id: string, name: string, of: (day: DayFigures) => DayFigures["duration_ms"]): Chart {
  const last = days.findLast((day) => of(day) !== null);
  const at = last ? of(last) : null;
  const gist = last && at ? `${dayName(last.day)}: half ${upTo(at.p50)}, 19 of 20 ${upTo(at.p95)}.` : "No turns in these days.";
  const series = [
    { name: "Half of them up to", tone: "p50", values: days.map((day) => of(day)?.p50 ?? null) },
    { name: "19 of 20 up to", tone: "p95", values: days.map((day) => of(day)?.p95 ?? null) },
  ];
  return { id, name, gist, kind: "lines", series, ticks: ticksOf(Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0))), SPANS), text: span };
}

const upTo = (ms: number): string => (ms < 50 ? "under 0.1 s" : `up to ${duration(ms)}`);

function costs(days: readonly DayFigures[]): Chart {
  const values = days.map((day) => day.cost_usd);
  const total = sum(values);
  const most = peak(days, values);
  const gist = total === 0 ? "Nothing was spent in these days." : `${cost(total)} in ${plural(days.length, "day")}${days.length > 1 && most ? `, the most on ${dayName(most.day)}: ${cost(most.value)}` : ""}.`;
  return { id: "cost", name: "Cost", gist, kind: "bars", series: [{ name: "Cost", tone: "cost", values }], ticks: ticksOf(Math.max(0, ...values), MONEY), text: money };
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function peak(days: readonly DayFigures[], values: readonly number[]): { day: string; value: number } | undefined {
  const value = Math.max(...values);
  const day = days[values.indexOf(value)]?.day;
  return day !== undefined && value > 0 ? { day, value } : undefined;
}

/** Steps of a scale: each value may be one. */
type Steps = (roughly: number) => number;

const DECIMAL: Steps = (roughly) => {
  const power = 10 ** Math.floor(Math.log10(roughly));
  return power * ([1, 2, 5, 10].find((by) => by * power >= roughly) ?? 10);
};
const COUNTS: Steps = (roughly) => Math.max(1, DECIMAL(roughly));
const MONEY: Steps = (roughly) => Math.max(0.01, DECIMAL(roughly));
const NICE_SPANS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200].map((s) => s * 1_000);
const SPANS: Steps = (roughly) => NICE_SPANS.find((step) => step >= roughly) ?? DECIMAL(roughly / 3_600_000) * 3_600_000;

/** From 0 in at most four round steps to where the highest value has room. */
export function ticksOf(highest: number, steps: Steps): number[] {
  const step = steps(highest > 0 ? highest / 4 : 1);
  const count = Math.max(1, Math.ceil(highest / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, index) => rounded(index * step));
}

/** Without what adding tenths leaves behind. */
const rounded = (value: number): number => Number(value.toPrecision(12));

/** Times at the side of a chart need no seconds beside minutes. */
function span(ms: number): string {
  if (ms === 0) return "0";
  if (ms < 60_000) return `${rounded(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${rounded(Math.round(ms / 6_000) / 10)} min`;
  return `${rounded(Math.round(ms / 360_000) / 10)} h`;
}

function money(usd: number): string {
  if (usd === 0) return "$0";
  return usd >= 10 ? `$${Math.round(usd)}` : `$${usd.toFixed(2)}`;
}

/** What stands in the table of a chart. */
export function exact({ kind, id, text }: Chart, value: number | null): string {
  if (value === null) return "none";
  if (kind === "lines") return duration(value);
  return id === "cost" ? cost(value) : text(value);
}
