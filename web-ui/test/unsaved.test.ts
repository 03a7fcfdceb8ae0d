import { describe, expect, it, vi } from "vitest";
import { changedParts, type Draft, draftOf, editOf, HIDDEN, isSecret, merged } from "../app/agent/draft";
import { decide, onTopOf, undecided, type Unsaved } from "../app/agent/unsaved";
import { told } from "../app/components/definition/verdictFields";
import type { Note } from "../app/api";

const BASE: Draft = { name: "eng", prompt: "Do it.", settings: { model: "opus", egress: "a.org" } };

describe("a change that is not saved", () => {
  it("is laid over what others have changed meanwhile", () => {
    const mine: Draft = { ...BASE, prompt: "Do it well." };
    const theirs: Draft = { ...BASE, settings: { ...BASE.settings, model: "sonnet", max_turns: "5" } };
    expect(merged(mine, BASE, theirs)).toEqual({ draft: { ...theirs, prompt: "Do it well." }, taken: ["model", "max_turns"], both: [] });
    expect(changedParts(BASE, BASE)).toEqual([]);
  });

  it("asks where both have changed the same, until that is decided; neither is lost", () => {
    const unsaved: Unsaved = { draft: { ...BASE, prompt: "Mine." }, base: BASE, open: true };
    const theirs: Draft = { ...BASE, prompt: "Theirs.\n" };
    const laid = onTopOf(unsaved, theirs).unsaved;
    expect(undecided(laid, theirs)).toEqual(["prompt"]);
    // Reading it once more asks once more.
    expect(undecided(onTopOf(laid, theirs).unsaved, theirs)).toEqual(["prompt"]);
    const by = (choice: "mine" | "theirs" | "both") => decide(laid, theirs, "prompt", choice);
    expect([by("mine"), by("theirs"), by("both")].map(({ draft }) => draft.prompt)).toEqual(["Mine.", "Theirs.\n", "Theirs.\n\nMine."]);
    for (const choice of ["mine", "theirs", "both"] as const) expect(undecided(by(choice), theirs)).toEqual([]);
    // Who wrote the same has nothing to decide.
    expect(undecided(onTopOf(unsaved, { ...BASE, prompt: "Mine." }).unsaved, { ...BASE, prompt: "Mine." })).toEqual([]);
  });

  it("outlives the page, and says nothing of a store that something else has written", async () => {
    localStorage.clear();
    const first = await import("../app/agent/unsaved");
    first.keep("v/n", { draft: { ...BASE, prompt: "x" }, base: BASE, open: false });
    vi.resetModules();
    const second = await import("../app/agent/unsaved");
    expect(second.unsavedParts(second.unsavedOf("v/n"))).toEqual(["prompt"]);
    second.drop("v/n");
    expect(second.unsavedOf("v/n")).toBeUndefined();
    expect(localStorage.length).toBe(0);
    localStorage.setItem("reveille:definition:v/m", '{"draft": 3}');
    expect(second.unsavedOf("v/m")).toBeUndefined();
  });
});

describe("a value that looks like a secret", () => {
  const note: Note = { id: "n", updatedAt: "2026-01-01T00:00:00Z", metadata: { name: "eng", api_key: "sk-1", GH_TOKEN: "ghp", max_turns: 3, status: "enabled" } };

  it("is not shown, not kept, and can be taken out", () => {
    const draft = draftOf(note);
    expect(JSON.stringify(draft)).not.toMatch(/sk-1|ghp/);
    expect(draft.settings.api_key).toBe(HIDDEN);
    expect(editOf(draft, draft, note)).toEqual({});
    const without = editOf({ ...draft, settings: { ...draft.settings, api_key: "" } }, draft, note);
    expect(without).toEqual({ metadata: { api_key: null }, if_updated_at: note.updatedAt });
    expect(["model", "max_turns", "wants", "egress", "keep_warm", "timeout_idle"].filter(isSecret)).toEqual([]);
  });
});

describe("what the daemon says of a form", () => {
  const none = { problems: [], warnings: [] };
  const bad = (key: string, message = "no"): { key: string; message: string } => ({ key, message });

  it("stands at its fields, once, and the newest counts", () => {
    const verdict = { ok: false, problems: [bad("max_turns"), bad("tags")], warnings: [bad("model", "odd")], lowered: [{ key: "network", asked: "open", got: "proxied", reason: "why" }], settings: {} };
    const found = told({ state: "checked", verdict }, [bad("max_turns"), bad("name", "taken")], none, BASE, new Set(["name"]));
    expect([...found.problems.fields]).toEqual([["max_turns", ["no"]]]);
    expect(found.problems.rest).toEqual([bad("tags")]);
    expect([...found.warnings.fields]).toEqual([["model", ["odd"]], ["network", ["It would get proxied instead: why"]]]);
  });

  it("is what it said of the note, before it was asked", () => {
    const before = { problems: [bad("mode"), bad("model")], warnings: [] };
    expect([...told({ state: "unknown" }, [], before, BASE, new Set(["mode"])).problems.fields.keys()]).toEqual(["model"]);
    const verdict = { ok: true, problems: [], warnings: [], lowered: [], settings: {} };
    expect(told({ state: "checked", verdict }, [], before, BASE, new Set()).problems.fields.size).toBe(0);
  });
});
