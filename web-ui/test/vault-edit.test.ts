import { describe, expect, it } from "vitest";
import { afterSaving, type Base, changedWords, changesOf, clashes, type Edit, editOf, isChanged, metadataOf, NEW, newNote, onTop, properties, read, recast, type Row, same, tagOf, wrongs, written } from "../app/vault/edit";

const BASE: Base = {
  id: "n1", updatedAt: "2026-01-01T00:00:00.000Z", path: "a/b", content: "text", tags: ["x", "y"],
  metadata: { name: "ann", rooms: 3, urgent: true, parts: ["a", { b: 1 }], nothing: null, empty: "" },
};
const edit = (more: Partial<Edit> = {}): Edit => ({ ...editOf(BASE), ...more });
const withRow = (key: string, more: Partial<Row>): Edit => edit({ rows: editOf(BASE).rows.map((row) => (row.key === key ? { ...row, ...more } : row)) });
const without = (key: string): Edit => edit({ rows: editOf(BASE).rows.filter((row) => row.key !== key) });
const added = (key: string, text: string): Edit => edit({ rows: [...editOf(BASE).rows, { id: 99, key, kind: "text", text }] });
const theirs = (more: Partial<Base>): Base => ({ ...BASE, updatedAt: "2026-01-02T00:00:00.000Z", ...more });

describe("values", () => {
  it("come back as they were, whatever their kind", () => {
    for (const value of ["", "text", "3", "true", 3, -0.5, true, false, null, [], {}, ["a", 1, null], { a: { b: [1] } }]) expect(read(written(value))).toEqual({ value });
  });

  it("that cannot be read are told, and never guessed", () => {
    for (const text of ["", " ", "three", "1 2", "NaN", "Infinity"]) expect(read({ kind: "number", text })).toHaveProperty("wrong");
    for (const text of ["", "{", "a", "[1,"]) expect(read({ kind: "json", text })).toHaveProperty("wrong");
  });

  it("become another kind with what was typed", () => {
    const row = (kind: Row["kind"], text: string): Row => ({ id: 1, key: "k", kind, text });
    expect(recast(row("text", "12"), "number").text).toBe("12");
    expect(recast(row("text", "yes"), "switch").text).toBe("true");
    expect(recast(row("text", "[1]"), "json").text).toBe("[1]");
    expect(recast(row("text", "a word"), "json").text).toBe('"a word"');
    expect(recast(row("json", '"a word"'), "text").text).toBe("a word");
    expect(recast(row("json", "[1,"), "text").text).toBe("[1,");
    expect(recast(recast(row("text", "kept"), "nothing"), "text").text).toBe("kept");
  });
});

describe("an edit", () => {
  it("that changes nothing is none", () => {
    expect(changesOf(edit(), BASE)).toBeUndefined();
    expect(isChanged(edit(), BASE)).toBe(false);
    expect(isChanged(edit({ rows: [...edit().rows, { id: 9, key: "", kind: "text", text: "" }] }), BASE)).toBe(false);
    expect(isChanged(withRow("rooms", { text: "many" }), BASE)).toBe(true);
  });

  it("says only what differs", () => {
    expect(changesOf(edit({ content: "other" }), BASE)).toEqual({ content: "other" });
    expect(changesOf(edit({ path: " " }), BASE)).toEqual({ path: null });
    expect(changesOf(edit({ tags: ["y", "z"] }), BASE)).toEqual({ tags: { add: ["z"], remove: ["x"] } });
    expect(changesOf(withRow("rooms", { text: "4" }), BASE)).toEqual({ metadata: { rooms: 4 } });
    expect(changesOf(withRow("rooms", { kind: "text" }), BASE)).toEqual({ metadata: { rooms: "3" } });
    expect(changesOf(withRow("rooms", { key: "halls" }), BASE)).toEqual({ metadata: { halls: 3 }, remove_metadata: ["rooms"] });
    expect(changesOf(without("nothing"), BASE)).toEqual({ remove_metadata: ["nothing"] });
    expect(changesOf(withRow("parts", { text: '[ "a", {"b":1} ]' }), BASE)).toBeUndefined();
  });

  it("with a value that cannot be read takes its key neither away nor along", () => {
    expect(changesOf(withRow("rooms", { text: "many" }), BASE)).toBeUndefined();
  });

  it("is checked before it is sent", () => {
    expect([...wrongs(edit())]).toEqual([]);
    expect(wrongs(withRow("rooms", { text: "many" })).get("row 1")).toContain("no number");
    expect(wrongs(added("name", "bob")).get("row 99")).toBe("There is a key name already.");
    expect(wrongs(added("", "value")).get("row 99")).toBe("It needs a key.");
    expect(wrongs(edit({ content: " ", path: "" })).get("content")).toBe("A note needs text or a path.");
  });

  it("of a new note is the note", () => {
    expect(newNote({ ...editOf(NEW), content: "c", path: " p ", tags: ["t"], rows: [{ id: 0, key: " k ", kind: "number", text: "1" }] })).toEqual({ content: "c", path: "p", tags: ["t"], metadata: { k: 1 } });
    expect(newNote({ ...editOf(NEW), content: "c" })).toEqual({ content: "c", tags: [], metadata: {} });
  });
});

