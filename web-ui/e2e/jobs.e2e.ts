/** The jobs of an agent: what is due when, what came of it, and all that can be done. */
import { describe, expect, it } from "vitest";
import type { Job } from "../app/jobs/api";
import { stage } from "./stage";

const at = stage();
const panel = () => at.page.getByRole("region", { name: "Jobs" });
const row = (id: string) => panel().getByRole("listitem", { name: `Job ${id}` });
const IN_A_DAY = () => new Date(Date.now() + 86_400_000).toISOString();

function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded" });
  daemon.addAgent("ops", { vault: "default", note_id: "d2", mode: "single-threaded" });
  const common = { channel: "eng", enabled: true, status: "enabled" };
  const jobs: Job[] = [
    {
      ...common, id: "morning-report", noteId: "j1", message: "Write the report on last night's builds.\nName each that failed, and who is on it.",
      schedule: { cron: "0 9 * * 1-5", tz: "Asia/Tokyo" }, nextRunAt: IN_A_DAY(), lastRunAt: "2026-01-05T00:00:00Z", lastStatus: "ok", catch_up: "once", overlap: "queue",
    },
    { ...common, id: "sweep", noteId: "j2", message: "Close what nobody answers.", schedule: { cron: "*/15 * * * *" }, enabled: false, status: "paused", status_detail: "paused by hand", lastRunAt: "2026-01-05T00:00:00Z", lastStatus: "error: the vault was away" },
    {
      ...common, id: "typo", noteId: "j3", message: "Hello.", schedule: { cron: "0 25 * * *", tz: "Mars/Olympus" }, status: "error", status_detail: "cron: …; tz: …",
      problems: [{ key: "cron", message: "the hour 25 will not do; use 0 to 23" }, { key: "tz", message: '"Mars/Olympus" is not known; use the name of a zone' }],
    },
  ];
  daemon.shaping.jobs = jobs;
  daemon.shaping.runs.set("j1", [
    { occurrence_at: "2026-01-05T00:00:00Z", at: "2026-01-05T00:00:01Z", kind: "scheduled", state: "fired", count: 1, message_id: "m7", turn: { id: "t7", state: "error" } },
    { occurrence_at: "2026-01-04T00:00:00Z", at: "2026-01-04T01:10:00Z", kind: "catch_up", state: "fired", count: 2, message_id: "m6", turn: { id: "t6", state: "ok" } },
    { occurrence_at: "2026-01-01T00:00:00Z", until_at: "2026-01-03T00:00:00Z", at: "2026-01-03T05:00:00Z", kind: "scheduled", state: "skipped", count: 3, reason: "The daemon was off, and the time was too long past." },
  ]);
  daemon.addMessage("eng", { id: "m6", text: "An older report" });
  for (let index = 0; index < 30; index++) daemon.addMessage("eng", { text: `Message ${index}\n\n`.repeat(3) });
  daemon.addMessage("eng", { id: "m7", text: "Write the report on last night's builds." });
}

