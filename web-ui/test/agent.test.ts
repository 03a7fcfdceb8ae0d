import { describe, expect, it } from "vitest";
import { draftOf, editOf, fieldOf, otherKeys, settingsOf } from "../app/agent/draft";
import { attention, holderOf, isBroken, remark, settingRows, toApprove } from "../app/agent/standing";
import type { Agent, Note } from "../app/api";

const NOTE: Note = {
  id: "n1",
  content: "You build.\n",
  metadata: {
    name: "eng", modle: "opus", max_turns: 3, wants: ["env:github", "mcp:linear"], mounts: [{ hostPath: "/a" }], vault_tools: false,
    status: "error", status_detail: "…", pending: "", paused: true, pause_reason: "x", defined_by: "agent:ops",
  },
};
const AGENT: Agent = { name: "eng", status: "idle", waiting: 0, cost_usd: 0, prompt_preview: "" };

describe("the form of a definition", () => {
  const opened = draftOf(NOTE);

  it("shows what the note says, as text, without what the daemon writes", () => {
    expect(opened).toEqual({
      name: "eng", prompt: "You build.\n",
      settings: { modle: "opus", max_turns: "3", wants: "env:github mcp:linear", mounts: '[{"hostPath":"/a"}]', vault_tools: "false" },
    });
    expect(otherKeys(opened)).toEqual(["modle"]);
    expect(draftOf({ id: "n" })).toEqual({ name: "", prompt: "", settings: {} });
  });

  it("sends only what was changed, in the shape that it had", () => {
    const edit = (settings: Record<string, string>) => editOf({ ...opened, settings: { ...opened.settings, ...settings } }, opened, NOTE);
    expect(edit({})).toEqual({});
    expect(edit({ model: "", modle: " " })).toEqual({ metadata: { modle: null } });
    expect(edit({ max_turns: " 5 ", model: "opus" })).toEqual({ metadata: { max_turns: 5, model: "opus" } });
    expect(edit({ max_turns: "many", budget_day_usd: "5" })).toEqual({ metadata: { max_turns: "many", budget_day_usd: 5 } });
    expect(edit({ wants: "env:github,env:jira  " })).toEqual({ metadata: { wants: ["env:github", "env:jira"] } });
    expect(edit({ vault_tools: "true", mounts: '[{"hostPath":"/b"}]' })).toEqual({ metadata: { vault_tools: true, mounts: [{ hostPath: "/b" }] } });
    expect(edit({ mounts: "[{" })).toEqual({ metadata: { mounts: "[{" } });
    expect(editOf({ ...opened, name: " ops ", prompt: "" }, opened, NOTE)).toEqual({ prompt: "", metadata: { name: "ops" } });
    // A role is replaced whole, so it has to be the one that was read.
    const dated = { ...NOTE, updatedAt: "2026-01-05T10:00:00Z" };
    expect(editOf({ ...opened, prompt: "x" }, opened, dated)).toEqual({ prompt: "x", if_updated_at: dated.updatedAt });
  });

  it("has a field for each key of the note and each that it knows", () => {
    expect(["name", "model", "modle", "content", "tags", "hue"].map((key) => fieldOf(key, opened))).toEqual(["name", "model", "modle", "prompt", undefined, undefined]);
  });

  it("of an agent that is made sends what was filled in", () => {
    expect(settingsOf({ model: " ", max_turns: "4", wants: "env:github", vault_tools: "false" })).toEqual({ max_turns: 4, wants: "env:github", vault_tools: false });
  });
});

describe("an agent", () => {
  it("is the one that holds a name, not a note that claims it", () => {
    const claims: Agent = { ...AGENT, status: "error", note_id: "n2", problems: [{ key: "name", message: "is taken" }] };
    const duplicate: Agent = { ...AGENT, status: "error", note_id: "n3" };
    expect(holderOf([claims, duplicate, AGENT], "eng")).toBe(AGENT);
    expect(holderOf([claims, duplicate], "eng")).toBe(duplicate);
    expect(holderOf([claims], "eng")).toBe(claims);
    expect(holderOf([AGENT], "ops")).toBeUndefined();
    expect(holderOf(undefined, "eng")).toBeUndefined();
  });

  it("calls for a person where its definition is broken or a connection waits", () => {
    const broken: Agent = { ...AGENT, problems: [{ key: "mode", message: "x" }, { key: "model", message: "y" }] };
    expect([isBroken(AGENT), isBroken(broken)]).toEqual([false, true]);
    expect([attention(AGENT), attention(broken)]).toEqual([undefined, "Its definition has 2 problems"]);
    const connections = ["pending", "approved", "needs_consent", "revoked", "error"].map((status) => ({ key: status, kind: "service", target: "x", status }));
    expect(toApprove({ ...AGENT, connections }).map(({ key }) => key)).toEqual(["pending", "needs_consent"]);
    expect(toApprove(AGENT)).toEqual([]);
  });

  it("has a remark where that says more than its problems and warnings", () => {
    const detail = "modle: is not read";
    const warnings = [{ key: "modle", message: "is not read" }];
    const problems = [{ key: "mode", message: "x" }];
    const connections = [{ key: "env:x", kind: "service", target: "x", status: "pending" }];
    const told = [{}, { warnings }, { problems }, { warnings, connections }].map((more) => remark({ ...AGENT, status_detail: detail, ...more }));
    expect(told).toEqual([detail, undefined, undefined, detail]);
    expect(remark(AGENT)).toBeUndefined();
  });

  it("tells its settings, those nearest to it first", () => {
    expect(
      settingRows({
        max_turns: { value: null, from: "default" },
        timeout_idle: { value: "5m", from: "configuration" },
        model: { value: "opus", from: "definition" },
        wants: { value: ["a", "b"], from: "definition" },
        vault_tools: { value: false, from: "elsewhere" },
        session: { value: { a: 1 }, from: "thread" },
      }),
    ).toEqual([
      { key: "session", value: '{"a":1}', from: "thread" },
      { key: "model", value: "opus", from: "definition" },
      { key: "wants", value: "a b", from: "definition" },
      { key: "timeout_idle", value: "5m", from: "configuration" },
      { key: "max_turns", value: "", from: "default" },
      { key: "vault_tools", value: "false", from: "elsewhere" },
    ]);
    expect(settingRows(undefined)).toEqual([]);
  });
});
