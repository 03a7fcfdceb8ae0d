import { describe, expect, it } from "vitest";
import type { Agent } from "../app/api";
import { arranged, homeRows, inState, totals } from "../app/home";
import type { Job } from "../app/jobs/api";

const agent = (name: string, more: Partial<Agent> = {}): Agent => ({ name, status: "idle", waiting: 0, cost_usd: 0, prompt_preview: "", ...more });
const job = (channel: string, id: string, nextRunAt: string | null, more: Partial<Job> = {}): Job => ({
  id, noteId: id, channel, message: "m", schedule: { cron: "@daily" }, enabled: true, status: "enabled", nextRunAt, ...more,
});
const running = { turn: "t", since_at: "2026-01-05T12:00:00Z", message: "m" };
const ended = (ended_at: string): Partial<Agent> => ({ last_turn: { turn: "t", outcome: "ok", ended_at } });

const ALL = [
  agent("a10", { ...ended("2026-01-05T11:00:00Z"), cost_today_usd: 1 }),
  agent("a9", { status: "working", running, waiting: 1, ...ended("2026-01-05T09:00:00Z") }),
  agent("late", { status: "paused", running, prompt_preview: "You write Release notes." }),
  agent("bad", { problems: [{ key: "mode", message: "x" }], cost_usd: 3 }),
  agent("wait", { status: "queued", waiting: 2, cost_today_usd: 0.5 }),
];
const JOBS = [
  job("a10", "later", "2026-01-07T00:00:00Z"),
  job("a10", "first", "2026-01-06T00:00:00Z"),
  job("bad", "off", "2026-01-05T00:00:00Z", { enabled: false }),
  job("late", "broken", "2026-01-05T00:00:00Z", { status: "error" }),
  job("wait", "done", null),
  job("a9", "soon", "2026-01-05T13:00:00+02:00"),
];
const order = (...how: [Parameters<typeof arranged>[1], string?, Parameters<typeof arranged>[3]?]): string[] =>
  arranged(homeRows(ALL, JOBS), how[0], how[1] ?? "", how[2] ?? "all").map((row) => row.agent.name);

describe("home", () => {
  it("has of each agent its newest activity and the next job that will run", () => {
    const rows = homeRows(ALL, JOBS);
    expect(rows.map((row) => row.next?.id)).toEqual(["first", "soon", undefined, undefined, undefined]);
    expect(rows.map((row) => row.activeAt)).toEqual(["2026-01-05T11:00:00Z", running.since_at, running.since_at, undefined, undefined]);
  });

  it("is put in order, by name where nothing else decides", () => {
    expect(order("name")).toEqual(["a9", "a10", "bad", "late", "wait"]);
    expect(order("state")).toEqual(["bad", "a9", "wait", "late", "a10"]);
    expect(order("activity")).toEqual(["a9", "late", "a10", "bad", "wait"]);
    expect(order("next")).toEqual(["a9", "a10", "bad", "late", "wait"]);
    expect(order("cost")).toEqual(["a10", "wait", "bad", "a9", "late"]);
  });

  it("is filtered by words and by state", () => {
    expect(order("name", "  RELEASE notes")).toEqual(["late"]);
    expect(order("name", "a1")).toEqual(["a10"]);
    expect(order("name", "release a1")).toEqual([]);
    expect(order("name", "", "working")).toEqual(["a9", "late"]);
    expect(order("name", "", "waiting")).toEqual(["a9", "wait"]);
    expect(order("name", "", "paused")).toEqual(["late"]);
    expect(order("name", "", "attention")).toEqual(["bad"]);
    expect(["error", "pending"].map((status) => inState(agent("x", { status: status as Agent["status"] }), "attention"))).toEqual([true, true]);
  });

  it("is summed up", () => {
    expect(totals(ALL)).toEqual({ working: 2, waiting: 3, attention: 1, costToday: 1.5 });
  });
});
