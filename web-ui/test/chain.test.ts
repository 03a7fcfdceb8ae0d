import { describe, expect, it } from "vitest";
import { placeAfter } from "../app/components/queue/place";
import { type ChainNode, chainTotals, chainTree } from "../app/fold/chain";
import type { MessageNote, TurnBrief } from "../app/turns";

const note = (id: string, agent: string, second: number, metadata: Record<string, unknown> = {}): MessageNote => ({
  id, createdAt: `2026-01-01T00:00:0${second}Z`, preview: `text ${id}`, metadata: { agent, ...metadata },
});
const turn = (message: string, channel: string, more: Partial<TurnBrief> = {}): TurnBrief => ({
  turn: `t-${message}`, channel, vault: "v", message, text: null, sender: null, thread: "a", state: "ok", held: false, chain: "m1", delegation_depth: 0,
  accepted_at: "", claimed_at: null, settled_at: null, cost_usd: 0.5, ...more,
});
const outline = (nodes: readonly ChainNode[]): string =>
  nodes.map((node) => `${node.agent}${node.callback ? "*" : ""}${node.children.length > 0 ? `(${outline(node.children)})` : ""}`).join(" ");

describe("chainTree", () => {
  it("puts what a turn handed on below it, and reports below what they report", () => {
    const notes = [
      note("m4", "boss", 5, { callback: "true", source_channel: "eng", sender: "callback:eng", chain_id: "m1" }),
      note("m1", "boss", 1),
      note("m2", "eng", 2, { delegated_by: "t-m1", sender: "agent:boss", chain_id: "m1" }),
      note("m3", "doc", 3, { delegated_by: "t-m1", sender: "agent:boss", chain_id: "m1" }),
    ];
    const turns = [turn("m1", "boss"), turn("m2", "eng"), turn("m3", "doc")];
    const tree = chainTree("m1", notes, turns);
    expect(outline(tree)).toBe("boss(eng(boss*) doc)");
    expect(chainTotals(tree)).toEqual({ turns: 3, cost: 1.5 });
  });

  it("stands notes that name each other, or a first message that is gone", () => {
    expect(outline(chainTree("gone", [note("a", "x", 1, { sender: "agent:y" })], []))).toBe("x");
    const circle = [note("a", "x", 1, { delegated_by: "t-b" }), note("b", "y", 1, { delegated_by: "t-a" })];
    expect(chainTree("a", circle, [turn("a", "x"), turn("b", "y")])).toHaveLength(1);
    expect(chainTree("a", [], [])).toEqual([]);
  });
});

describe("placeAfter", () => {
  const line = ["a", "b", "c", "d"].map((id) => turn(id, "eng", { state: "waiting" }));
  const other = turn("x", "eng", { state: "waiting", thread: "other" });
  const place = (index: number, by: number) => placeAfter([other, ...line], line[index] as TurnBrief, by);

  it("is told as the daemon wants it, within the conversation", () => {
    expect([place(1, -1), place(0, 1), place(0, 2), place(0, 3), place(3, -Infinity)]).toEqual(["first", { before: "t-c" }, { before: "t-d" }, "last", "first"]);
    expect([place(0, -1), place(3, 1), placeAfter(line, other, 1)]).toEqual([undefined, undefined, undefined]);
  });
});
