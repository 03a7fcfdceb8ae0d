/** What the page shows of a definition, and how it changes one. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { copiedBy } from "./copied";
import { stage } from "./stage";

const at = stage();
const panel = () => at.page.getByRole("region", { name: "Definition" });

/** An agent that works, one whose note is broken, and one with a warning. */
function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded", prompt_preview: "You look after the parser.", model: "opus", lowered: [{ key: "network", asked: "open", got: "proxied", reason: "the most is proxied" }], warnings: [{ key: "modle", message: "is not read by anybody; did you mean `model`?" }] });
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
      network: { value: "open", from: "definition" },
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
    await expect.poll(() => problems.getByRole("listitem").count()).toBe(3);
    await at.shootAll("definition-broken");

    await page.getByRole("button", { name: "Correct it here" }).click();
    // What is wrong stands at its field from the start.
    const turns = panel().getByLabel("Most steps of a turn");
    await expect.poll(() => turns.getAttribute("aria-invalid")).toBe("true");
    await expect.poll(() => turns.inputValue()).toBe("many");
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
    await expect.poll(() => panel().getByRole("table").isVisible()).toBe(false);
    await panel().getByText("Settings that count").press("Enter");
    await panel().getByRole("row", { name: /^network/ }).getByText("it has proxied instead").waitFor();
    const row = panel().getByRole("row", { name: /timeout_idle/ });
    await expect.poll(() => row.innerText()).toMatch(/5m\s+the configuration/);
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
    const conflict = panel().getByRole("region", { name: "Changed meanwhile" });
    await conflict.getByText("Somebody else has changed “Role” while you were writing.").waitFor();
    await expect.poll(() => conflict.evaluate((box) => box === document.activeElement)).toBe(true);
    await conflict.getByText("Removed: Theirs.").waitFor();
    await conflict.getByText("Added: Mine.").waitFor();
    expect(note?.content).toBe("Theirs.");
    await at.shootAll("definition-conflict");
    // A reload loses neither of the two, nor the question.
    await page.reload();
    await conflict.getByText("Added: Mine.").waitFor();
    await conflict.getByRole("button", { name: "Put mine below it" }).click();
    await conflict.waitFor({ state: "detached" });
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("Theirs.\n\nMine.");
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(note?.content).toBe("Theirs.\n\nMine.");
  });

  it("in which somebody else has changed something else meanwhile is saved with both", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("Mine.");
    const note = daemon.shaping.notes.get("d1");
    // The daemon itself writes on the note, too.
    Object.assign(note ?? {}, { updatedAt: "2026-01-06T10:00:00Z", metadata: { ...note?.metadata, status: "pending", model: "sonnet" } });
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(note).toMatchObject({ content: "Mine.", metadata: { model: "sonnet", modle: "sonnet" } });
    expect(daemon.shaping.sent.at(-1)?.body).toEqual({ prompt: "Mine.", if_updated_at: "2026-01-06T10:00:00Z" });
  });

  it("that is not saved outlives a reload, another page and a closed form, until it is discarded", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("Half a thought");
    await page.reload();
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("Half a thought");
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    const tab = page.getByRole("navigation", { name: "Parts of eng" }).getByRole("link", { name: /Definition/ });
    await tab.getByTitle("There are unsaved changes").waitFor();
    await tab.click();
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("Half a thought");
    await panel().getByRole("button", { name: "Keep for later" }).click();
    const kept = panel().getByRole("region", { name: "Unsaved changes" });
    await kept.getByText("Role").waitFor();
    await at.shootAll("definition-unsaved");
    await kept.getByRole("button", { name: "Go on with them" }).click();
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("Half a thought");
    // What others have changed meanwhile is in the form, and is said.
    const note = daemon.shaping.notes.get("d1");
    // Not while the page is open: it might just be reading the note, and tell it then.
    await page.goto("about:blank");
    Object.assign(note ?? {}, { updatedAt: "2026-01-06T10:00:00Z", metadata: { ...note?.metadata, model: "sonnet" } });
    await page.goto(`${daemon.url}#/agent/eng/definition`);
    await panel().getByText("Somebody else has changed “Model” meanwhile.").waitFor();
    await expect.poll(() => panel().getByLabel("Model", { exact: true }).inputValue()).toBe("sonnet");
    await panel().getByRole("button", { name: "Discard…" }).click();
    await panel().getByRole("button", { name: "Discard it" }).click();
    await page.getByRole("button", { name: "Edit" }).click();
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("You look after the parser.");
    expect(daemon.shaping.sent).toEqual([]);
    await expect.poll(() => page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("definition")))).toEqual([]);
  });

  it("that is gone on with is open again, however soon the page is left", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("Half a thought");
    await panel().getByRole("button", { name: "Keep for later" }).click();
    const goOn = panel().getByRole("button", { name: "Go on with them" });
    await goOn.waitFor();
    // What a reload would find in the moment in which the form is there.
    await page.evaluate(() => {
      const seen: { open?: boolean } = {};
      new MutationObserver(() => {
        if (!document.querySelector("#edit-prompt")) return;
        seen.open ??= Object.keys(localStorage).some((key) => key.startsWith("reveille:definition:") && localStorage[key].includes('"open":true'));
      }).observe(document.body, { subtree: true, childList: true });
      Object.assign(window, { seen });
    });
    await goOn.click();
    await panel().getByLabel("Role").waitFor();
    expect(await page.evaluate(() => (window as unknown as { seen: { open?: boolean } }).seen.open)).toBe(true);
  });

  it("is checked by the daemon while it is written; an answer that was overtaken is dropped", async () => {
    scene();
    const { daemon } = at;
    daemon.tabs.validates = true;
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByText("Look at what is marked.").waitFor();
    await panel().getByText("is not read; did you mean").waitFor();
    expect(daemon.tabs.checked.at(-1)).toEqual({
      vault: "default", note_id: "d1", name: "eng", content: "You look after the parser.", metadata: {},
    });
    const role = panel().getByLabel("Role");
    // The first of the two answers comes last.
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    daemon.tabs.hold = ({ content }) => (content === "nothing at all" ? held : undefined);
    const overtaken = page.waitForResponse((response) => response.request().postDataJSON()?.content === "nothing at all");
    await role.fill("nothing at all");
    await expect.poll(() => daemon.tabs.checked.at(-1)?.content).toBe("nothing at all");
    await role.fill("You build.");
    await panel().getByLabel("modle").fill("");
    await panel().getByText("The daemon would take it as it is.").waitFor();
    go();
    await (await overtaken).finished();
    await at.settle();
    await panel().getByText("The daemon would take it as it is.").waitFor();
    await expect.poll(() => role.getAttribute("aria-invalid")).toBeNull();

    await panel().getByText("More settings").click();
    const turns = panel().getByLabel("Most steps of a turn");
    await turns.pressSequentially("many");
    await panel().getByText('"many" will not do').waitFor();
    await panel().getByText("1 problem to correct").waitFor();
    // It does not take the cursor away.
    await expect.poll(() => turns.evaluate((input) => input === document.activeElement)).toBe(true);
    await panel().getByLabel("Network", { exact: true }).selectOption("open");
    await panel().getByText(/It would get proxied instead: the most is proxied/).waitFor();
    await at.shootAll("definition-checked");
    expect(daemon.shaping.sent).toEqual([]);
    // Who cannot be asked now can still be told, when it is saved.
    await daemon.stop();
    await turns.fill("20");
    await panel().getByText(/could not be checked now/).waitFor();
    await daemon.start();
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.sent.at(-1)?.body).toMatchObject({ prompt: "You build.", metadata: { modle: null, max_turns: 20, network: "open" } });
  });

  it("of an older daemon is checked when it is saved, and that is said; what looks like a secret is not shown", async () => {
    scene();
    const { daemon } = at;
    Object.assign(daemon.shaping.notes.get("d1") ?? {}, { metadata: { name: "eng", api_key: "sk-secret-value" } });
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByText("It is checked when you save it.").waitFor();
    await panel().getByText("It looks like a secret").waitFor();
    await panel().getByLabel("Role").fill("x");
    expect(await page.content()).not.toContain("sk-secret-value");
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain("sk-secret-value");
    await panel().getByRole("button", { name: "Take api_key out of the note" }).click();
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.sent.at(-1)?.body).toMatchObject({ metadata: { api_key: null } });
  });

  it("that cannot be saved now keeps what was written, and is saved by another try", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Role").fill("Kept.");
    await daemon.stop();
    await panel().getByRole("button", { name: "Save" }).click();
    await panel().getByRole("alert").getByText("The daemon did not answer.").waitFor();
    await daemon.start();
    await page.reload();
    await expect.poll(() => panel().getByLabel("Role").inputValue()).toBe("Kept.");
    await panel().getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.notes.get("d1")?.content).toBe("Kept.");
  });

  it("lets an agent begin anew, and says what is kept", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Reset…" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Let eng begin anew?" });
    await dialog.getByText("all messages and replies").waitFor();
    await at.shootAll("definition-reset");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(daemon.tabs.sent).toEqual([]);
    await page.getByRole("button", { name: "Reset…" }).click();
    daemon.tabs.refusal = [503, { error: "queue_unavailable", message: "The queue cannot be written.", next_step: "Try again." }];
    await dialog.getByRole("button", { name: "Reset it" }).click();
    await dialog.getByRole("alert").getByText("The queue cannot be written.").waitFor();
    await dialog.getByRole("button", { name: "Reset it" }).click();
    await page.getByRole("status").getByText("2 conversations forgotten").waitFor();
    expect(daemon.tabs.sent.map(({ call }) => call)).toEqual(["POST /api/agents/eng/reset", "POST /api/agents/eng/reset"]);
  });

  it("is deleted once its name was typed, and not before", async () => {
    scene();
    const { daemon } = at;
    Object.assign(daemon.agents[0] ?? {}, { waiting: 2 });
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete eng?" });
    const yes = dialog.getByRole("button", { name: "Delete it" });
    await dialog.getByText("2 messages in line wait for an agent of this name.").waitFor();
    await expect.poll(() => dialog.getByRole("textbox").evaluate((input) => input === document.activeElement)).toBe(true);
    await page.keyboard.type("en");
    await expect.poll(() => yes.isDisabled()).toBe(true);
    await page.keyboard.press("Enter");
    expect(daemon.tabs.sent).toEqual([]);
    await at.shootAll("definition-delete");
    await page.keyboard.type("g");
    await yes.click();
    await page.getByRole("heading", { name: "Agents" }).waitFor();
    expect(daemon.tabs.sent).toEqual([{ call: "DELETE /api/agents/eng", body: {} }]);
    await page.getByRole("navigation", { name: "Agents" }).getByRole("link", { name: /You look after/ }).waitFor({ state: "detached" });
  });

  it("is asked about where one can type at once, and no key goes elsewhere", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    // As fast as anybody can be: in the moment in which the field is there, before it is drawn.
    const focused = (opener: string, field: string) => page.getByRole("button", { name: opener }).evaluate((button: HTMLElement, id) => {
      const told = new Promise<string | undefined>((resolve) => {
        new MutationObserver(() => {
          if (document.getElementById(id)) resolve(document.activeElement?.id);
        }).observe(document.body, { subtree: true, childList: true });
      });
      button.click();
      return told;
    }, field);
    expect(await focused("Delete…", "delete-name")).toBe("delete-name");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused("Pause…", "pause-reason")).toBe("pause-reason");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Secrets" }).click();
    expect(await focused("Add a variable…", "secret-name")).toBe("secret-name");
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
    await expect.poll(() => page.url()).toContain("#/agent/parser/definition");
  });

  it("of an agent whose turns a session runs says how one connects, and who is at work", async () => {
    scene();
    const { daemon } = at;
    Object.assign(daemon.agents[0] ?? {}, { backend: "attached", claimed: [{ turn: "t1", message: "m1", by: "token:laptop", since_at: null, ends_at: "2026-01-05T10:15:00Z" }] });
    await at.enter("#/agent/eng/definition");
    const sessions = at.page.getByRole("region", { name: "Sessions" });
    await sessions.getByText("claude mcp add eng -- reveille mcp --channel eng").waitFor();
    await sessions.getByText(`${daemon.url}mcp/eng`).waitFor();
    await sessions.getByText("token:laptop has taken a message").waitFor();
    expect(await copiedBy(sessions.getByRole("button", { name: "Copy the command: on the daemon's machine" }))).toMatch(/^(Copied|Not copied)$/);
    await at.shootAll("definition-attached");
  });

  it("is paused with a reason, and resumed", async () => {
    scene();
    await at.enter("#/agent/eng/definition");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Pause…" }).click();
    await page.getByLabel("Why it is paused").fill("Until the release is out");
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Paused" }).getByText("Until the release is out.").waitFor();
    await at.shootAll("definition-paused");
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
    await expect.poll(() => page.getByRole("button", { name: "Pause…" }).count()).toBe(1);
    await page.goto(`${daemon.url}#/agent/ops/definition`);
    await page.getByText("The agent goes on as it was before the last change").waitFor();
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await page.getByRole("textbox", { name: /Message to ops/ }).waitFor();
  });

  it("is for everybody: axe-core finds nothing serious, in both colours", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    const { daemon } = at;
    daemon.tabs.validates = true;
    await at.enter("#/agent/eng/definition");
    const { page } = at;
    await panel().getByText("Settings that count").click();
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((one) => `${what}, ${colorScheme}: ${one}`));
      }
    };
    await look("definition");
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog", { name: "Delete eng?" }).waitFor();
    await look("delete");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Pause…" }).click();
    await page.getByRole("dialog", { name: "Pause eng" }).waitFor();
    await look("pause");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Edit" }).click();
    await panel().getByText("More settings").click();
    await panel().getByLabel("Most steps of a turn").fill("many");
    await panel().getByText("1 problem to correct").waitFor();
    await panel().getByLabel("Role").fill("Mine.");
    await look("form");
    Object.assign(daemon.shaping.notes.get("d1") ?? {}, { content: "Theirs.", updatedAt: "2026-01-06T10:00:00Z" });
    await panel().getByLabel("Most steps of a turn").fill("5");
    await panel().getByRole("button", { name: "Save" }).click();
    await panel().getByText("Added: Mine.").waitFor();
    await look("conflict");
    await page.goto(`${daemon.url}#/new`);
    await page.getByText("More settings").waitFor();
    await look("new");
    expect(found).toEqual([]);
  });
});
