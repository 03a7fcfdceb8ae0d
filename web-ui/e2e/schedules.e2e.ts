/** The schedules of all agents: seen, made, changed and removed. */
import { describe, expect, it } from "vitest";
import type { Job } from "../app/jobs/api";
import { seriousInBoth } from "./axe";
import { stage } from "./stage";

const at = stage();
const room = () => at.page.getByRole("main");
const row = (id: string) => room().locator("tbody").filter({ has: at.page.getByRole("button", { name: id, exact: true }) });
const ids = () => room().locator(".fold bdi").allTextContents();
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
const HOUR = 3_600_000;

function job(id: string, channel: string, more: Partial<Job> = {}): Job {
  return { id, noteId: `n-${id}`, channel, message: `Do ${id}.`, schedule: { cron: "0 9 * * *", tz: "UTC" }, enabled: true, status: "enabled", catch_up: "once", overlap: "queue", ...more };
}

function scene(): void {
  const { daemon } = at;
  for (const name of ["eng", "ops", "writer"]) daemon.addAgent(name, { note_id: `d-${name}` });
  daemon.shaping.jobs = [
    job("morning-report", "eng", { schedule: { cron: "0 9 * * 1-5", tz: "Asia/Tokyo" }, nextRunAt: inMs(20 * HOUR), lastRunAt: inMs(-4 * HOUR), lastStatus: "ok", message: "Write the report on last night's builds.\nName each that failed, and who is on it." }),
    job("sweep", "ops", { schedule: { cron: "*/15 * * * *", tz: "UTC" }, nextRunAt: inMs(HOUR / 6), lastRunAt: inMs(-HOUR / 12), lastStatus: "error: timed_out: It took longer than 10 minutes." }),
    job("newsletter", "writer", { schedule: { cron: "0 7 * * 1", tz: "Europe/Berlin" }, enabled: false, status: "paused", pause_reason: "Until the new layout is there." }),
    job("typo", "writer", { schedule: { cron: "0 25 * * *", tz: "UTC" }, status: "error", problems: [{ key: "cron", message: "the hour 25 will not do; use 0 to 23" }] }),
    job("launch", "writer", { schedule: { at: "2026-01-05T09:00:00Z", tz: "UTC" }, status: "done", lastRunAt: "2026-01-05T09:00:00Z", lastStatus: "ok" }),
  ];
  daemon.shaping.runs.set("n-morning-report", [
    { occurrence_at: "2026-01-05T00:00:00Z", at: "2026-01-05T00:00:01Z", kind: "scheduled", state: "fired", count: 1, message_id: "m7", turn: { id: "t7", state: "ok" } },
    { occurrence_at: "2026-01-01T00:00:00Z", until_at: "2026-01-03T00:00:00Z", at: "2026-01-03T05:00:00Z", kind: "scheduled", state: "skipped", count: 3, reason: "The daemon was off, and the time was too long past." },
  ]);
  daemon.system.validates = true;
}

