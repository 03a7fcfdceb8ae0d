/** What turns did that ended before the page was opened, and all of what went into a tool and came out. */
import { describe, expect, it } from "vitest";
import type { Message } from "../app/api";
import { serious } from "./axe";
import type { Body } from "./mock";
import { stage } from "./stage";

const at = stage();
const log = () => at.page.getByRole("log");
const USAGE = { input_tokens: 812, output_tokens: 1_431, cache_read_tokens: 24_310, cache_write_tokens: 1_204 };
const LONG = `line of output\n`.repeat(400);
const EVENTS: Body[] = [
  { kind: "started", attempt: 1 },
  { kind: "init", session: "s", model: "claude-opus-4" },
  { kind: "text", text: "I look at the log." },
  { kind: "tool", id: "b1", tool: "Bash", input: '{"command":"cat build.log"}' },
  { kind: "tool_result", id: "b1", ok: true, preview: `${LONG.slice(0, 2_000)}…` },
  { kind: "text", text: "It is green." },
  { kind: "done", reply: "It is green.", usage: USAGE, cost_usd: 0.0873 },
];

function exchange(n: number, more: Partial<Message> = {}): Message {
  const time = (second: number): string => new Date(Date.UTC(2026, 0, 5, 10, n, second)).toISOString();
  const asked = at.daemon.addMessage("eng", { text: `Question ${n}`, state: "ok", turn: `t${n}`, at: time(0), ...more });
  if (asked.state === "ok") {
    at.daemon.addMessage("eng", {
      text: "It is green.", direction: "outbound", in_reply_to: asked.id, turn: `t${n}`, at: time(9), usage: USAGE, cost_usd: 0.0873, duration_ms: 9_000,
    });
  }
  at.daemon.turns.steps.set(`t${n}`, { events: EVENTS.map((body, index) => ({ ...body, at: time(index + 1) })) });
  return asked;
}

const row = (n: number) => at.page.locator(`.row.inbound:has-text("Question ${n}") + .row`);

describe("an ended turn", () => {
  it("says what it took, and on demand what it did; the newest one says so by itself, as before a reload", async () => {
    at.daemon.addAgent("eng", { model: "opus" });
    for (const n of [1, 2, 3]) exchange(n);
    await at.enter("#/agent/eng");
    await row(3).locator(".tool").waitFor();
    expect(at.daemon.turns.asked).toEqual(["t3"]);
    await expect.poll(() => row(1).locator(".tool").count()).toBe(0);
    await row(1).getByText("9.0 s · $0.0873 · 26.3k tokens in (24.3k from cache), 1431 out").waitFor();

    await row(1).getByRole("button", { name: "What it did" }).click();
    await row(1).locator(".tool").waitFor();
    await expect.poll(() => row(1).locator(".bubble > *").evaluateAll((all) => all.map((element) => element.className))).toEqual(["md", "tool ok", "md"]);
    await row(1).getByText("6.0 s · $0.0873").waitFor();
    await row(1).locator(".tool > summary").click();
    at.daemon.turns.details.set("b1", { id: "b1", name: "Bash", input: { command: "cat build.log" }, output: `${LONG}the last line`, input_cut: false, output_cut: true });
    await expect.poll(() => row(1).getByText("the last line").count()).toBe(0);
    await row(1).getByRole("button", { name: "Show all of it" }).click();
    await row(1).getByText("the last line").waitFor();
    await row(1).getByText("Even this is not all").waitFor();
    expect(at.daemon.turns.asked).toEqual(["t3", "t1", "t1 b1"]);
    await at.shootAll("steps");
    await row(1).getByRole("button", { name: "Hide what it did" }).click();
    await row(1).locator(".tool").waitFor({ state: "detached" });
    await row(1).getByText("It is green.").waitFor();
  });

  it("of which nothing is kept, or which cannot be read, says so", async () => {
    at.daemon.addAgent("eng");
    for (const n of [1, 2]) exchange(n);
    at.daemon.turns.steps.clear();
    await at.enter("#/agent/eng");
    await row(2).getByText("It is green.").waitFor();
    await expect.poll(() => at.daemon.turns.asked).toEqual(["t2"]);
    // What nobody has asked for is no trouble.
    await expect.poll(() => row(2).getByText("not kept any more").count()).toBe(0);
    await row(1).getByRole("button", { name: "What it did" }).click();
    await row(1).getByText("What happened in this turn is not kept any more.").waitFor();
    await at.page.context().setOffline(true);
    await row(2).getByRole("button", { name: "What it did" }).click();
    await row(2).getByRole("alert").getByText("The daemon did not answer.").waitFor();
    await at.page.context().setOffline(false);
    at.daemon.turns.steps.set("t2", { events: EVENTS.map((body) => ({ ...body, at: "2026-01-05T10:00:00Z" })), cut: true });
    await row(2).getByRole("button", { name: "Try again" }).click();
    await row(2).getByText("Not all of this turn was kept").waitFor();
  });

  it("that was cut off shows how far it came", async () => {
    at.daemon.addAgent("eng");
    exchange(1, { state: "interrupted" });
    at.daemon.turns.steps.set("t1", { events: EVENTS.slice(0, 4).map((body) => ({ ...body, at: "2026-01-05T10:00:00Z" })), complete: true });
    await at.reopen({ bypassCSP: true });
    await at.enter("#/agent/eng");
    const turn = log().locator(".turn");
    await turn.getByText("I look at the log.").waitFor();
    await expect.poll(() => turn.locator(".tool").getAttribute("class")).toBe("tool cut");
    await turn.getByText("Interrupted").waitFor();
    await turn.getByRole("button", { name: "Send again" }).waitFor();
    for (const colorScheme of ["light", "dark"] as const) {
      await at.page.emulateMedia({ colorScheme });
      expect(await serious(at.page)).toEqual([]);
    }
  });
});

