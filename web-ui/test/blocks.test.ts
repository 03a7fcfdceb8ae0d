import { describe, expect, it } from "vitest";
import { blocksOf, closedForNow } from "../app/fold/blocks";
import { toHtml } from "../app/markdown";

const TEXTS = [
  "",
  "one\n\ntwo\n\nthree",
  "# Head\n\nText with `code`.\n\n```js\nlet a;\n\nlet b;\n```\n\nAfter.",
  "1. one\n\n2. two\n\n   more of two\n\nNo list.",
  "- a\n- b\n\n- c\n\n> quote\n\n> goes on\n\nend",
  "~~~\n```\n\n~~~\n\nx",
  "````md\n```\n\n```\n\n````\n\nlast",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\nBehind the table.",
  "unclosed\n\n```\ncode\n\nstill code",
  "para\n\n    indented\n\nno more",
  "see [x]\n\n[x]: https://example.org\n\nend",
];

const squeeze = (html: string): string => String(html).replace(/\s+/g, " ").replace(/> </g, "><").trim();

describe("blocksOf", () => {
  it.each(TEXTS)("cuts where nothing changes its meaning: %j", (text) => {
    expect(squeeze(blocksOf(text).map(toHtml).join(""))).toBe(squeeze(toHtml(text)));
  });

  it("keeps every block but the last as it was when the text grows", () => {
    for (const text of TEXTS.slice(0, -1)) {
      for (let end = 1; end <= text.length; end++) {
        const before = blocksOf(text.slice(0, end)).slice(0, -1);
        expect(blocksOf(text).slice(0, before.length)).toEqual(before);
      }
    }
  });

  it("cuts what can be cut", () => {
    expect(blocksOf("one\n\ntwo\n\n```\na\n\nb\n```\n\nc")).toEqual(["one", "two", "```\na\n\nb\n```", "c"]);
  });
});

describe("closedForNow", () => {
  it.each([
    ["The cause is **an unwrapped ", "The cause is **an unwrapped**"],
    ["The cause is **an", "The cause is **an**"],
    ["The cause is **", "The cause is "],
    ["**Done** and `half a co", "**Done** and `half a co`"],
    ["A tick: `", "A tick: "],
    ["In `a ** b` it is code", "In `a ** b` it is code"],
    ["**All** is `closed`.", "**All** is `closed`."],
    ["```rust\nlet a = **b", "```rust\nlet a = **b"],
  ])("%j is shown as %j", (block, shown) => {
    expect(closedForNow(block)).toBe(shown);
  });
});