describe("schedules", () => {
  it("of all agents stand in one list, with the next run here and there, how the last went, and what needs a person first", async () => {
    scene();
    await at.reopen({ timezoneId: "Europe/Berlin", bypassCSP: true });
    await at.enter("#/jobs");
    const { page } = at;
    await expect.poll(ids).toEqual(["typo", "sweep", "morning-report", "newsletter", "launch"]);
    await room().getByText(/^5 schedules · 1 paused · 1 to be corrected · the next in \d+ min$/).waitFor();
    await row("morning-report").getByText("Monday to Friday at 09:00").waitFor();
    await expect.poll(() => row("morning-report").locator(".cell-due").innerText()).toMatch(/\w{3},? \d+ \w{3,4}( \d{4})?, \d\d:\d\d in 20 h\s+.*\d\d:\d\d in Asia\/Tokyo/);
    await row("morning-report").getByText("Succeeded").waitFor();
    await row("sweep").getByText("Failed: It took longer than 10 minutes.").waitFor();
    await row("newsletter").getByText(/Until the new layout is there\./).waitFor();
    await row("launch").getByText("Done", { exact: true }).waitFor();
    await row("typo").getByText("To be corrected").waitFor();
    await row("morning-report").getByRole("button", { name: "morning-report" }).press("Enter");
    await row("morning-report").getByText("Name each that failed").waitFor();
    await row("morning-report").getByText("History").press("Enter");
    await row("morning-report").getByText("3 times skipped · The daemon was off").waitFor();
    await row("typo").getByRole("button", { name: "typo" }).click();
    await row("typo").getByText("the hour 25 will not do; use 0 to 23").waitFor();
    await at.shootAll("schedules");
    expect(await seriousInBoth(page)).toEqual([]);
  });

  it("are found by agent, state and words", async () => {
    scene();
    await at.enter("#/jobs");
    const { page } = at;
    await page.getByLabel("Agent", { exact: true }).selectOption("writer");
    await expect.poll(ids).toEqual(["typo", "newsletter", "launch"]);
    expect(new URL(page.url()).hash).toBe("#/jobs/writer");
    await page.getByLabel("State").selectOption("paused");
    await expect.poll(ids).toEqual(["newsletter"]);
    await room().getByText("1 of 5 schedules shown.").waitFor();
    await page.goBack();
    await page.getByLabel("State").selectOption("failed");
    await expect.poll(ids).toEqual(["sweep"]);
    await page.getByLabel("State").selectOption("all");
    await page.locator("body").press("/");
    await page.keyboard.type("monday report");
    await expect.poll(ids).toEqual(["morning-report"]);
    await page.getByRole("searchbox").fill("nothing like it");
    await room().getByText("None of them fits.").waitFor();
  });

  it("are made by presets, and one sees when they would run", async () => {
    scene();
    await at.reopen({ timezoneId: "Europe/Berlin", bypassCSP: true });
    await at.enter("#/jobs");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "New schedule" }).press("Enter");
    const form = page.getByRole("form", { name: "New job" });
    await expect.poll(() => form.getByLabel("Agent").evaluate((box) => box === document.activeElement)).toBe(true);
    await form.getByLabel("Agent").selectOption("ops");
    await form.getByLabel("Id").fill("sweep");
    await form.getByText("There is a job of this id already.").waitFor();
    await form.getByLabel("Agent").selectOption("writer");
    await form.getByText("There is a job of this id already.").waitFor({ state: "detached" });
    await form.getByLabel("Id").fill("tidy");
    await form.getByLabel("Message").fill("Tidy up.");
    await expect.poll(() => form.getByLabel("Zone").inputValue()).toBe("Europe/Berlin");
    const times = form.getByRole("region", { name: "When it would run" }).getByRole("listitem");
    await expect.poll(() => times.count()).toBe(5);
    const cron = form.getByLabel("Cron");
    for (const [preset, expected, words] of [
      ["Every 15 minutes", "*/15 * * * *", "Every 15 minutes"], ["Every hour", "0 * * * *", "Every hour"], ["Weekdays", "0 9 * * 1-5", "Monday to Friday at 09:00"],
      ["Every month", "0 9 1 * *", "On day 1 of every month at 09:00"], ["Every week", "0 9 * * 1", "Every Monday at 09:00"],
    ] as const) {
      await form.getByRole("button", { name: preset, exact: true }).click();
      await expect.poll(() => cron.inputValue()).toBe(expected);
      await form.locator("#job-cron-help").getByText(words).waitFor();
    }
    await form.getByLabel("Day").selectOption({ label: "Friday" });
    await form.getByLabel("At", { exact: true }).fill("17:30");
    await expect.poll(() => cron.inputValue()).toBe("30 17 * * 5");
    await form.getByLabel("Zone").fill("America/New_York");
    await expect.poll(() => times.first().innerText()).toMatch(/^Fri,? .*, 2[23]:30 in .*\s+17:30 in America\/New_York$/);
    await form.getByRole("button", { name: "Take mine, Europe/Berlin" }).click();
    await expect.poll(() => times.first().innerText()).toMatch(/^Fri,? .*, 17:30 in [^/]*$/);
    // What would be refused is said before it is sent.
    await cron.fill("30 17 * *");
    await form.getByText("has not five fields").waitFor();
    await form.getByText("Never, as it stands.").waitFor();
    await cron.fill("30 17 * * 5");
    await form.getByText("More", { exact: true }).click();
    await form.getByLabel("When the last run still goes on").selectOption("skip");
    await form.getByText("There is never more than one at a time.").waitFor();
    await expect.poll(() => times.count()).toBe(5);
    await at.shootAll("schedules-new");
    expect(await seriousInBoth(page)).toEqual([]);
    await form.getByRole("button", { name: "Add it" }).click();
    await row("tidy").getByText("Every Friday at 17:30").waitFor();
    expect(daemon.shaping.sent).toEqual([
      { call: "POST /api/jobs", body: { id: "tidy", channel: "writer", message: "Tidy up.", schedule: { cron: "30 17 * * 5", tz: "Europe/Berlin" }, catch_up: "once", overlap: "skip" } },
    ]);
    await expect.poll(() => page.getByRole("button", { name: "New schedule" }).evaluate((button) => button === document.activeElement)).toBe(true);
  });

  it("are one moment too; a daemon that tells no times leaves them to the page", async () => {
    scene();
    at.daemon.system.validates = false;
    await at.reopen({ timezoneId: "Europe/Berlin" });
    await at.enter("#/jobs/ops");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "New schedule" }).click();
    const form = page.getByRole("form", { name: "New job" });
    // The agent that is looked at.
    await expect.poll(() => form.getByLabel("Agent").inputValue()).toBe("ops");
    await form.getByText("Reckoned by this page; the daemon decides.").waitFor();
    await form.getByLabel("Id").fill("party");
    await form.getByLabel("Message").fill("Sing.");
    await form.getByRole("button", { name: "Once" }).click();
    await form.getByText("Choose a moment that is still to come.").waitFor();
    await form.getByLabel("Date and time").fill("2030-07-01T20:00");
    await form.getByRole("region", { name: "When it would run" }).getByText("Mon, 1 Jul 2030, 20:00").waitFor();
    await form.getByLabel("Date and time").press("Enter");
    await row("party").getByText("Once").waitFor();
    expect(daemon.shaping.sent.at(-1)?.body).toMatchObject({ channel: "ops", schedule: { at: "2030-07-01T20:00:00+02:00", tz: "Europe/Berlin" } });
  });

  it("keep what was written and not saved, over a refusal, another room and a reload", async () => {
    scene();
    await at.enter("#/jobs");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "New schedule" }).click();
    const form = page.getByRole("form", { name: "New job" });
    await form.getByLabel("Id").fill("tidy");
    await form.getByLabel("Message").fill("Tidy up.");
    await form.getByLabel("Agent").selectOption("eng");
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault is away.", next_step: "Try again." }];
    await form.getByRole("button", { name: "Add it" }).click();
    await form.getByText("The vault is away.").waitFor();
    await form.getByText("What you wrote is kept").waitFor();
    await page.goto(`${daemon.url}#/`);
    await page.getByRole("heading", { name: "Agents" }).waitFor();
    await page.reload();
    await page.goto(`${daemon.url}#/jobs`);
    await form.getByText("What you wrote here before is back; it was not saved yet.").waitFor();
    const written = async (): Promise<string[]> => [await form.getByLabel("Agent").inputValue(), await form.getByLabel("Id").inputValue(), await form.getByLabel("Message").inputValue()];
    await expect.poll(written).toEqual(["eng", "tidy", "Tidy up."]);
    await form.getByRole("button", { name: "Begin anew" }).click();
    await expect.poll(() => form.getByLabel("Message").inputValue()).toBe("");
    await form.getByRole("button", { name: "Cancel" }).click();
    // A change of one that is there comes back as well, and only what was changed is sent.
    await row("morning-report").getByRole("button", { name: "morning-report" }).click();
    await row("morning-report").getByRole("button", { name: "Edit morning-report" }).click();
    await page.getByRole("form", { name: "Edit morning-report" }).getByLabel("Message").fill("Write less.");
    await page.reload();
    const edit = page.getByRole("form", { name: "Edit morning-report" });
    await edit.getByText("it was not saved yet").waitFor();
    await at.shootAll("schedules-edit");
    await edit.getByRole("button", { name: "Save" }).click();
    await row("morning-report").getByText("Write less.").waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({ call: "PATCH /api/jobs/n-morning-report", body: { message: "Write less." } });
    await page.reload();
    await row("morning-report").waitFor();
    await expect.poll(() => page.getByRole("form").count()).toBe(0);
  });

  it("are run, and one sees how the turn goes; paused with a reason, resumed, and deleted after one more question", async () => {
    scene();
    await at.enter("#/jobs");
    const { page, daemon } = at;
    const message = daemon.addMessage("ops", { id: "m7", text: "Do sweep.", state: "waiting", turn: "t9" });
    daemon.shaping.ran = { turn: "t9" };
    const sweep = row("sweep");
    await sweep.getByRole("button", { name: "sweep", exact: true }).click();
    await sweep.getByRole("button", { name: "Run now: sweep" }).click();
    await sweep.getByText("Its message is written. Its message waits.").waitFor();
    daemon.emit("ops", message, [{ kind: "started", attempt: 1 }], "t9");
    await sweep.getByText("Its turn runs.").waitFor();
    daemon.emit("ops", message, [{ kind: "done", reply: "Swept." }], "t9");
    await sweep.getByText("Its turn succeeded.").waitFor();
    await sweep.getByRole("button", { name: "Pause…" }).click();
    await expect.poll(() => sweep.getByLabel("Why it is paused").evaluate((input) => input === document.activeElement)).toBe(true);
    await page.keyboard.type("Until Monday.");
    await page.keyboard.press("Enter");
    await sweep.getByText("Paused: it does not run until it is switched on. Until Monday.").waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({ call: "POST /api/jobs/n-sweep/pause", body: { reason: "Until Monday." } });
    await sweep.getByRole("switch").press("Space");
    await sweep.getByText("Enabled", { exact: true }).waitFor();
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault is away.", next_step: "Try again." }];
    await sweep.getByRole("switch").click();
    await sweep.getByText("The vault is away.").waitFor();
    await expect.poll(() => sweep.getByRole("switch").isChecked()).toBe(true);
    await sweep.getByRole("button", { name: "Delete…" }).click();
    await at.shootAll("schedules-delete");
    await sweep.getByRole("button", { name: "Keep it" }).click();
    await sweep.getByRole("button", { name: "Delete…" }).click();
    await sweep.getByRole("button", { name: "Delete", exact: true }).click();
    await sweep.waitFor({ state: "detached" });
    expect(daemon.shaping.sent.at(-1)?.call).toBe("DELETE /api/jobs/n-sweep");
    // What others change is seen when it is told.
    Object.assign(daemon.shaping.jobs[0] ?? {}, { id: "evening-report" });
    daemon.hint("jobs");
    await row("evening-report").waitFor();
  });

  it("that are none are said plainly, and what to do; as is a list that does not come", async () => {
    const { daemon } = at;
    daemon.addAgent("eng");
    await at.enter("#/jobs");
    const { page } = at;
    await room().getByText("Nothing is scheduled.").waitFor();
    await at.shootAll("schedules-empty");
    await room().getByRole("button", { name: "Make the first one" }).click();
    await page.getByRole("form", { name: "New job" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await daemon.stop();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await room().getByRole("alert").getByText("The daemon did not answer.").waitFor();
    // They are read now and then by themselves, too: not before the click.
    const go = await at.hold("**/api/jobs");
    await daemon.start();
    await room().getByRole("button", { name: "Try again" }).click();
    go();
    await room().getByRole("alert").waitFor({ state: "detached" });
    await at.stopClock();
    await page.locator("body").press("g");
    await page.locator("body").press("y");
    await page.getByRole("heading", { name: "System" }).waitFor();
    await page.locator("body").press("g");
    await page.locator("body").press("s");
    await page.getByRole("heading", { name: "Schedules" }).waitFor();
  });
});
