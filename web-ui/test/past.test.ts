import { describe, expect, it } from "vitest";
import { turnOf } from "../app/past";

const at = "2026-01-05T10:00:00Z";
const EVENTS = [
  { kind: "started", attempt: 1, at },
  { kind: "tool", id: "b", tool: "Bash", input: "{}", at },
  { kind: "text_delta", text: "Half", at },
];

describe("turnOf", () => {
  it("is the turn as it was watched, whatever its events say of themselves", () => {
    const done = { kind: "done", reply: "Whole.", cost_usd: 0.5, at, seq: 1, turn: "another", channel: "x" };
    const turn = turnOf({ turn: "t", complete: true, cut: false, events: [...EVENTS, { kind: "text", text: "Whole.", at }, done] }, "eng", "m");
    expect(turn).toMatchObject({ id: "t", message: "m", state: "ok", reply: "Whole.", costUsd: 0.5 });
    expect(turn.steps.map(({ kind }) => kind)).toEqual(["tool", "text"]);
  });

  it("that was cut off ends as its message says, or as one that was interrupted; what is left out is told", () => {
    const turn = turnOf({ turn: "t", complete: true, cut: true, events: EVENTS }, "eng", "m");
    expect(turn.state).toBe("interrupted");
    expect(turn.steps.map(({ kind }) => kind)).toEqual(["notice", "tool", "text"]);
    expect(turn.steps.at(-1)).toEqual({ kind: "text", text: "Half", streaming: false });
    const nothing = turnOf({ turn: "t", complete: true, cut: false, events: [] }, "eng", "m");
    expect(nothing).toMatchObject({ id: "t", state: "interrupted", steps: [{ kind: "notice" }] });
  });
});
