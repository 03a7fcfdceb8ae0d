/** Moments and zones of jobs, for people. Pure but for the browser's own zone. */

export function localZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** All zones that the browser knows; only its own when it is too old to tell. */
export function zones(): readonly string[] {
  return typeof Intl.supportedValuesOf === "function" ? ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")] : [localZone()];
}

/** The wall clock of a zone as `YYYY-MM-DDTHH:MM`; `undefined` for no moment, or a zone that nobody knows. */
export function wallClock(at: string | number, zone: string): string | undefined {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return undefined;
  let parts;
  try {
    parts = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
    }).formatToParts(date);
  } catch {
    return undefined;
  }
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? "";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
}

/**
 * A wall time of a zone as a moment with its offset, such as `2027-01-05T10:00:00+01:00`. Of a time that comes twice, the first;
 * `undefined` for one that a change of the clock leaves out.
 */
export function momentOf(wall: string, zone: string): string | undefined {
  const naive = Date.parse(`${wall}:00Z`);
  if (Number.isNaN(naive)) return undefined;
  // No zone is further from UTC than this, and no two changes of a clock are nearer to each other.
  const offsets = [-24, 24].flatMap((hours) => {
    const at = naive + hours * 3_600_000;
    const there = wallClock(at, zone);
    return there === undefined ? [] : [Date.parse(`${there}:00Z`) - at];
  });
  const found = [...new Set(offsets)].map((offset) => naive - offset).filter((at) => wallClock(at, zone) === wall);
  if (found.length === 0) return undefined;
  return `${wall}:00${offsetText(naive - Math.min(...found))}`;
}

function offsetText(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000);
  const pad = (value: number): string => String(value).padStart(2, "0");
  return `${ms < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`;
}

/** What a clock of the job's zone shows, where that is not what the reader's shows. */
export function elsewhere(at: string, zone: string | null | undefined): string | undefined {
  if (!zone) return undefined;
  const there = wallClock(at, zone);
  const here = wallClock(at, localZone());
  if (there === undefined || there === here) return undefined;
  const clock = there.slice(11);
  if (there.slice(0, 10) === here?.slice(0, 10)) return `${clock} in ${zone}`;
  const day = new Date(at).toLocaleDateString([], { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
  return `${day}, ${clock} in ${zone}`;
}

/** How far off a moment is, roughly. */
export function fromNow(at: string, now: number): string {
  const ms = new Date(at).getTime() - now;
  if (Number.isNaN(ms)) return "";
  if (ms <= 0) return "now";
  const minutes = Math.ceil(ms / 60_000);
  if (minutes < 60) return `in ${minutes} min`;
  const hours = Math.round(minutes / 60);
  if (hours < 48) return `in ${hours} h`;
  return `in ${Math.round(hours / 24)} days`;
}

/** A moment on the reader's clock, with its weekday; the year only where it is not this one. */
export function dayTime(at: string, now: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const year = date.getFullYear() === new Date(now).getFullYear() ? {} : ({ year: "numeric" } as const);
  const day = date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", ...year });
  return `${day}, ${date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
}
