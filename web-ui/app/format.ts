/** Numbers, times and tool inputs as short text for people. */

export function duration(ms: number): string {
  if (ms < 50) return "< 0.1 s";
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(Math.floor(seconds % 60))} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** As {@link duration}, in whole seconds: for a clock that ticks. */
export function elapsed(ms: number): string {
  return ms < 10_000 ? `${Math.floor(Math.max(0, ms) / 1000)} s` : duration(ms);
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** Time between two RFC 3339 instants, in milliseconds; 0 when either is no time. */
export function between(from: string | undefined, to: string | number): number {
  const ms = new Date(to).getTime() - new Date(from ?? "").getTime();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

export function cost(usd: number): string {
  if (usd === 0) return "$0";
  return usd < 0.1 ? `$${usd.toFixed(4)}` : `$${usd.toFixed(2)}`;
}

export function count(value: number): string {
  return value < 10_000 ? String(value) : `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
}

export function plural(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? "" : "s"}`;
}

/** `14:05` today, else with its date. */
export function time(at: string, now: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = new Date(now).toDateString() === date.toDateString();
  return today ? clock : `${date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${clock}`;
}

export function fullTime(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString();
}

/** A tool's input for reading: indented when it is JSON, else as it is. */
export function pretty(input: string): string {
  const value = parse(input);
  return value === undefined ? input : JSON.stringify(value, null, 2);
}

function parse(json: string | undefined): unknown {
  if (!json) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Cuts a text into pieces of at most `size`, at a line's or a word's end where there is one. */
export function pieces(text: string, size: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; ) {
    const part = text.slice(at, at + size);
    const rest = at + part.length < text.length;
    const end = rest ? Math.max(part.lastIndexOf("\n"), 0) || Math.max(part.lastIndexOf(" "), 0) : 0;
    const taken = end > 0 ? part.slice(0, end + 1) : part;
    parts.push(taken.endsWith("\n") ? taken.slice(0, -1) : taken);
    at += taken.length;
  }
  return parts;
}

/** A file's size. */
export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1_000).toFixed(size < 10_000 ? 1 : 0)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

/** Without the marks that make text run the other way whatever it says: with them `gnp.exe` looks like `exe.png`. */
export function unturned(text: string): string {
  return text.replace(/[\u202d\u202e]/g, "");
}
