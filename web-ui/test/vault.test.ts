import { beforeEach, describe, expect, it, vi } from "vitest";
import { ALL_NOTES, expression, notesQuery } from "../app/vault/api";
import { EVERYTHING, foldersIn, folderOf, hits, nameOf, trail, wordsOf } from "../app/vault/browse";
import { draftsIn, dropNoteDraft, keepNoteDraft, noteDraft, type NoteDraft, notKept } from "../app/vault/drafts";
import { editOf, NEW } from "../app/vault/edit";
import { followed, willDo } from "../app/vault/keep";
import { backlinks, linked, noteOf, pieces } from "../app/vault/links";

const at = (path: string | null) => ({ id: String(path), path, tags: [] });

describe("names and folders", () => {
  it("are those of the path, else of the first words", () => {
    expect(nameOf({ id: "1", path: "a/b/c", preview: "x" })).toBe("c");
    expect(nameOf({ id: "1", content: "# Title\n\ntext" })).toBe("Title");
    expect(nameOf({ id: "1", preview: "w ".repeat(100) })).toHaveLength(81);
    expect(nameOf({ id: "1", content: " " })).toBe("1");
    expect([folderOf("a/b/c"), folderOf("c"), folderOf(null)]).toEqual(["a/b", "", ""]);
    expect(trail("a/b")).toEqual([{ name: "a", path: "a" }, { name: "b", path: "a/b" }]);
  });

  it("count what is below, in the order of people", () => {
    const places = ["a/1", "a/b/2", "a/b/3", "a/b10/x", "a/b9/x", "top", null, "ab/1"].map(at);
    expect(foldersIn(places, "").map(({ name, count }) => [name, count])).toEqual([["a", 5], ["ab", 1]]);
    expect(foldersIn(places, "a")).toEqual([{ name: "b", path: "a/b", count: 2 }, { name: "b9", path: "a/b9", count: 1 }, { name: "b10", path: "a/b10", count: 1 }]);
    expect(foldersIn(places, "a/b")).toEqual([]);
  });

  it("stand before words that do not repeat them", () => {
    expect(wordsOf("# Roof The roof **leaks**; see [[A/B]], [[C|what]] and [x](https://e.org) - [x] `go`", "Roof")).toBe("The roof leaks; see A/B, what and x - [x] go");
    expect(wordsOf("plain_name stays 2 * 3", "x")).toBe("plain_name stays 2 * 3");
  });

  it("are marked where the search found them", () => {
    const marked = (text: string, search: string): string => hits(text, search).map(({ text: part, hit }) => (hit ? `<${part}>` : part)).join("");
    expect(marked("The roof and a Roofer, aroof", "roof")).toBe("The <roof> and a <Roof>er, aroof");
    expect(marked("a+b (c)", '"a" OR c*')).toBe("<a>+b (<c>)");
    expect(marked("text", " ( ")).toBe("text");
    expect(marked("Überall über", "über")).toBe("<Über>all <über>");
  });
});

describe("what is asked of a vault", () => {
  it("leaves out what it cannot do, and messages unless they are wanted", () => {
    const query = (more: Partial<typeof ALL_NOTES>, can = EVERYTHING) => Object.fromEntries(new URLSearchParams(notesQuery({ ...ALL_NOTES, ...more }, can)));
    expect(query({})).toEqual({ limit: "50", order_by: "updated_at", sort: "desc", exclude_tag: "agent/message" });
    expect(query({ text: "the roof", tags: ["a", "b"], folder: "x/y", messages: true })).toEqual({ limit: "50", search: "the roof*", sort: "desc", tag: "a,b", tag_match: "all", path_prefix: "x/y/" });
    expect(query({ tags: ["agent/message/inbound"] })).not.toHaveProperty("exclude_tag");
    expect(query({ text: "roof" }, { ...EVERYTHING, search: false, order_by: false })).toEqual({ limit: "50", sort: "desc", exclude_tag: "agent/message" });
  });

  it("finds words that begin so, and leaves expressions alone", () => {
    expect([expression(" two  words "), expression('"a b"'), expression("a AND b"), expression("a-b"), expression("über"), expression(" ")]).toEqual(["two words*", '"a b"', "a AND b", "a-b", "über*", ""]);
  });
});

