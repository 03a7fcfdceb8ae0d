import { describe, expect, it } from "vitest";
import { placeAfter } from "../app/place";
import { type ChainNode, chainTotals, chainTree } from "../app/fold/chain";
import type { TurnBrief } from "../app/turns";

const turn = (message: string, channel: string, more: Partial<TurnBrief> = {}): TurnBrief => ({
  turn: `t-${message}`, channel, vault: "v", message, text: null, sender: null, thread: "a", state: "ok", held: false, chain: "m1", delegation_depth: 0,
  accepted_at: "", claimed_at: null, settled_at: null, cost_usd: 0.5, ...more,
});
const at = (second: number): Partial<TurnBrief> => ({ accepted_at: `2026-01-01T00:00:0${second}Z` });
const by = (agent: string, message: string): Partial<TurnBrief> => ({ delegated_by: { agent, turn: `t-${message}` } });
const outline = (nodes: readonly ChainNode[]): string =>
  nodes.map((node) => `${node.turn.channel}${node.callback ? "*" : ""}${node.children.length > 0 ? `(${outline(node.children)})` : ""}`).join(" ");

describe("chainTree", () => {
  it("puts what a turn handed on below it, and reports below what they report", () => {
    const tree = chainTree([
      turn("m4", "boss", { ...at(5), sender: "callback:eng", ...by("eng", "m2") }),
      turn("m1", "boss", at(1)),
      turn("m2", "eng", { ...at(2), ...by("boss", "m1") }),
      turn("m3", "doc", { ...at(3), ...by("boss", "m1") }),
    ]);
    expect(outline(tree)).toBe("boss(eng(boss*) doc)");
    expect(chainTotals(tree)).toEqual({ turns: 4, cost: 2 });
  });

  it("knows from the one who asked what the other does not say", () => {
    const children = [{ agent: "eng", turn: "t-m2", state: "ok" as const, cost_usd: 0 }];
    expect(outline(chainTree([turn("m2", "eng", at(2)), turn("m1", "boss", { ...at(1), children })]))).toBe("boss(eng)");
  });

  it("shows turns that name each other, and those whose first one is gone", () => {
    expect(outline(chainTree([turn("a", "x", by("y", "gone"))]))).toBe("x");
    expect(outline(chainTree([turn("a", "x", { ...at(1), ...by("y", "b") }), turn("b", "y", { ...at(2), ...by("x", "a") })]))).toBe("x(y)");
    expect(chainTree([])).toEqual([]);
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
