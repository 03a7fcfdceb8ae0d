/** What tool calls of Claude Code say, for people. Pure. */

/** Text that a tool call replaces in a file; `before` is empty where a file is written whole. */
export interface Edit {
  before: string;
  after: string;
}

export interface FileEdits {
  path: string;
  edits: readonly Edit[];
  /** The daemon shows the beginning of a long input; what stands behind it is not here. */
  cut: boolean;
}

/** The changes that an Edit, MultiEdit or Write makes; `undefined` for another tool, or when the input does not tell. */
export function fileEdits(tool: string, input: string | undefined): FileEdits | undefined {
  if (!input || !["Edit", "MultiEdit", "Write", "NotebookEdit"].includes(tool)) return undefined;
  const { value, cut } = readInput(input);
  const path = text(value, "file_path") ?? text(value, "notebook_path");
  if (path === undefined) return undefined;
  const edits = tool === "MultiEdit" ? list(value, "edits").map(editOf) : tool === "Edit" ? [editOf(value)] : [wholeOf(value)];
  const known = edits.filter((edit) => edit !== undefined);
  return known.length > 0 ? { path, edits: known, cut } : undefined;
}

function editOf(value: unknown): Edit | undefined {
  const before = text(value, "old_string");
  const after = text(value, "new_string");
  // Half an edit would look like one that removes everything.
  return before === undefined || after === undefined ? undefined : { before, after };
}

function wholeOf(value: unknown): Edit | undefined {
  const after = text(value, "content") ?? text(value, "new_source");
  return after === undefined ? undefined : { before: "", after };
}

/** A tool's input, also one that ends in the middle of its JSON with `…`. */
export function readInput(input: string): { value: unknown; cut: boolean } {
  try {
    return { value: JSON.parse(input), cut: false };
  } catch {
    return { value: closeJson(input.replace(/…$/, "")), cut: true };
  }
}

/** The value of JSON that ends too early, as far as it goes; `undefined` when it is something else. */
function closeJson(json: string): unknown {
  const open: string[] = [];
  let inString = false;
  let end = json.length;
  for (let at = 0; at < end; at++) {
    const char = json[at];
    if (inString) {
      const escape = char === "\\" ? (json[at + 1] === "u" ? 6 : 2) : 0;
      // Half an escape is left out.
      if (at + escape > json.length) end = at;
      else if (escape > 0) at += escape - 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") open.push("}");
    else if (char === "[") open.push("]");
    else if (char === "}" || char === "]") open.pop();
  }
  const closing = open.reverse().join("");
  const whole = inString ? `${json.slice(0, end)}"` : json.replace(/[,:\s]+$/, "");
  for (const attempt of [whole + closing, `${whole}:null${closing}`, `${whole.replace(/,?\s*"[^"]*"$/, "")}${closing}`]) {
    try {
      return JSON.parse(attempt);
    } catch {
      // The next way of closing it.
    }
  }
  return undefined;
}

function text(value: unknown, key: string): string | undefined {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return typeof found === "string" ? found : undefined;
}

function list(value: unknown, key: string): readonly unknown[] {
  const found = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  return Array.isArray(found) ? found : [];
}

/** The fields of a tool's input that tell best what it does, best first. */
const TELLING = ["description", "command", "file_path", "notebook_path", "pattern", "path", "query", "url", "prompt", "name"];

/** One line on what a tool call does; empty when the input tells nothing. */
export function summary(input: string | undefined): string {
  if (!input) return "";
  const { value } = readInput(input);
  const key = TELLING.find((name) => text(value, name)?.trim());
  const line = key ? oneLine(text(value, key) ?? "") : "";
  const where = key === "pattern" ? (text(value, "path") ?? text(value, "glob")) : undefined;
  return where ? `${line} in ${oneLine(where)}` : line;
}

const LINE_MAX = 120;

function oneLine(words: string): string {
  const line = plainOutput(words).trim().split("\n", 1)[0] ?? "";
  return line.length > LINE_MAX ? `${line.slice(0, LINE_MAX - 1)}…` : line;
}

/** Commands for a terminal: colours, cursor movements, titles, links. */
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\|$)|[PX^_][^\u001b]*(?:\u001b\\|$)|[ -/]*[0-~])|\u009b[0-?]*[ -/]*[@-~]/g;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202d\u202e]/g;

/** What a terminal would show in the end: without its commands, and with the last state of a line that was written over. */
export function plainOutput(output: string): string {
  const words = output.replace(ESCAPES, "").replace(/\r\n/g, "\n");
  const lines = words.includes("\r") ? words.split("\n").map(lastState).join("\n") : words;
  return lines.replace(CONTROLS, "");
}

function lastState(line: string): string {
  return line.split("\r").reduce((shown, next) => next + shown.slice(next.length), "");
}
