import { describe, expect, it } from "vitest";
import { between, cost, count, duration, elapsed, pieces, pretty } from "../app/format";

describe("numbers", () => {
  it("are short", () => {
    expect([0, 420, 9_960, 12_900, 65_000, 3_720_000].map(duration)).toEqual(["< 0.1 s", "0.4 s", "10.0 s", "12 s", "1 min 05 s", "1 h 02 min"]);
    expect([0, 900, 9_999, 61_000].map(elapsed)).toEqual(["0 s", "0 s", "9 s", "1 min 01 s"]);
    expect([0, 0.00123, 0.5, 12].map(cost)).toEqual(["$0", "$0.0012", "$0.50", "$12.00"]);
    expect([0, 9_999, 12_345, 250_000].map(count)).toEqual(["0", "9999", "12.3k", "250k"]);
  });

  it("never run backwards", () => {
    expect([between("2026-01-01T00:00:02Z", "2026-01-01T00:00:01Z"), between(undefined, 5), between("x", "y")]).toEqual([0, 0, 0]);
  });
});

describe("tool inputs", () => {
  it("are laid out when they are JSON", () => {
    expect(pretty('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(pretty("not json")).toBe("not json");
  });
});

describe("pieces", () => {
  it("break at lines, else at words, else anywhere, and lose nothing", () => {
    expect(pieces("ab\ncd\nef", 5)).toEqual(["ab", "cd\nef"]);
    expect(pieces("ab cd ef", 5)).toEqual(["ab ", "cd ef"]);
    expect(pieces("abcdefg", 5)).toEqual(["abcde", "fg"]);
    expect(pieces("", 5)).toEqual([]);
  });
});
