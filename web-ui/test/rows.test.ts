import { describe, expect, it } from "vitest";
import type { Message } from "../app/api";
import { NOTHING } from "../app/fold/live";
import { type Row, rowsOf } from "../app/fold/rows";
import { at, events, foldAll } from "./events";

const ask = (id: string, second: number, more: Partial<Message> = {}): Message => ({
  id, text: `ask ${id}`, direction: "inbound", sender: "ann", at: at(second), state: "ok", turn: `turn-${id}`, ...more,
});
const answer = (to: string, second: number, more: Partial<Message> = {}): Message => ({
  id: `re-${to}`, text: `answer ${to}`, direction: "outbound", at: at(second), in_reply_to: to, turn: `turn-${to}`, ...more,
});

/** The rows in short: what is shown, in order. */
function outline(rows: readonly Row[]): string[] {
  return rows.map((row) => {
    if (row.kind === "message") {
      const marks = [row.message.kind, row.message.undelivered && row.message.direction === "outbound" ? "undelivered" : undefined, row.state];
      return [row.message.id, ...marks.flatMap((mark) => (mark ? [`[${mark}]`] : []))].join(" ");
    }
    const steps = row.steps.map((step) => (step.kind === "text" ? step.text : step.kind));
    return `turn ${row.turn.state}: ${[...steps, ...(row.reply === undefined ? [] : [`reply ${row.reply}`])].join(", ")}`;
  });
}

describe("rowsOf", () => {
  it("puts each answer behind what it answers, and waiting messages last", () => {
    const messages = [ask("a", 1), ask("b", 2), ask("c", 3, { state: "waiting" }), answer("a", 4), answer("b", 5)];
    expect(outline(rowsOf(messages, NOTHING))).toEqual(["a [ok]", "re-a", "b [ok]", "re-b", "c [waiting]"]);
  });

  it("finds an answer's message by the turn, and leaves other outbound messages in their time", () => {
    const messages = [ask("a", 1), answer("zz", 2, { turn: "turn-zz" }), answer("a", 3, { in_reply_to: null })];
    expect(outline(rowsOf(messages, NOTHING))).toEqual(["a [ok]", "re-a", "re-zz"]);
  });

  it("keeps the running turn in its place while others wait", () => {
    const live = foldAll(events([{ kind: "started", attempt: 1 }, { kind: "text_delta", text: "Hm" }], "turn-a", "a"));
    const messages = [ask("a", 1, { state: "working" }), ask("b", 2, { state: "waiting" })];
    expect(outline(rowsOf(messages, live))).toEqual(["a", "turn working: Hm", "b [waiting]"]);
  });

  it("shows a watched turn by its steps, not twice when its note arrives", () => {
    const live = foldAll(
      events(
        [
          { kind: "text", text: "First." },
          { kind: "tool", id: "x", tool: "Bash" },
          { kind: "text", text: "answer a" },
          { kind: "done", reply: "First.\n\nanswer a" },
        ],
        "turn-a",
        "a",
      ),
    );
    const expected = ["a", "turn ok: First., tool, answer a"];
    expect(outline(rowsOf([ask("a", 1)], live))).toEqual(expected);
    expect(outline(rowsOf([ask("a", 1), answer("a", 9, { text: "First.\nanswer a\n" })], live))).toEqual(expected);
  });

  it("shows the note when the steps do not say the same", () => {
    const live = foldAll(events([{ kind: "tool", id: "x", tool: "Bash" }, { kind: "text", text: "half" }, { kind: "done", reply: "half" }], "turn-a", "a"));
    expect(outline(rowsOf([ask("a", 1), answer("a", 9)], live))).toEqual(["a", "turn ok: tool, reply answer a"]);
  });

  it("shows a failure once", () => {
    const failed = answer("a", 9, { kind: "failure", text: "No login." });
    const message = ask("a", 1, { state: "error" });
    const live = foldAll(events([{ kind: "started", attempt: 1 }, { kind: "error", error: "No login.", code: "auth" }], "turn-a", "a"));
    expect(outline(rowsOf([message, failed], live))).toEqual(["a", "turn error: "]);
    expect(outline(rowsOf([message, failed], NOTHING))).toEqual(["a", "re-a [failure]"]);
    expect(outline(rowsOf([message], NOTHING))).toEqual(["a [error]"]);
  });

  it("shows a reply that only the daemon has, marked, in its place", () => {
    const kept = ask("a", 1, { undelivered: true, reply: "kept a", ended_at: at(7) });
    const rows = rowsOf([kept, ask("b", 2, { state: "waiting" })], NOTHING);
    expect(outline(rows)).toEqual(["a [ok]", "a kept [undelivered]", "b [waiting]"]);
    expect(rows[1]).toMatchObject({ message: { text: "kept a", at: at(7), in_reply_to: "a" } });
    // As soon as its note is there, that is shown.
    expect(outline(rowsOf([kept, answer("a", 9)], NOTHING))).toEqual(["a [ok]", "re-a"]);
    // A watched turn shows it by itself.
    const live = foldAll(events([{ kind: "text", text: "kept a" }, { kind: "done", reply: "kept a", undelivered: true }], "turn-a", "a"));
    expect(outline(rowsOf([kept], live))).toEqual(["a", "turn ok: kept a"]);
  });

  it("shows a failure that only the daemon has, once", () => {
    const error = { code: "auth", message: "No login.", next_step: "Sign in." };
    const kept = ask("a", 1, { state: "error", undelivered: true, error, ended_at: at(7) });
    const rows = rowsOf([kept], NOTHING);
    expect(outline(rows)).toEqual(["a", "a kept [failure] [undelivered]"]);
    expect(rows[1]).toMatchObject({ message: { text: "No login.\n\nSign in." } });
    const live = foldAll(events([{ kind: "error", error: "No login.", code: "auth", undelivered: true }], "turn-a", "a"));
    expect(outline(rowsOf([kept], live))).toEqual(["a", "turn error: "]);
  });

  it("shows a watched turn with the files of its note", () => {
    const live = foldAll(events([{ kind: "text", text: "answer a" }, { kind: "done", reply: "answer a" }], "turn-a", "a"));
    const files = [{ id: "f", name: "report.txt", mime: "text/plain", size_bytes: 6, url: "vault/default/api/storage/x" }];
    const of = (...notes: Message[]) => rowsOf([ask("a", 1), ...notes], live).flatMap((row) => (row.kind === "turn" ? [row.files] : []));
    expect(of()).toEqual([undefined]);
    expect(of(answer("a", 2, { attachments: [] }))).toEqual([undefined]);
    expect(of(answer("a", 2, { attachments: files }))).toEqual([files]);
  });

  it("shows a turn that ended unseen by its messages alone", () => {
    const live = { boot: "b", turns: [{ id: "turn-a", seq: 1, message: "a", state: "ok", steps: [] }] } as const;
    expect(outline(rowsOf([ask("a", 1), answer("a", 2)], live))).toEqual(["a [ok]", "re-a"]);
  });

  it("shows a message that arrived since the load", () => {
    const live = foldAll(events([{ kind: "queued", position: 1, text: "new", sender: "bob" }], "turn-n", "n", 50));
    const rows = rowsOf([ask("a", 1)], live);
    expect(rows.at(-1)).toEqual({
      kind: "message",
      key: "n",
      state: "waiting",
      message: { id: "n", direction: "inbound", turn: "turn-n", state: "waiting", text: "new", sender: "bob", at: at(50) },
    });
  });
});
