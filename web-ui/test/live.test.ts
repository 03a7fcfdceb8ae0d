import { describe, expect, it } from "vitest";
import type { TurnEvent } from "../app/api";
import { bootOf, fold, forget, NOTHING, reconcile } from "../app/fold/live";
import { at, events, foldAll } from "./events";

const usage = { input_tokens: 10, output_tokens: 5, cache_read_tokens: 3, cache_write_tokens: 1 };

const WHOLE = events([
  { kind: "queued", position: 1, text: "Hello", sender: "ann" },
  { kind: "started", attempt: 1 },
  { kind: "init", session: "s", model: "opus" },
  { kind: "thinking", text: "Hm." },
  { kind: "text_delta", text: "Let " },
  { kind: "text_delta", text: "me see." },
  { kind: "text", text: "Let me see." },
  { kind: "tool", id: "a", tool: "Bash", input: '{"command":"ls"}' },
  { kind: "tool_result", id: "a", ok: true, preview: "x" },
  { kind: "text_delta", text: "Done" },
  { kind: "text", text: "Done." },
  { kind: "done", reply: "Let me see.\n\nDone.", usage, cost_usd: 0.25 },
]);

describe("fold", () => {
  it("makes one turn of its events", () => {
    expect(foldAll(WHOLE)).toEqual({
      boot: "b",
      turns: [
        {
          id: "t1",
          seq: 12,
          message: "m1",
          state: "ok",
          inbound: { text: "Hello", sender: "ann", at: at(1) },
          model: "opus",
          startedAt: at(2),
          endedAt: at(12),
          steps: [
            { kind: "thinking", text: "Hm." },
            { kind: "text", text: "Let me see.", streaming: false },
            { kind: "tool", id: "a", tool: "Bash", input: '{"command":"ls"}', at: at(8), steps: [], result: { ok: true, preview: "x", at: at(9) } },
            { kind: "text", text: "Done.", streaming: false },
          ],
          reply: "Let me see.\n\nDone.",
          usage,
          costUsd: 0.25,
        },
      ],
    });
  });

  it("never takes a turn back to waiting, however late it is told that it came", () => {
    const late = { kind: "queued", position: 1, text: "Hello" } as const;
    for (const [before, state] of [
      [{ kind: "stopped" }, "cancelled"],
      [{ kind: "done", reply: "Hi." }, "ok"],
      [{ kind: "error", error: "No login.", code: "auth" }, "error"],
      [{ kind: "started", attempt: 1 }, "working"],
    ] as const) {
      expect(foldAll(events([before, late])).turns[0]).toMatchObject({ state, inbound: { text: "Hello" } });
    }
    // An end that was only seen by the messages.
    const live = foldAll(events([late]));
    const message = { id: "m1", text: "Hello", direction: "inbound", at: at(1), state: "interrupted" } as const;
    const again = events([late, late]).slice(1);
    expect(foldAll(again, reconcile(live, [message])).turns[0]?.state).toBe("interrupted");
  });

  it("does not change what it was given", () => {
    let live = NOTHING;
    for (const event of WHOLE) {
      const copy = structuredClone(live);
      const next = fold(live, "b", event);
      expect(live).toEqual(copy);
      live = next;
    }
  });

  it("changes nothing by an event it has seen", () => {
    const half = foldAll(WHOLE.slice(0, 6));
    expect(foldAll(WHOLE.slice(0, 6), half)).toBe(half);
  });

  it("shows the same picture however often the connection is opened anew, at every point of the turn", () => {
    for (let cut = 0; cut <= WHOLE.length; cut++) {
      expect(foldAll(WHOLE, foldAll(WHOLE.slice(0, cut)))).toEqual(foldAll(WHOLE));
      expect(foldAll(WHOLE, forget(foldAll(WHOLE.slice(0, cut))))).toEqual(foldAll(WHOLE));
    }
  });

  it("settles streamed text in its place", () => {
    const streaming = foldAll(WHOLE.slice(0, 6)).turns[0]?.steps;
    expect(streaming?.at(-1)).toEqual({ kind: "text", text: "Let me see.", streaming: true });
    const settled = foldAll(WHOLE.slice(0, 7)).turns[0]?.steps;
    expect(settled).toEqual([streaming?.[0], { kind: "text", text: "Let me see.", streaming: false }]);
  });

  it("keeps text that was cut off by a stop or a failure", () => {
    for (const last of [{ kind: "stopped" }, { kind: "error", error: "No login.", code: "auth", next_step: "Sign in." }] as const) {
      const live = foldAll(events([{ kind: "started", attempt: 1 }, { kind: "text_delta", text: "Half" }, last]));
      expect(live.turns[0]?.steps).toEqual([{ kind: "text", text: "Half", streaming: false }]);
    }
  });

  it("tells what failed and what to do", () => {
    const live = foldAll(events([{ kind: "error", error: "No login.", code: "auth", next_step: "Sign in." }]));
    expect(live.turns[0]).toMatchObject({ state: "error", failure: { message: "No login.", code: "auth", nextStep: "Sign in." } });
    expect(live.turns[0]?.undelivered).toBeUndefined();
  });

  it("marks what is not delivered yet, until it is", () => {
    for (const end of [
      { kind: "done", reply: "Kept.", undelivered: true },
      { kind: "error", error: "No login.", code: "auth", undelivered: true },
    ] as const) {
      const kept = foldAll(events([end]));
      expect(kept.turns[0]?.undelivered).toBe(true);
      const late = foldAll(events([end, { kind: "delivered", note: "n" }]), kept);
      expect(late).toEqual({ ...kept, turns: [{ ...kept.turns[0], seq: 2, undelivered: undefined }] });
      expect(late.turns[0]).not.toHaveProperty("undelivered");
    }
  });

  it("makes no turn of a late delivery whose turn it has not seen", () => {
    expect(foldAll(events([{ kind: "delivered", note: "n" }])).turns).toEqual([]);
  });

  it("nests the work of sub-agents, however deep, and in whatever order its results come", () => {
    const live = foldAll(
      events([
        { kind: "tool", id: "task", tool: "Task" },
        { kind: "tool", id: "inner", tool: "Task", parent: "task" },
        { kind: "tool", id: "other", tool: "Read" },
        { kind: "text", text: "deep", parent: "inner" },
        { kind: "tool", id: "leaf", tool: "Grep", parent: "inner" },
        { kind: "tool_result", id: "other", ok: false, preview: "gone" },
        { kind: "tool_result", id: "leaf", parent: "inner", preview: "found" },
      ]),
    );
    expect(live.turns[0]?.steps).toEqual([
      {
        kind: "tool", id: "task", tool: "Task", at: at(1),
        steps: [
          {
            kind: "tool", id: "inner", tool: "Task", at: at(2),
            steps: [
              { kind: "text", text: "deep", streaming: false },
              { kind: "tool", id: "leaf", tool: "Grep", at: at(5), steps: [], result: { ok: true, preview: "found", at: at(7) } },
            ],
          },
        ],
      },
      { kind: "tool", id: "other", tool: "Read", at: at(3), steps: [], result: { ok: false, preview: "gone", at: at(6) } },
    ]);
  });

  it("does not lose work whose tool call it did not see", () => {
    const live = foldAll(
      events([
        { kind: "text", text: "orphan", parent: "unseen" },
        { kind: "tool_result", id: "x", tool: "Bash", ok: true, preview: "out" },
      ]),
    );
    expect(live.turns[0]?.steps).toEqual([
      { kind: "text", text: "orphan", streaming: false },
      { kind: "tool", id: "x", tool: "Bash", at: at(2), steps: [], result: { ok: true, preview: "out", at: at(2) } },
    ]);
  });

  it("takes a tool call that is told twice for one", () => {
    const live = foldAll(events([{ kind: "tool", id: "a", tool: "Bash" }, { kind: "tool", id: "a", tool: "Bash", input: "{}" }]));
    expect(live.turns[0]?.steps).toEqual([{ kind: "tool", id: "a", tool: "Bash", input: "{}", at: at(1), steps: [] }]);
  });

  it("counts retries in a row up on one line, and announces a new attempt", () => {
    const live = foldAll(
      events([
        { kind: "started", attempt: 1 },
        { kind: "retry", attempt: 1, max: 10, delay_ms: 500, status: 529, error: "overloaded" },
        { kind: "retry", attempt: 2, max: 10, delay_ms: 1000, error: "overloaded" },
        { kind: "text_delta", text: "cut off" },
        { kind: "started", attempt: 2 },
        { kind: "notice", text: "A new session was begun." },
      ]),
    );
    expect(live.turns[0]?.steps).toEqual([
      { kind: "retry", attempt: 2, max: 10, delayMs: 1000, error: "overloaded" },
      { kind: "notice", text: "Started again (attempt 2)." },
      { kind: "notice", text: "A new session was begun." },
    ]);
  });

  it("passes over kinds of a newer daemon, and goes on", () => {
    const [first] = events([{ kind: "started", attempt: 1 }]);
    const strange = { ...first, seq: 2, kind: "hologram" } as unknown as TurnEvent;
    expect(foldAll([first as TurnEvent, strange])).toMatchObject({ turns: [{ seq: 2, state: "working", steps: [] }] });
  });

  it("keeps turns apart", () => {
    const live = foldAll([
      ...events([{ kind: "started", attempt: 1 }], "t1", "m1", 1),
      ...events([{ kind: "queued", position: 1, text: "next" }], "t2", "m2", 2),
      ...events([{ kind: "stopped" }], "t1", "m1", 3),
    ]);
    expect(live.turns.map(({ id, state }) => [id, state])).toEqual([["t1", "cancelled"], ["t2", "waiting"]]);
  });

  it("follows a message that waits otherwise, and makes no turn of one that it did not see arrive", () => {
    const queued = events([
      { kind: "queued", position: 2, text: "old" },
      { kind: "waiting", position: 1, held: true, text: "new" },
    ]);
    expect(foldAll(queued)).toMatchObject({ turns: [{ state: "waiting", inbound: { text: "new" }, steps: [] }] });
    expect(foldAll(queued.slice(1)).turns).toEqual([]);
    // A quick worker may have started it before this was told.
    const late = foldAll([...queued.slice(0, 1), ...events([{ kind: "started", attempt: 1 }, { kind: "waiting", position: 0, held: false, text: "new" }], "t1", "m1", 2)]);
    expect(late).toMatchObject({ turns: [{ state: "working" }] });
  });

  it("bounds how many ended turns it keeps, and keeps the one that runs", () => {
    const many = Array.from({ length: 60 }, (_, n) => events([{ kind: "stopped" }], `t${n + 1}`, `m${n + 1}`, n + 2)).flat();
    const live = foldAll([...events([{ kind: "started", attempt: 1 }], "t0", "m0", 1), ...many]);
    expect(live.turns.map((turn) => turn.id)).toEqual(["t0", ...Array.from({ length: 50 }, (_, n) => `t${n + 11}`)]);
  });
});

