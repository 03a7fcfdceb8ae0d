/** What stands above all parts of an agent: its state, what it costs, its next run, stop and pause, and what is kept back from it. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const header = () => at.page.getByRole("banner").or(at.page.locator("header.bar"));

function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", {
    vault: "default", note_id: "d1", mode: "single-threaded", prompt_preview: "You look after the parser.", model: "opus", cost_usd: 12.5, cost_today_usd: 0.42,
  });
  daemon.addAgent("ops", {
    vault: "default", note_id: "d2", mode: "single-threaded", defined_by: "agent:eng",
    withheld: ["the credential of Claude Code", "DATABASE_URL", "[sandbox.agents.ops]"],
  });
  daemon.shaping.jobs.push({
    id: "standup", noteId: "j1", channel: "eng", message: "What is new?", schedule: { cron: "0 9 * * *" }, enabled: true, status: "enabled",
    nextRunAt: new Date(Date.now() + 2 * 3_600_000 + 30_000).toISOString(),
  });
}

describe("the page of an agent", () => {
  it("says what it costs and when it runs next, and stops its turn from every part", async () => {
    scene();
    await at.enter("#/agent/eng/secrets");
    const { page, daemon } = at;
    await header().getByText("$0.42 today").waitFor();
    await header().getByText("$12.50 in all").waitFor();
    await header().getByText("opus").waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Stop its turn" }).count()).toBe(0);
    const message = daemon.addMessage("eng", { text: "Go on" });
    daemon.emit("eng", message, [{ kind: "queued", position: 1, text: "Go on" }, { kind: "started", attempt: 1 }]);
    await header().getByText(/^Working for/).waitFor();
    await at.shootAll("agent-header");
    await page.getByRole("button", { name: "Stop its turn" }).click();
    await page.getByRole("button", { name: "Stopping…" }).waitFor();
    await expect.poll(() => daemon.stops).toEqual([`turn-${message.id}`]);
    daemon.emit("eng", message, [{ kind: "stopped" }]);
    await page.getByRole("button", { name: "Stopping…" }).waitFor({ state: "detached" });
    await header().getByRole("link", { name: /Next run in 2 h/ }).click();
    await page.getByRole("listitem", { name: "Job standup" }).waitFor();
  });

  it("pauses and resumes it wherever one is; who changes their mind, and what fails", async () => {
    scene();
    await at.enter("#/agent/eng");
    const { page, daemon } = at;
    const pause = page.getByRole("button", { name: "Pause…" });
    await pause.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Pause eng" });
    await expect.poll(() => dialog.getByLabel("Why it is paused").evaluate((input) => input === document.activeElement)).toBe(true);
    await at.shootAll("agent-pause");
    await page.keyboard.press("Escape");
    await expect.poll(() => pause.evaluate((button) => button === document.activeElement)).toBe(true);
    await pause.click();
    await dialog.getByLabel("Why it is paused").fill("Release day");
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault cannot be written.", next_step: "Try again." }];
    await page.keyboard.press("Enter");
    await dialog.getByRole("alert").getByText("The vault cannot be written.").waitFor();
    await expect.poll(() => dialog.getByLabel("Why it is paused").inputValue()).toBe("Release day");
    await dialog.getByRole("button", { name: "Pause it" }).click();
    await header().getByText("Paused · Release day").waitFor();
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault cannot be written." }];
    await page.getByRole("button", { name: "Resume" }).click();
    const failed = page.getByRole("dialog", { name: "It could not be resumed" });
    await failed.getByRole("button", { name: "Try again" }).click();
    await failed.waitFor({ state: "detached" });
    await pause.waitFor();
  });

  it("says what is kept back, and gives it after a question that says what that means", async () => {
    scene();
    const { daemon } = at;
    daemon.pin = "1234";
    await at.enter("#/agent/ops");
    const { page } = at;
    const kept = page.getByRole("region", { name: "Kept back" });
    await kept.getByText("[sandbox.agents.ops]").waitFor();
    await at.shootAll("withheld");
    // Something new is not given while that is open.
    await page.getByRole("link", { name: "Secrets" }).click();
    await page.getByRole("button", { name: "Add a variable…" }).click();
    const form = page.getByRole("form", { name: "Add a variable" });
    await form.getByLabel("Name").fill("NPM_TOKEN");
    await form.getByLabel("Value").fill("npm_123");
    await form.getByRole("button", { name: "Store it" }).click();
    const pin = page.getByRole("dialog", { name: "Your PIN, please" });
    await pin.getByLabel("PIN").fill("1234");
    await page.keyboard.press("Enter");
    await form.getByRole("alert").getByText(/was for another note/).waitFor();
    await expect.poll(() => form.getByLabel("Value").inputValue()).toBe("npm_123");

    await kept.getByRole("button", { name: "Let it have these…" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Trust ops with what its name was given?" });
    await expect.poll(() => dialog.getByRole("listitem").allInnerTexts()).toEqual(["the credential of Claude Code", "DATABASE_URL", "[sandbox.agents.ops]"]);
    await dialog.getByText("it was written by agent:eng").waitFor();
    await at.shootAll("withheld-trust");
    await dialog.getByRole("button", { name: "Leave it as it is" }).click();
    expect(daemon.agents[1]?.withheld?.length).toBe(3);
    await kept.getByRole("button", { name: "Let it have these…" }).click();
    daemon.tabs.refusal = [503, { error: "trust_unavailable", message: "It cannot be written down.", next_step: "Nothing has changed." }];
    await dialog.getByRole("button", { name: "Give it all of this" }).click();
    await dialog.getByRole("alert").getByText("It cannot be written down.").waitFor();
    await dialog.getByRole("button", { name: "Give it all of this" }).click();
    await kept.waitFor({ state: "detached" });
    await form.getByRole("button", { name: "Store it" }).click();
    await page.getByText("NPM_TOKEN is stored").waitFor();
  });

  it("is for everybody: by keyboard, on a phone, and axe-core finds nothing serious", async () => {
    await at.reopen({ bypassCSP: true, viewport: { width: 390, height: 844 } });
    scene();
    const { daemon } = at;
    await at.page.goto(daemon.signInLink);
    const { page } = at;
    await page.getByRole("heading", { name: "Agents" }).waitFor();
    await page.goto(`${daemon.url}#/agent/ops/definition`);
    // The part that is shown is in view among the tabs.
    const tab = page.getByRole("link", { name: /^Definition/ });
    await expect.poll(() => tab.evaluate((link) => link.getBoundingClientRect().right <= innerWidth)).toBe(true);
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((one) => `${what}, ${colorScheme}: ${one}`));
      }
    };
    await look("kept back");
    await page.getByRole("button", { name: "Let it have these…" }).click();
    await page.getByRole("dialog").waitFor();
    await look("trust");
    await page.keyboard.press("Escape");
    // It gives the focus back.
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(found).toEqual([]);
    // Each part is reached by Tab and Enter alone.
    await page.getByRole("link", { name: "Messages", exact: true }).focus();
    for (const name of ["Threads", "Jobs", "Connections", "Secrets", "Sandbox"]) {
      await page.keyboard.press("Tab");
      await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toContain(name);
    }
    await page.keyboard.press("Enter");
    await page.waitForURL(/sandbox$/);
  });
});
