import { describe, expect, it } from "vitest";
import type { Message } from "../app/api";
import { BLOCK, blocks, withNewest, withOlder } from "../app/fold/pages";
import { firstUnread } from "../app/unread";

const page = (...numbers: number[]): Message[] =>
  numbers.map((n) => ({ id: `m${n}`, text: "", direction: "inbound", at: new Date(n * 1_000).toISOString() }));
const ids = (messages: readonly Message[]): string => messages.map((message) => message.id).join(" ");

describe("pages", () => {
  it("join: the newest takes its own part's place, and older ones go before", () => {
    let known = withNewest(undefined, page(5, 6), "c1");
    known = withOlder(known, page(3, 4, 5), "c2");
    expect([ids(known.messages), known.older]).toEqual(["m3 m4 m5 m6", "c2"]);
    known = withNewest(known, page(6, 7), "c9");
    expect([ids(known.messages), known.older]).toEqual(["m3 m4 m5 m6 m7", "c2"]);
  });

  it("leave no gap: after too much at once the older ones are let go", () => {
    const known = withNewest(withNewest(undefined, page(1, 2), null), page(8, 9), "c8");
    expect([ids(known.messages), known.older]).toEqual(["m8 m9", "c8"]);
    expect(withNewest(known, [], null).messages).toEqual([]);
  });
});

describe("blocks", () => {
  const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => ({ key: `r${from + n}` }));

  it("hold every row once, in order, and stay the same when older rows come before", () => {
    const before = blocks(rows(100, 300), "r299");
    const after = blocks(rows(0, 300), "r299");
    expect(after.flatMap((block) => block.rows)).toEqual(rows(0, 300));
    const whole = before.filter((block) => block.rows.length === BLOCK);
    for (const block of whole) expect(after).toContainEqual(block);
    expect(new Set(after.map((block) => block.key)).size).toBe(after.length);
  });

  it("begin at the front when their anchor is gone", () => {
    expect(blocks(rows(0, 3), "x").flatMap((block) => block.rows)).toEqual(rows(0, 3));
    expect(blocks([], undefined)).toEqual([]);
  });
});

describe("firstUnread", () => {
  it("is the first message since the reader was here, and none for who comes for the first time", () => {
    expect(firstUnread(page(1, 2, 3), 1_500)?.id).toBe("m2");
    expect([firstUnread(page(1, 2), NaN), firstUnread(page(1, 2), 2_000), firstUnread([], 0)]).toEqual([undefined, undefined, undefined]);
  });
});