describe("gaps and restarts", () => {
  it("rebuilds a running turn from the replay that follows a resync", () => {
    const before = foldAll(WHOLE.slice(0, 4));
    const after = foldAll(WHOLE.slice(0, 9), forget(before));
    expect(after).toEqual(foldAll(WHOLE.slice(0, 9)));
  });

  it("keeps ended turns through a resync", () => {
    expect(forget(foldAll(WHOLE)).turns).toEqual(foldAll(WHOLE).turns);
  });

  it("starts anew with the numbers of a restarted daemon", () => {
    const before = foldAll(WHOLE.slice(0, 9));
    const replay = events([{ kind: "started", attempt: 2 }, { kind: "text_delta", text: "Again" }], "t1", "m1", 1);
    const after = foldAll(replay, before, "b2");
    expect(after).toMatchObject({ boot: "b2", turns: [{ id: "t1", seq: 2, state: "working" }] });
    expect(after.turns[0]?.steps.at(-1)).toEqual({ kind: "text", text: "Again", streaming: true });
  });

  it("leaves ended turns as they were when the daemon restarts", () => {
    const ended = foldAll(WHOLE).turns[0];
    const after = foldAll([...WHOLE, ...events([{ kind: "started", attempt: 1 }], "t2", "m2", 20)], foldAll(WHOLE), "b2");
    expect(after.turns.map((turn) => ({ ...turn, seq: 0 }))[0]).toEqual({ ...ended, seq: 0 });
    expect(after.turns.map((turn) => turn.id)).toEqual(["t1", "t2"]);
  });

  it("ends a turn whose end was missed, by the loaded messages", () => {
    const running = foldAll(WHOLE.slice(0, 6));
    const message = { id: "m1", text: "Hello", direction: "inbound", at: at(1) } as const;
    expect(reconcile(running, [{ ...message, state: "working" }])).toBe(running);
    const ended = reconcile(running, [{ ...message, state: "interrupted" }]);
    expect(ended.turns[0]).toMatchObject({ state: "interrupted", steps: [{ kind: "thinking" }, { kind: "text", streaming: false }] });
  });

  it("learns from the messages what is not delivered, also when the event was missed", () => {
    const message = { id: "m1", text: "Hello", direction: "inbound", at: at(1), state: "ok" } as const;
    const ended = foldAll(WHOLE);
    expect(reconcile(ended, [message])).toBe(ended);
    const kept = reconcile(ended, [{ ...message, undelivered: true, reply: "Done." }]);
    expect(kept.turns[0]?.undelivered).toBe(true);
    expect(reconcile(kept, [message])).toEqual(ended);
    expect(reconcile(kept, [{ ...message, state: "working" }])).toBe(kept);
    const unseen = reconcile(foldAll(WHOLE.slice(0, 6)), [{ ...message, undelivered: true, reply: "Done." }]);
    expect(unseen.turns[0]).toMatchObject({ state: "ok", undelivered: true });
  });

  it("still takes in the end that arrives after the messages told it", () => {
    const message = { id: "m1", text: "Hello", direction: "inbound", at: at(1), state: "ok" } as const;
    const live = foldAll(WHOLE, reconcile(foldAll(WHOLE.slice(0, 11)), [message]));
    expect(live).toEqual(foldAll(WHOLE));
  });
});

describe("bootOf", () => {
  it("takes all before the last hyphen", () => {
    expect(["b-1", "0190-ab-12", "7", ""].map(bootOf)).toEqual(["b", "0190-ab", "", ""]);
  });
});
