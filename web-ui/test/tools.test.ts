import { describe, expect, it } from "vitest";
import { diffLines, lineCounts } from "../app/fold/difference";
import { fileEdits, plainOutput, readInput, summary } from "../app/fold/tools";

describe("summary", () => {
  it("is one line that tells best what a call does", () => {
    const inputs = ['{"command":"ls -l\\nrm x"}', '{"command":"ls","description":"List"}', '{"pattern":"a","path":"src"}', '{"a":1}', "[]", "null", "{", undefined];
    expect(inputs.map(summary)).toEqual(["ls -l", "List", "a in src", "", "", "", "", ""]);
    expect(summary(JSON.stringify({ query: "x".repeat(500) }))).toHaveLength(120);
    expect(summary('{"command":"\\u001b[31mls"}')).toBe("ls");
  });
});

describe("an input that is cut", () => {
  const whole = JSON.stringify({ file_path: "/a", content: 'line "one"\nline two\\', more: [{ x: 1, y: "é" }] });

  it("is read as far as it goes, wherever it ends", () => {
    for (let length = 2; length < whole.length; length++) {
      const { value, cut } = readInput(`${whole.slice(0, length)}…`);
      expect([length, cut, typeof value]).toEqual([length, true, "object"]);
    }
    expect(readInput(`${whole.slice(0, whole.indexOf("\\nline"))}…`).value).toEqual({ file_path: "/a", content: 'line "one"' });
    expect(readInput(whole)).toEqual({ value: JSON.parse(whole), cut: false });
    expect(readInput("not json").value).toBeUndefined();
  });
});

describe("fileEdits", () => {
  it("are what the tools for files change", () => {
    const edit = JSON.stringify({ file_path: "/a", old_string: "x", new_string: "y" });
    expect(fileEdits("Edit", edit)).toEqual({ path: "/a", edits: [{ before: "x", after: "y" }], cut: false });
    expect(fileEdits("Write", '{"file_path":"/a","content":"c"}')?.edits).toEqual([{ before: "", after: "c" }]);
    const many = JSON.stringify({ file_path: "/a", edits: [{ old_string: "1", new_string: "2" }, { old_string: "3" }] });
    expect(fileEdits("MultiEdit", many)?.edits).toEqual([{ before: "1", after: "2" }]);
    expect([fileEdits("Read", edit), fileEdits("Edit", '{"file_path":"/a","old_string":"x"}'), fileEdits("Edit", "[]"), fileEdits("Write", undefined)]).toEqual([
      undefined, undefined, undefined, undefined,
    ]);
  });

  it("say that the daemon has cut them", () => {
    expect(fileEdits("Write", '{"file_path":"/a","content":"begin…')).toEqual({ path: "/a", edits: [{ before: "", after: "begin" }], cut: true });
  });
});

describe("plainOutput", () => {
  it.each([
    ["\u001b[1;31mred\u001b[0m plain", "red plain"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;javascript:alert(1)\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["10 %\r50 %\r100 %\ndone", "100 %\ndone"],
    ["longer line\rshort", "shortr line"],
    ["a\r\nb", "a\nb"],
    ["tab\there\u0000\u0008", "tab\there"],
    ["\u001b[?25l\u001b[2K\u001b(Bx", "x"],
    ["", ""],
  ])("%j", (output, plain) => expect(plainOutput(output)).toBe(plain));
});

describe("diffLines", () => {
  it("shows what came and went, with a little around", async () => {
    const before = Array.from({ length: 20 }, (_, n) => `line ${n}`);
    const lines = await diffLines(before.join("\n"), before.with(10, "other").join("\n"));
    expect(lines.map((line) => (line.kind === "gap" ? `gap ${line.count}` : `${line.kind} ${line.text}`))).toEqual([
      "gap 7", "same line 7", "same line 8", "same line 9", "removed line 10", "added other", "same line 11", "same line 12", "same line 13", "gap 6",
    ]);
    expect(lineCounts(lines)).toEqual({ added: 1, removed: 1 });
    expect(lineCounts(await diffLines("", "a\nb\n"))).toEqual({ added: 2, removed: 0 });
    expect(await diffLines("", "")).toEqual([]);
  });
});
