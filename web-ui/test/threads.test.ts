import { describe, expect, it } from "vitest";
import type { Message } from "../app/api";
import { ofThread, slotOf } from "../app/thread";
import { belongs, narrows, previewOf, titleOf, writable } from "../app/threads";
import { ALL_THREADS, listQuery, type Thread } from "../app/threads-api";
import { hashOf, parseRoute } from "../app/route";

const thread = (more: Partial<Thread> = {}): Thread => ({
  thread: "t", key: { kind: "main" }, channel: "eng", vault: "default", title: null, archived: false, started_at: null, last_at: "2026-01-01T00:00:00Z", state: "idle", preview: null, note_id: null, turns: 0, cost_usd: 0,
  session: null, ...more,
});
const message = (id: string, more: Partial<Message> = {}): Message => ({ id, text: id, direction: "inbound", at: "2026-01-01T00:00:00Z", ...more });

describe("conversations", () => {
  it("are called as a person named them, else after what they are about", () => {
    expect(titleOf(thread({ title: " Mine ", key: { kind: "subject", key: "order" } }))).toBe("Mine");
    expect(titleOf(thread({ title: " ", key: { kind: "subject", key: "order" } }))).toBe("order");
    expect([titleOf(thread({ preview: "words" })), titleOf(thread({ key: { kind: "single", key: "m" }, preview: "words" })), titleOf(thread({ key: { kind: "single", key: "m" } }))]).toEqual(["Main conversation", "words", "A single message"]);
    expect([previewOf(thread({ preview: "words" })), previewOf(thread({ key: { kind: "single", key: "m" }, preview: "words" }))]).toEqual(["words", ""]);
  });

  it("take messages as their kind has it", () => {
    expect(writable(thread(), false)).toEqual({});
    expect(writable(thread({ key: { kind: "subject", key: "order" } }), true)).toEqual({ subject: "order" });
    expect(writable(thread(), true)).toHaveProperty("why");
    expect(writable(thread({ key: { kind: "single", key: "m" } }), false)).toHaveProperty("why");
  });

  it("are narrowed, and asked for so", () => {
    expect(narrows(ALL_THREADS)).toBe(false);
    for (const more of [{ text: "x" }, { agent: "eng" }, { state: "error" as const }, { archived: "all" as const }]) expect(narrows({ ...ALL_THREADS, ...more })).toBe(true);
    expect(belongs({ ...ALL_THREADS, agent: "eng", state: "idle" }, thread())).toBe(true);
    expect([belongs({ ...ALL_THREADS, agent: "ops" }, thread()), belongs({ ...ALL_THREADS, state: "error" }, thread()), belongs(ALL_THREADS, thread({ archived: true })), belongs({ ...ALL_THREADS, archived: "all" }, thread({ archived: true }))]).toEqual([false, false, false, true]);
    expect(listQuery(ALL_THREADS, 50)).toBe("archived=false&limit=50");
    expect(Object.fromEntries(new URLSearchParams(listQuery({ text: " a&b ", agent: "x y", state: "working", archived: "all" }, 20, "c")))).toEqual({ archived: "all", limit: "20", q: "a&b", channel: "x y", state: "working", cursor: "c" });
  });

  it("have their own place in the address, and for what is written in them", () => {
    for (const name of ["eng", "x/y", "thread"]) expect(parseRoute(hashOf({ view: "agent", name, thread: "a/b" }))).toEqual({ view: "agent", name, thread: "a/b" });
    expect(parseRoute("#/agent/eng/threads")).toEqual({ view: "agent", name: "eng", tab: "threads" });
    expect([slotOf("eng", undefined), slotOf("eng", "t")]).toEqual(["eng", "eng/thread/t"]);
  });
});

describe("the messages of one conversation", () => {
  it("are those that say so, those of its turns, and the answers to them", () => {
    const all = [
      message("said", { thread: "t" }), message("other", { thread: "u", turn: "1" }), message("turn", { turn: "1" }), message("else", { turn: "2" }), message("unknown"),
      message("answer", { direction: "outbound", in_reply_to: "turn" }), message("strange", { direction: "outbound", in_reply_to: "turn", thread: "u" }), message("late", { direction: "outbound", turn: "1" }),
    ];
    expect(ofThread(all, "t", new Set(["1"])).map(({ id }) => id)).toEqual(["said", "turn", "answer", "late"]);
    expect(ofThread(all, "t", new Set()).map(({ id }) => id)).toEqual(["said"]);
  });
});