describe("a turn that ends while the connection is away", () => {
  it("is read anew, with what was done meanwhile", async () => {
    at.daemon.addAgent("eng");
    await at.enter("#/agent/eng");
    await expect.poll(() => at.daemon.open).toBe(1);
    const message = at.daemon.addMessage("eng", { text: "Question 1", state: "waiting", turn: "t1" });
    at.daemon.emit("eng", message, [{ kind: "queued", position: 0, text: "Question 1" }, ...EVENTS.slice(0, 3)], "t1");
    await log().getByText("I look at the log.").waitFor();
    await at.daemon.stop();
    await at.page.getByText("The connection to the daemon is lost.").waitFor();
    Object.assign(message, { state: "ok" });
    Object.assign(at.daemon.agents[0] as object, { status: "idle", running: null });
    at.daemon.addMessage("eng", { text: "It is green.", direction: "outbound", in_reply_to: message.id, turn: "t1" });
    at.daemon.turns.steps.set("t1", { events: EVENTS.map((body) => ({ ...body, at: new Date().toISOString() })) });
    await at.daemon.restart();
    const turn = log().locator(".turn");
    await turn.locator(".tool").waitFor();
    await expect.poll(() => turn.locator(".bubble > *").evaluateAll((all) => all.map((element) => element.className))).toEqual(["md", "tool ok", "md"]);
    await turn.getByText("26.3k tokens in").waitFor();
    await expect.poll(() => log().getByText("It is green.").count()).toBe(1);
    await expect.poll(() => at.page.getByRole("button", { name: "Hide what it did" }).count()).toBe(0);
  });
});

describe("a message", () => {
  it("that is too long is told before it is sent, and stays", async () => {
    at.daemon.addAgent("eng");
    at.daemon.limits.message_bytes = 40;
    await at.enter("#/agent/eng");
    const box = at.page.getByRole("textbox", { name: "Message to eng" });
    await box.fill("ä".repeat(21));
    await at.page.getByText("This message has 42 B; at most 40 B can be sent.").waitFor();
    await expect.poll(() => at.page.getByRole("button", { name: "Send", exact: true }).isDisabled()).toBe(true);
    await box.press("Enter");
    await box.fill("ä".repeat(20));
    await at.page.getByText("Enter sends").waitFor();
    await box.press("Enter");
    await log().getByText("ä".repeat(20)).waitFor();
    expect(at.daemon.sends).toEqual(["ä".repeat(20)]);
  });
});