describe("links in a text", () => {
  it("are found as they are written", () => {
    expect(pieces("see [[A/B]], ![[C#part|shown]] and [[ D ]]!")).toEqual([
      { text: "see " }, { target: "A/B", shown: "A/B" }, { text: ", " }, { target: "C", shown: "shown" }, { text: " and " }, { target: "D", shown: "D" }, { text: "!" },
    ]);
    expect(pieces("[[A#x]]")).toEqual([{ target: "A", shown: "A#x" }]);
    for (const text of ["[[]]", "[[#x]]", "[[a\nb]]", "[[a]", "[a]", "[[[]]]"]) expect(pieces(text)).toEqual([{ text }]);
  });

  it("lead to what the vault says that they mean, both ways", () => {
    const link = (sourceId: string, targetId: string, targetPath?: string, sourcePath?: string) => ({ sourceId, targetId, relationship: "wikilink", createdAt: "", targetPath: targetPath ?? null, sourcePath: sourcePath ?? null });
    const links = [link("me", "1", "A/B"), link("me", "2", "X/b"), link("3", "me", "Me", "From"), link("3", "me"), link("me", "me", "Me")];
    expect([noteOf("a/b", links, "me"), noteOf("B.md", links, "me"), noteOf("nowhere.md", links, "me"), noteOf("Me", links, "me")]).toEqual(["1", "1", "nowhere", "me"]);
    expect(linked(links, "me")).toEqual([{ id: "1", path: "A/B" }, { id: "2", path: "X/b" }]);
    expect(backlinks(links, "me").map(({ id }) => id)).toEqual(["3"]);
  });
});

describe("drafts", () => {
  const draft = (content: string): NoteDraft => ({ base: NEW, edit: { ...editOf(NEW), content }, at: "2026-01-01T00:00:00Z" });
  beforeEach(() => {
    for (const vault of ["v", "v/2"]) for (const id of draftsIn(vault)) dropNoteDraft(vault, id);
    localStorage.clear();
  });

  it("are kept by vault and note, and listed", () => {
    keepNoteDraft("v", "a/b", draft("one"));
    keepNoteDraft("v", "", draft("new"));
    keepNoteDraft("v/2", "a", draft("other"));
    expect([...draftsIn("v")].sort()).toEqual(["", "a/b"]);
    expect([noteDraft("v", "a/b")?.edit.content, noteDraft("v/2", "a")?.edit.content, noteDraft("v", "a")]).toEqual(["one", "other", undefined]);
    dropNoteDraft("v", "a/b");
    expect([draftsIn("v"), Object.keys(localStorage).length]).toEqual([[""], 2]);
  });

  it("of another window are seen, and rubbish is none", () => {
    const key = "reveille:note-draft:v/n";
    localStorage.setItem(key, JSON.stringify(draft("there")));
    dispatchEvent(new StorageEvent("storage", { key }));
    expect(noteDraft("v", "n")?.edit.content).toBe("there");
    for (const text of ["{", "null", "3", '{"edit":{}}', '{"at":"x","base":{"content":""},"edit":{"content":"x"}}']) {
      localStorage.setItem(key, text);
      dispatchEvent(new StorageEvent("storage", { key }));
      expect(noteDraft("v", "n")).toBeUndefined();
    }
  });

  it("that the browser does not take are there as long as the page is, which is told", () => {
    const complaint = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new Error("full");
    });
    keepNoteDraft("v", "n", draft("here"));
    expect([noteDraft("v", "n")?.edit.content, notKept.value, complaint.mock.calls.length]).toEqual(["here", true, 1]);
    dropNoteDraft("v", "n");
    expect([noteDraft("v", "n"), notKept.value]).toEqual([undefined, false]);
  });
});

describe("notes that Reveille follows", () => {
  const note = (tags: string[], metadata = {}, path: string | null = null) => ({ id: "n", path, tags, metadata });

  it("say what they are and lead to their place", () => {
    const of = (tags: string[], metadata = {}, path: string | null = null) => followed(note(tags, metadata, path), [])?.links[0]?.href;
    expect(of(["agent/definition"], {}, "Agents/eng")).toBe("#/agent/eng/definition");
    expect(followed(note(["agent/definition"], { name: "old" }), [{ name: "eng", note_id: "n", status: "idle", waiting: 0, cost_usd: 0, prompt_preview: "" }])?.what).toBe("This note defines the agent eng.");
    expect(of(["agent/job"], { channel: "eng" })).toBe("#/agent/eng/jobs");
    expect(of(["agent/thread"], { agent: "eng" })).toBe("#/agent/eng/threads");
    expect(of(["agent/role"], { name: "chief" })).toBe("#/role/chief");
    expect(of(["agent/message", "agent/message/outbound"], { agent: "eng" })).toBe("#/agent/eng/message/n");
    expect(followed(note(["agent/message/inbound"]), [])?.what).toBe("This note is a message.");
    expect(followed(note(["agent", "x"]), [])).toBeUndefined();
  });

  it("that are new say what they will do", () => {
    expect(willDo(["agent/message/inbound"], { agent: "eng" })).toContain("eng gets to work");
    expect(willDo(["agent/message/inbound"], { agent: 3 })).toContain("the key agent says");
    expect([willDo(["agent/definition"], {}), willDo(["agent/job"], {}), willDo(["x"], {})].map(Boolean)).toEqual([true, true, false]);
  });
});
