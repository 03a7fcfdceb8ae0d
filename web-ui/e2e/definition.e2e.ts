/** What the page shows of a definition, and how it changes one. */
import { describe, expect, it } from "vitest";
import { stage } from "./stage";

const at = stage();
const panel = () => at.page.getByRole("region", { name: "Definition" });

/** An agent that works, one whose note is broken, and one with a warning. */
function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded", prompt_preview: "You look after the parser.", model: "opus", warnings: [{ key: "modle", message: "is not read by anybody; did you mean `model`?" }] });
  daemon.addAgent("ops", {
    vault: "default", note_id: "d2", status: "error", status_detail: "mode: …; timeout_idle: …",
    problems: [
      { key: "mode", message: '"x" is not known; use one of: single-threaded, multi-threaded' },
      { key: "max_turns", message: '"many" will not do; a whole number from 1' },
      { key: "tags", message: "a definition cannot be a message too; take agent/message/inbound away" },
    ],
  });
  daemon.shaping.notes.set("d1", { id: "d1", updatedAt: "2026-01-05T10:00:00Z", content: "You look after the parser.", metadata: { name: "eng", model: "opus", modle: "sonnet", status: "enabled" } });
  daemon.shaping.notes.set("d2", { id: "d2", content: "You keep it running.", metadata: { name: "ops", mode: "x", max_turns: "many" } });
  daemon.shaping.details.set("eng", {
    path: "Agents/eng", prompt: "You look after the parser.\nAsk before you change its grammar.",
    settings: {
      model: { value: "opus", from: "definition" },
      timeout_idle: { value: "5m", from: "configuration" },
      timeout_wall: { value: "1h", from: "configuration" },
      max_turns: { value: null, from: "default" },
      network: { value: "open", from: "default" },
    },
  });
}

describe("a definition", () => {
  it("that is broken is reached from the list, says all that is wrong and is corrected in place", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    const item = page.getByRole("navigation", { name: "Agents" }).getByRole("link", { name: /ops/ });
    await item.getByText("Its definition has 3 problems").waitFor();
    await item.click();
    const problems = page.getByRole("region", { name: "Problems" });
    await problems.getByText("use one of: single-threaded, multi-threaded").waitFor();
    expect(await problems.getByRole("listitem").count()).toBe(3);
    await at.shootAll("definition-broken");

    await page.getByRole("button", { name: "Correct it here" }).click();
    // What is wrong stands at its field from the start.
    const turns = panel().getByLabel("Most steps of a turn");
    await expect.poll(() => turns.getAttribute("aria-invalid")).toBe("true");
    expect(await turns.inputValue()).toBe("many");
    await panel().getByLabel("Messages", { exact: true }).selectOption("multi-threaded");
    await turns.fill("lots");
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("Nothing was changed.").waitFor();
    await expect.poll(() => turns.evaluate((input) => input === document.activeElement)).toBe(true);
    await panel().getByText('"lots" will not do').waitFor();
    await at.shootAll("definition-refused");
    await turns.fill("20");
    await turns.press("Enter");
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({ call: "PATCH /api/agents/ops", body: { metadata: { mode: "multi-threaded", max_turns: 20 } } });
    await item.getByText("Idle").waitFor();
  });

  it("shows its warnings, where each setting comes from, and the role", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await page.getByRole("region", { name: "Warnings" }).getByText("did you mean").waitFor();
    await panel().getByText("Ask before you change its grammar.").waitFor();
    await panel().getByText("Agents/eng").waitFor();
    expect(await panel().getByRole("table").isVisible()).toBe(false);
    await panel().getByText("Settings that count").press("Enter");
    const row = panel().getByRole("row", { name: /timeout_idle/ });
    expect(await row.innerText()).toMatch(/5m\s+the configuration/);
    await at.shootAll("definition");
  });

  it("is edited: the role, a setting, and a key that nobody reads", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("You look after the parser and its tests.");
    await panel().getByLabel("modle").fill("");
    await panel().getByText("More settings").click();
    await panel().getByLabel("Longest turn").fill("2h");
    await at.shootAll("definition-edit");
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.sent).toEqual([
      { call: "PATCH /api/agents/eng", body: { prompt: "You look after the parser and its tests.", if_updated_at: "2026-01-05T10:00:00Z", metadata: { modle: null, timeout_wall: "2h" } } },
    ]);
    await panel().getByText("You look after the parser and its tests.").waitFor();
  });

  it("whose role somebody else has changed meanwhile is not written over unasked", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("Mine.");
    const note = daemon.shaping.notes.get("d1");
    Object.assign(note ?? {}, { content: "Theirs.", updatedAt: "2026-01-06T10:00:00Z" });
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("The definition has changed since it was read.").waitFor();
    expect(note?.content).toBe("Theirs.");
    await page.getByRole("button", { name: "Save over it" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(note?.content).toBe("Mine.");
  });

  it("of a new agent has settings too, with what the daemon objects to at their fields", async () => {
    scene();
    await at.enter("#/new");
    const { page, daemon } = at;
    await page.getByLabel("Name").fill("newcomer");
    await page.getByLabel("Role").fill("You are new.");
    await page.getByText("More settings").click();
    const turns = page.getByLabel("Most steps of a turn");
    await turns.fill("many");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByText('"many" will not do').waitFor();
    await expect.poll(() => turns.evaluate((input) => input === document.activeElement)).toBe(true);
    await at.shootAll("new-refused");
    await turns.fill("9");
    await turns.press("Enter");
    await page.getByRole("heading", { name: "newcomer" }).waitFor();
    expect(daemon.agents.at(-1)?.name).toBe("newcomer");
  });

  it("is not sent when nothing was changed, and an agent that is renamed is followed", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).click();
    expect(daemon.shaping.sent).toEqual([]);
    await panel().getByLabel("Name").fill("parser");
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "parser" }).waitFor();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(page.url()).toContain("#/agent/parser/definition");
  });

  it("is paused with a reason, and resumed", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Pause…" }).click();
    await page.getByLabel("Why it is paused").fill("Until the release is out");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause…" }).waitFor();
    expect(daemon.shaping.sent).toEqual([
      { call: "POST /api/agents/eng/pause", body: { reason: "Until the release is out" } },
      { call: "POST /api/agents/eng/resume", body: {} },
    ]);
  });

  it("that another note gives too is told, and an agent that goes on as before can be written to", async () => {
    scene();
    const { daemon } = at;
    daemon.addAgent("eng", { vault: "notes", note_id: "d9", status: "error", status_detail: "the name \"eng\" is taken by `Agents/eng`" });
    Object.assign(daemon.agents[1] ?? {}, { mode: "single-threaded" });
    await at.enter("#/agent/ops");
    const { page } = at;
    await page.getByRole("link", { name: /is taken by/ }).click();
    await page.getByRole("region", { name: "Other notes of this name" }).getByText("d9").waitFor();
    expect(await page.getByRole("button", { name: "Pause…" }).count()).toBe(1);
    await page.goto(`${daemon.url}#/agent/ops/definition`);
    await page.getByText("The agent goes on as it was before the last change").waitFor();
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await page.getByRole("textbox", { name: /Message to ops/ }).waitFor();
  });
});
