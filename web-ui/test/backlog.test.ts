import { describe, expect, it } from "vitest";
import type { TurnEvent } from "../app/api";
import { Backlog } from "../app/backlog";

const event = (seq: number, more: Record<string, unknown>): TurnEvent =>
  ({ seq, channel: "eng", turn: "t1", message: "m1", at: "2026-01-05T10:00:00Z", ...more }) as unknown as TurnEvent;
const seqs = (backlog: Backlog, channel: string): number[] => backlog.of(channel).map(([, { seq }]) => seq);

describe("Backlog", () => {
  it("has what runs of one agent, in order, and nothing of what has ended", () => {
    const backlog = new Backlog();
    backlog.add("b", event(1, { kind: "started", attempt: 1 }));
    backlog.add("b", event(2, { kind: "queued", turn: "t2", position: 1, text: "x" }));
    backlog.add("b", event(3, { kind: "started", channel: "ops", turn: "t3", attempt: 1 }));
    backlog.add("b", event(4, { kind: "notice", text: "x" }));
    expect([seqs(backlog, "eng"), seqs(backlog, "ops"), seqs(backlog, "writer")]).toEqual([[1, 2, 4], [3], []]);
    backlog.add("b", event(5, { kind: "done", reply: "x" }));
    expect(seqs(backlog, "eng")).toEqual([2]);
    backlog.clear();
    expect(seqs(backlog, "ops")).toEqual([]);
  });

  it("takes an event in once, begins anew with another run of the daemon, and has no pieces of a text that is whole", () => {
    const backlog = new Backlog();
    for (const seq of [1, 2, 2, 1]) backlog.add("b", event(seq, { kind: "text_delta", text: "x" }));
    expect(seqs(backlog, "eng")).toEqual([1, 2]);
    backlog.add("b", event(3, { kind: "text", text: "inner", parent: "t" }));
    backlog.add("b", event(4, { kind: "text", text: "xx" }));
    expect(seqs(backlog, "eng")).toEqual([3, 4]);
    backlog.add("c", event(1, { kind: "started", attempt: 1 }));
    expect(backlog.of("eng").map(([boot]) => boot)).toEqual(["c"]);
  });
});