describe("a save", () => {
  const saved = theirs({ content: "mine", metadata: { ...BASE.metadata, by: "eng" } });
  it("leaves the form as it is when nothing else has changed, else takes what was saved", () => {
    const sent = edit({ content: "mine" });
    expect(afterSaving(sent, sent, theirs({ content: "mine" }))).toBe(sent);
    expect(metadataOf(afterSaving(sent, sent, saved).rows)).toEqual(saved.metadata);
  });

  it("keeps what was written while it was under way", () => {
    const sent = edit({ content: "mine" });
    const now = { ...sent, content: "mine, and more", tags: ["x"] };
    const after = afterSaving(now, sent, saved);
    expect([after.content, after.tags, metadataOf(after.rows)]).toEqual(["mine, and more", ["x"], saved.metadata]);
    expect(changesOf(after, saved)).toEqual({ content: "mine, and more", tags: { add: [], remove: ["y"] } });
  });
});

describe("two who change the same note", () => {
  it("do not clash where they change different things, or the same to the same", () => {
    expect(clashes(edit({ content: "mine" }), BASE, theirs({ metadata: { ...BASE.metadata, rooms: 9 }, tags: ["x"] }))).toEqual([]);
    expect(clashes(edit({ content: "same" }), BASE, theirs({ content: "same" }))).toEqual([]);
    expect(clashes(without("rooms"), BASE, theirs({ metadata: Object.fromEntries(Object.entries(BASE.metadata).filter(([key]) => key !== "rooms")) }))).toEqual([]);
  });

  it("clash in the text, the path, a key, and a key that one of them took away", () => {
    expect(clashes(edit({ content: "mine", path: "mine" }), BASE, theirs({ content: "theirs", path: "theirs" }))).toEqual(["the text", "the path"]);
    expect(clashes(withRow("rooms", { text: "4" }), BASE, theirs({ metadata: { ...BASE.metadata, rooms: 5 } }))).toEqual(["the key rooms"]);
    expect(clashes(without("rooms"), BASE, theirs({ metadata: { ...BASE.metadata, rooms: 5 } }))).toEqual(["the key rooms"]);
    expect(clashes(added("new", "mine"), BASE, theirs({ metadata: { ...BASE.metadata, new: "theirs" } }))).toEqual(["the key new"]);
  });

  it("are put on top of each other without losing what one of them alone has changed", () => {
    const mine = { ...withRow("rooms", { text: "4" }), content: "mine", tags: ["x", "z"] };
    const merged = onTop(mine, BASE, theirs({ content: "theirs", path: "moved", tags: ["x", "y", "w"], metadata: { ...BASE.metadata, rooms: 9, name: "bob", extra: 1 } }));
    expect([merged.content, merged.path, merged.tags]).toEqual(["mine", "moved", ["x", "w", "z"]]);
    expect(metadataOf(merged.rows)).toEqual({ ...BASE.metadata, rooms: 4, name: "bob", extra: 1 });
    expect(new Set(merged.rows.map(({ id }) => id)).size).toBe(merged.rows.length);
    // A key that they took away and this one changed is there again; one that this one made is there still.
    const { rooms: _, ...rest } = BASE.metadata;
    expect(metadataOf(onTop(withRow("rooms", { text: "4" }), BASE, theirs({ metadata: rest })).rows)).toEqual({ ...BASE.metadata, rooms: 4 });
    expect(metadataOf(onTop(added("new", "mine"), BASE, theirs({})).rows)).toEqual({ ...BASE.metadata, new: "mine" });
    expect(metadataOf(onTop(without("name"), BASE, theirs({})).rows)).not.toHaveProperty("name");
  });

  it("are told of in words", () => {
    expect(changedWords(BASE, theirs({ content: "x", tags: [], metadata: { ...BASE.metadata, rooms: 1, more: 2 } }))).toEqual(["the text", "the tags", "the metadata (rooms, more)"]);
    expect(properties(editOf({ ...BASE, metadata: { b: 1, a: ["x"] } }))).toBe('path: a/b\ntags: x, y\na: ["x"]\nb: 1');
  });
});

it("equal values are the same, in whatever order their keys stand", () => {
  expect(same({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toBe(true);
  for (const [one, other] of [[1, "1"], [null, undefined], [[], {}], [[1, 2], [2, 1]], ["", null]] as const) expect(same(one, other)).toBe(false);
});

it("tags are bare, and have no commas", () => {
  expect([tagOf(" ##a/b "), tagOf("a,b"), tagOf(" # "), tagOf("")]).toEqual(["a/b", "ab", undefined, undefined]);
});
