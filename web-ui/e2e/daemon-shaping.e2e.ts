/** Definitions, connections and jobs against a real daemon. `REVEILLE_E2E_SHAPING_URL` is a sign-in link to one whose turns succeed. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { notesWork } from "./daemon-notes";
import { launch, openPage, shoot, type Watched } from "./browser";

const link = process.env.REVEILLE_E2E_SHAPING_URL;
const name = `shaped-${Date.now().toString(36)}`;
const SECRET = "ghp_0123456789abcdef";
let browser: Browser;
let at: Watched;

describe.runIf(link)("a real daemon", () => {
  beforeAll(async () => {
    browser = await launch();
    at = await openPage(browser, { timezoneId: "Europe/Berlin" });
    const { page } = at;
    await page.goto(link ?? "");
    await page.getByRole("navigation", { name: "Agents" }).waitFor();
    await page.getByRole("link", { name: "New agent" }).click();
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Role").fill("Answer with one short sentence.");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { name }).waitFor();
  });
  afterAll(async () => {
    await browser?.close();
  });

  const go = (tab: string) => at.page.getByRole("navigation", { name: `Parts of ${name}` }).getByRole("link", { name: tab }).click();
  const item = () => at.page.getByRole("navigation", { name: "Agents" }).getByRole("link", { name: new RegExp(`^${name}`) });

  it("changes a definition, and says what is wrong with one", async () => {
    const { page, faults } = at;
    await go("Definition");
    const panel = page.getByRole("region", { name: "Definition" });
    await page.getByRole("button", { name: "Edit" }).click();
    await panel.getByLabel("Connections that it wants").fill("env:github");
    await panel.getByText("More settings").click();
    const turns = panel.getByLabel("Most steps of a turn");
    await turns.fill("many");
    await panel.getByLabel("Longest turn").fill("soon");
    await panel.getByRole("button", { name: "Save" }).click();
    await panel.getByText(/"many" will not do/).waitFor();
    await panel.getByText(/"soon" is no time span/).waitFor();
    await turns.fill("20");
    await panel.getByLabel("Longest turn").fill("2h");
    await panel.getByRole("button", { name: "Save" }).click();
    await panel.getByText("Settings that count").click();
    await expect.poll(() => panel.getByRole("row", { name: /^max_turns/ }).innerText()).toMatch(/20\s+the definition/);
    await expect.poll(() => panel.getByRole("row", { name: /^timeout_idle/ }).innerText()).toContain("the configuration");
    await shoot(page, "real-definition");

    // Somebody breaks the note.
    await page.evaluate(async (agent) => {
      const asJson = { "content-type": "application/json" };
      const known = (await (await fetch(`api/agents/${agent}`)).json()) as { vault: string; note_id: string };
      const body = JSON.stringify({ metadata: { mode: "sideways", max_turns: "none" }, force: true });
      const answer = await fetch(`vault/${known.vault}/api/notes/${known.note_id}`, { method: "PATCH", headers: asJson, body });
      if (!answer.ok) throw new Error(await answer.text());
    }, name);
    await item().getByText("Its definition has 2 problems").waitFor();
    const problems = page.getByRole("region", { name: "Problems" });
    await problems.getByText(/single-threaded/).waitFor();
    await problems.getByText("The agent goes on as it was before the last change").waitFor();
    await shoot(page, "real-broken");
    await page.getByRole("button", { name: "Correct it here" }).click();
    await expect.poll(() => panel.getByLabel("Most steps of a turn").inputValue()).toBe("none");
    await panel.getByLabel("Most steps of a turn").fill("");
    await panel.getByLabel("Messages", { exact: true }).selectOption("");
    await panel.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    await problems.waitFor({ state: "detached" });
    expect(faults).toEqual([]);
  });

  it("approves and revokes a connection", async () => {
    const { page, faults } = at;
    await page.evaluate(async (agent) => {
      const body = JSON.stringify({ metadata: { wants: "env:github" } });
      const answer = await fetch(`api/agents/${agent}`, { method: "PATCH", headers: { "content-type": "application/json" }, body });
      if (!answer.ok) throw new Error(await answer.text());
    }, name);
    await item().getByText("1 connection to approve").waitFor({ state: "attached" });
    await go("Connections");
    const row = page.getByRole("listitem", { name: "Service github" });
    await page.getByRole("button", { name: "Approve github…" }).click();
    await row.getByLabel("Token").fill("two words");
    await row.getByLabel("Token").press("Enter");
    await row.getByRole("alert").waitFor();
    await row.getByLabel("Token").fill(SECRET);
    await row.getByLabel("Token").press("Enter");
    await row.getByText("Approved", { exact: true }).waitFor();
    await item().getByText("1 connection to approve").waitFor({ state: "detached" });
    expect(await page.content()).not.toContain(SECRET);
    await shoot(page, "real-connections");
    await row.getByRole("button", { name: "Revoke…" }).click();
    await row.getByRole("button", { name: "Revoke", exact: true }).click();
    await row.getByText("Revoked", { exact: true }).waitFor();
    expect(faults).toEqual([]);
  });

  it("makes, runs, pauses, edits and deletes a job", async () => {
    const { page, faults } = at;
    await go("Jobs");
    await page.getByRole("button", { name: "Add the first job" }).click();
    const form = page.getByRole("form", { name: "New job" });
    await form.getByLabel("Id").fill("standup");
    await form.getByLabel("Message").fill("What is new since yesterday?");
    await form.getByLabel("Cron").fill("0 25 * * *");
    await form.getByLabel("Zone").fill("Mars/Olympus");
    await form.getByRole("button", { name: "Add it" }).click();
    await expect.poll(() => form.getByLabel("Cron").getAttribute("aria-invalid")).toBe("true");
    await expect.poll(() => form.getByLabel("Zone").getAttribute("aria-invalid")).toBe("true");
    await shoot(page, "real-job-refused");
    await form.getByLabel("Cron").fill("0 9 * * 1-5");
    await form.getByLabel("Zone").fill("Asia/Tokyo");
    await form.getByRole("button", { name: "Add it" }).click();

    const row = page.getByRole("listitem", { name: "Job standup" });
    await row.getByText("Monday to Friday at 09:00").waitFor();
    await row.getByText(/^Next: .* · .*09:00 in Asia\/Tokyo/).waitFor();
    await row.getByRole("switch").click();
    await row.getByText("Paused: it does not run").waitFor();
    await row.getByRole("switch").click();
    await row.getByText(/^Next: /).waitFor();

    await page.getByRole("button", { name: "Run now: standup" }).click();
    await row.getByText("Its message is written.").waitFor();
    await row.getByText("History").click();
    const runs = page.getByRole("list", { name: "Last runs of standup" });
    await runs.getByText(/Run now: its turn succeeded/).waitFor();
    await shoot(page, "real-jobs");
    await runs.getByRole("link", { name: "See it" }).click();
    await page.getByRole("log").getByText("What is new since yesterday?", { exact: true }).waitFor();
    await page.goBack();

    await page.getByRole("button", { name: "Edit standup" }).click();
    const edit = page.getByRole("form", { name: "Edit standup" });
    await edit.getByText("Once", { exact: true }).click();
    await edit.getByLabel("Date and time").fill("2099-07-01T09:30");
    await edit.getByRole("button", { name: "Save" }).click();
    await row.getByText(/^Next: .*2099.*09:30 in Asia\/Tokyo/).waitFor();
    await row.getByRole("button", { name: "Delete…" }).click();
    await row.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("Nothing is scheduled.").waitFor();
    expect(faults).toEqual([]);
  });

  it("stores secrets, says what is refused, and how the agent signs in", async () => {
    const { page, faults } = at;
    await go("Secrets");
    const stored = page.getByRole("region", { name: "Stored variables" });
    await stored.getByRole("button", { name: "Add a variable…" }).click();
    const form = page.getByRole("form", { name: "Add a variable" });
    await form.getByLabel("Value").fill(SECRET);
    // Only the daemon knows that this one is reserved.
    await form.getByLabel("Name").fill("PS4");
    await form.getByLabel("Name").press("Enter");
    await form.getByText(/PS4 cannot be set here/).waitFor();
    await expect.poll(() => form.getByLabel("Value").inputValue()).toBe(SECRET);
    await form.getByLabel("Name").fill("NPM_TOKEN");
    await form.getByLabel("Name").press("Enter");
    const row = stored.getByRole("listitem", { name: `NPM_TOKEN for ${name}` });
    await row.waitFor();
    const effective = page.getByRole("region", { name: "What its turns get" });
    await expect.poll(() => effective.getByRole("row", { name: /^NPM_TOKEN/ }).innerText()).toMatch(/stored for this agent\s+Yes/);

    const own = page.getByRole("listitem", { name: "Its own token" });
    await own.getByRole("button", { name: /^Set/ }).click();
    await own.getByLabel("Token", { exact: true }).fill("two words");
    await own.getByLabel("Token", { exact: true }).press("Enter");
    await own.getByText(/no credential of Claude Code/).waitFor();
    await own.getByLabel("Token", { exact: true }).fill("sk-ant-oat01-e2e");
    await own.getByLabel("Token", { exact: true }).press("Enter");
    await own.getByText("set, counts").waitFor();
    await shoot(page, "real-secrets");
    expect(await page.content()).not.toMatch(/sk-ant-oat01|ghp_0123/);
    await own.getByRole("button", { name: "Remove…" }).click();
    await own.getByRole("button", { name: "Remove it" }).click();
    await own.getByText("not set").waitFor();
    await row.getByRole("button", { name: "Remove…" }).click();
    await row.getByRole("button", { name: "Remove it" }).click();
    await row.waitFor({ state: "detached" });
    expect(faults).toEqual([]);
  });

  it("tells what the agent may reach, judges a change while it is written, and keeps what is not saved", async () => {
    const { page, faults } = at;
    await go("Sandbox");
    const sandbox = page.getByRole("region", { name: "Sandbox", exact: true });
    await sandbox.getByRole("region", { name: "Who decided" }).getByRole("row", { name: /^Network/ }).waitFor();
    await sandbox.getByText(/Nothing confines this agent|Confined by/).first().waitFor();
    await shoot(page, "real-sandbox");

    await go("Definition");
    const panel = page.getByRole("region", { name: "Definition" });
    await page.getByRole("button", { name: "Edit" }).click();
    await panel.getByText("More settings").click();
    await panel.getByLabel("Most steps of a turn").fill("many");
    await panel.getByText(/1 problem to correct|It is checked when you save it/).waitFor();
    await page.reload();
    await expect.poll(() => panel.getByLabel("Most steps of a turn").inputValue()).toBe("many");
    await panel.getByLabel("Most steps of a turn").fill("12");
    await panel.getByText(/The daemon would take it|It can be saved|It is checked when you save it/).waitFor();
    // The daemon and others write on the note meanwhile.
    await page.evaluate(async (agent) => {
      const asJson = { "content-type": "application/json" };
      const body = JSON.stringify({ metadata: { model: "haiku" } });
      const answer = await fetch(`api/agents/${agent}`, { method: "PATCH", headers: asJson, body });
      if (!answer.ok) throw new Error(await answer.text());
    }, name);
    await panel.getByRole("button", { name: "Save" }).click();
    await panel.getByText("Settings that count").click();
    await expect.poll(() => panel.getByRole("row", { name: /^max_turns/ }).innerText()).toMatch(/12\s+the definition/);
    await expect.poll(() => panel.getByRole("row", { name: /^model/ }).innerText()).toMatch(/haiku\s+the definition/);
    expect(faults).toEqual([]);
  });

  it("writes, finds, links, changes and deletes notes", async () => {
    await notesWork(at.page, name);
    expect(at.faults).toEqual([]);
  });

  it("begins an agent anew, pauses it, and deletes it", async () => {
    const { page, faults } = at;
    await page.evaluate((agent) => (location.hash = `#/agent/${agent}`), name);
    await go("Definition");
    await page.getByRole("button", { name: "Pause…" }).click();
    await page.getByLabel("Why it is paused").fill("To be deleted");
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Paused" }).getByText("To be deleted.").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("region", { name: "Paused" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Reset…" }).click();
    await page.getByRole("button", { name: "Reset it" }).click();
    await page.getByText(/conversations? forgotten|no conversation to forget/).waitFor();
    await page.getByRole("button", { name: "Delete…" }).click();
    const dialog = page.getByRole("dialog", { name: `Delete ${name}?` });
    await dialog.getByLabel(/^Type/).fill(name);
    await dialog.getByRole("button", { name: "Delete it" }).click();
    // It may have been the only one.
    await page.getByRole("heading", { name: /^(Agents|Create your first agent)$/ }).waitFor();
    await item().waitFor({ state: "detached" });
    expect(faults).toEqual([]);
  });
});