describe("jobs", () => {
  it("are told in words, with the next run here and there, and what is wrong", async () => {
    scene();
    await at.enter("#/agent/eng/jobs");
    const { page } = at;
    const morning = row("morning-report");
    await morning.getByText("Monday to Friday at 09:00").waitFor();
    await morning.getByText(/^Next: .*\(in 24 h\) · .*in Asia\/Tokyo/).waitFor();
    await row("sweep").getByText("Every 15 minutes").waitFor();
    await row("sweep").getByText("Failed: the vault was away").waitFor();
    await row("typo").getByText("the hour 25 will not do; use 0 to 23").waitFor();
    await expect.poll(() => row("typo").getByRole("button", { name: "Run now: typo" }).isDisabled()).toBe(true);
    await at.shootAll("jobs");
    await morning.getByText("History").press("Enter");
    const runs = page.getByRole("list", { name: "Last runs of morning-report" });
    await runs.waitFor();
    await expect.poll(() => runs.getByRole("listitem").allInnerTexts()).toEqual([
      expect.stringMatching(/Run: its turn failed\s+See it/),
      expect.stringMatching(/Made up for 2 missed times: its turn succeeded\s+See it/),
      expect.stringMatching(/ to .*\s+3 times skipped · The daemon was off/),
    ]);
    await at.shootAll("jobs-history");
    await runs.getByRole("link", { name: "See it" }).last().click();
    const message = page.getByRole("article").filter({ hasText: "An older report" });
    await expect.poll(() => message.evaluate((article) => article === document.activeElement && article.getBoundingClientRect().top > 0)).toBe(true);
    await page.goBack();
    await page.getByRole("list", { name: /Last runs/ }).waitFor({ state: "detached" });
    await row("sweep").waitFor();
  });

  it("are run, switched off and on, and deleted after one more question", async () => {
    scene();
    await at.enter("#/agent/eng/jobs");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Run now: morning-report" }).click();
    await row("morning-report").getByRole("link", { name: "See it" }).waitFor();
    const onOff = row("morning-report").getByRole("switch");
    await onOff.press("Space");
    await row("morning-report").getByText("Paused: it does not run").waitFor();
    await expect.poll(() => onOff.isChecked()).toBe(false);
    await onOff.click();
    await expect.poll(() => onOff.isChecked()).toBe(true);
    // A switch shows what the daemon says, not what was hoped for.
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault is away.", next_step: "Try again." }];
    await onOff.click();
    await row("morning-report").getByText("The vault is away.").waitFor();
    await expect.poll(() => onOff.isChecked()).toBe(true);
    await row("sweep").getByRole("button", { name: "Delete…" }).click();
    await row("sweep").getByRole("group", { name: "Delete the job sweep?" }).getByRole("button", { name: "Delete" }).click();
    await row("sweep").waitFor({ state: "detached" });
    expect(daemon.shaping.sent.map(({ call }) => call)).toEqual([
      "POST /api/jobs/j1/run", "POST /api/jobs/j1/pause", "POST /api/jobs/j1/resume", "POST /api/jobs/j1/pause", "DELETE /api/jobs/j2",
    ]);
  });

  it("lose nothing that is done while something else is under way", async () => {
    scene();
    await at.enter("#/agent/eng/jobs");
    const { page, daemon } = at;
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    await page.route("**/api/jobs/j1/run", async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("button", { name: "Run now: morning-report" }).click();
    await row("morning-report").getByRole("switch").press("Space");
    go();
    await row("morning-report").getByText("Paused: it does not run").waitFor();
    expect(daemon.shaping.sent.map(({ call }) => call)).toEqual(["POST /api/jobs/j1/run", "POST /api/jobs/j1/pause"]);
  });

  it("begin with a form, whose objections stand at the fields", async () => {
    scene();
    const { daemon } = at;
    daemon.shaping.jobs.push({ id: "standup", noteId: "j9", channel: "eng", message: "Hello.", schedule: {}, enabled: true, status: "enabled" });
    await at.enter("#/agent/ops/jobs");
    const { page } = at;
    await page.getByText("Nothing is scheduled.").waitFor();
    await at.shootAll("jobs-empty");
    await page.getByRole("button", { name: "Add the first job" }).waitFor();
    Object.assign(daemon.shaping.jobs.at(-1) ?? {}, { channel: "ops" });
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await page.getByRole("button", { name: "Add a job" }).click();
    const form = page.getByRole("form", { name: "New job" });
    await form.getByLabel("Id").fill("the report");
    await form.getByLabel("Message").fill("Write the report.");
    await form.getByRole("button", { name: "Weekdays" }).click();
    await form.getByText("Monday to Friday at 09:00").waitFor();
    await form.getByLabel("Zone").fill("Mars/Olympus");
    await form.getByRole("button", { name: "Add it" }).click();
    await form.getByText('"the report" will not do').waitFor();
    await form.getByText('"Mars/Olympus" is not known').waitFor();
    await expect.poll(() => form.getByLabel("Id").evaluate((input) => input === document.activeElement)).toBe(true);
    await at.shootAll("jobs-refused");
    await form.getByLabel("Id").fill("standup");
    await form.getByText("There is a job of this id already.").waitFor();
    await form.getByLabel("Id").fill("report");
    await form.getByLabel("Zone").fill("Europe/Berlin");
    await expect.poll(() => form.locator("datalist option[value='Europe/Berlin']").count()).toBe(1);
    await form.getByLabel("Zone").press("Enter");
    await row("report").getByText("Monday to Friday at 09:00").waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({
      call: "POST /api/jobs",
      body: { id: "report", channel: "ops", message: "Write the report.", schedule: { cron: "0 9 * * 1-5", tz: "Europe/Berlin" }, catch_up: "once", overlap: "queue" },
    });
  });

  it("are one moment too, and are edited; only what was changed is sent", async () => {
    scene();
    await at.enter("#/agent/eng/jobs");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Edit typo" }).click();
    const form = page.getByRole("form", { name: "Edit typo" });
    await form.getByText("the hour 25 will not do").waitFor();
    await form.getByText("Once", { exact: true }).click();
    await form.getByLabel("Date and time").fill("2030-07-01T09:30");
    await form.getByLabel("Zone").fill("Europe/Berlin");
    await form.getByText("More", { exact: true }).click();
    await form.getByLabel("When the daemon was off at the time").selectOption("skip");
    await at.shootAll("jobs-edit");
    await form.getByRole("button", { name: "Save" }).click();
    await row("typo").getByText("Once").waitFor();
    expect(daemon.shaping.sent).toEqual([
      { call: "PATCH /api/jobs/j3", body: { schedule: { at: "2030-07-01T09:30:00+02:00", tz: "Europe/Berlin" }, catch_up: "skip" } },
    ]);
    await page.getByRole("button", { name: "Edit typo" }).click();
    await form.getByLabel("Message").fill("unsaved");
    await form.getByRole("button", { name: "Cancel" }).click();
    await row("typo").getByText("Hello.").waitFor();
  });
});
