import { describe, expect, it } from "vitest";
import type { Job } from "../app/jobs/api";
import { draftOf } from "../app/jobs/form";
import { dropForm, keepForm, keptForm } from "../app/jobs/kept";
import { arrangedJobs, lastLine, stateOf } from "../app/jobs/list";
import { nextRuns } from "../app/jobs/next";
import { choose, chosenOf, cronOf, PRESETS, presetOf } from "../app/jobs/presets";
import { reckoned } from "../app/jobs/preview";

const JOB: Job = { id: "nightly", noteId: "n1", channel: "eng", message: "Look at the build.", schedule: { cron: "0 2 * * *" }, enabled: true, status: "enabled" };
const job = (id: string, more: Partial<Job> = {}): Job => ({ ...JOB, id, noteId: id, ...more });
const BERLIN = "Europe/Berlin";
const NOW = Date.parse("2027-01-05T10:00:00Z");

describe("the next times of an expression", () => {
  it("are those of the zone's clock, also over its changes", () => {
    expect(nextRuns("0 9 * * 1-5", BERLIN, Date.parse("2027-03-26T09:00:00Z"), 3)).toEqual(["2027-03-29T09:00:00+02:00", "2027-03-30T09:00:00+02:00", "2027-03-31T09:00:00+02:00"]);
    // At 02:30 on the 28th no clock is there.
    expect(nextRuns("30 2 * * *", BERLIN, Date.parse("2027-03-27T00:00:00Z"), 2)).toEqual(["2027-03-27T02:30:00+01:00", "2027-03-29T02:30:00+02:00"]);
    expect(nextRuns("*/15 * * * *", "UTC", NOW, 3)).toEqual(["2027-01-05T10:15:00+00:00", "2027-01-05T10:30:00+00:00", "2027-01-05T10:45:00+00:00"]);
    expect(nextRuns("@monthly", "Asia/Tokyo", NOW, 1)).toEqual(["2027-02-01T00:00:00+09:00"]);
  });

  it("are by date or by weekday, where both are named", () => {
    const days = (cron: string, many: number) => nextRuns(cron, "UTC", NOW, many).map((at) => at.slice(0, 10));
    expect(days("0 0 13 * 5", 3)).toEqual(["2027-01-08", "2027-01-13", "2027-01-15"]);
    expect(days("0 0 29 2 *", 2)).toEqual(["2028-02-29", "2032-02-29"]);
  });

  it("are none of what cannot be read, of what never comes, and of no zone", () => {
    expect(nextRuns("0 25 * * *", "UTC", NOW, 5)).toEqual([]);
    expect(nextRuns("0 0 31 2 *", "UTC", NOW, 5)).toEqual([]);
    expect(nextRuns("@daily", "Mars/Olympus", NOW, 5)).toEqual([]);
  });

  it("are reckoned for the form: once, or five", () => {
    const draft = draftOf(undefined, BERLIN);
    expect(reckoned(draft, BERLIN, NOW).next).toHaveLength(5);
    expect(reckoned({ ...draft, kind: "at", at: "2027-01-05T12:00" }, BERLIN, NOW).next).toEqual([{ at: "2027-01-05T12:00:00+01:00" }]);
    expect(reckoned({ ...draft, kind: "at", at: "2027-01-05T10:30" }, BERLIN, NOW).next).toEqual([]);
  });
});

describe("presets", () => {
  it("are known again in the expressions that they make", () => {
    for (const { preset } of PRESETS) {
      const draft = { kind: "cron" as const, cron: "30 7 * * 3", ...choose(preset, { cron: "30 7 * * 3" }) };
      expect(presetOf(draft)).toBe(preset === "own" ? "weekly" : preset);
    }
    expect(["@hourly", "@daily", "@monthly", "0,30 * * * *", "5 * * * *", "", "soon"].map((cron) => presetOf({ kind: "cron", cron }))).toEqual(["hourly", "daily", "monthly", "own", "own", "own", "own"]);
  });

  it("keep the time that was chosen before", () => {
    expect(choose("weekdays", { cron: "30 7 * * *" })).toEqual({ kind: "cron", cron: "30 7 * * 1-5" });
    expect(choose("daily", { cron: "*/15 * * * *" })).toEqual({ kind: "cron", cron: "0 9 * * *" });
    expect(choose("own", { cron: "30 7 * * *" })).toEqual({ kind: "cron" });
    expect(chosenOf("5 17 * * 0")).toEqual({ time: "17:05", weekday: 0 });
    expect(cronOf("weekly", { time: "17:05", weekday: 5 })).toBe("5 17 * * 5");
  });
});

describe("all schedules", () => {
  it("stand in an order: what is to be corrected, what is due soonest, what is paused, what is done", () => {
    const list = [
      job("done", { status: "done" }), job("off", { enabled: false, status: "paused", nextRunAt: "2027-01-01T00:00:00Z" }),
      job("late", { nextRunAt: "2027-02-01T00:00:00Z" }), job("soon", { nextRunAt: "2027-01-06T00:00:00Z", channel: "ops" }), job("bad", { status: "error" }),
    ];
    const names = (filter = {}) => arrangedJobs(list, { agent: "", state: "all", text: "", ...filter }).map(({ id }) => id);
    expect(names()).toEqual(["bad", "soon", "late", "off", "done"]);
    expect(names({ agent: "ops" })).toEqual(["soon"]);
    expect(names({ state: "paused" })).toEqual(["off"]);
    expect(names({ text: "LATE build" })).toEqual(["late"]);
    expect(names({ text: "every day at 02" })).toHaveLength(5);
    expect(list.map((one) => stateOf(one).word)).toEqual(["Done", "Paused", "Enabled", "Enabled", "To be corrected"]);
  });

  it("tell how the last run ended, without codes", () => {
    const told = (lastStatus: string) => lastLine({ ...JOB, lastStatus });
    expect(lastLine(JOB)).toBeUndefined();
    expect(told("ok")).toEqual({ text: "Succeeded", bad: false });
    expect(told("error: timed_out: It took too long.")).toEqual({ text: "Failed", bad: true, why: "It took too long." });
    expect(told("error: the vault was away: again")).toEqual({ text: "Failed", bad: true, why: "the vault was away: again" });
    expect(told("error: skipped 3 runs: The daemon was off.")).toEqual({ text: "3 times skipped", bad: true, why: "The daemon was off." });
    expect(told("error: skipped: The last one still ran.")).toEqual({ text: "Skipped", bad: true, why: "The last one still ran." });
    expect(told("error: cancelled")).toEqual({ text: "Stopped", bad: false });
  });
});

describe("a form that was left", () => {
  it("is there again until it is saved or is as it was", () => {
    const opened = draftOf(JOB, "UTC");
    const form = { agent: "eng", opened, draft: { ...opened, message: "Look twice." } };
    keepForm("n1", form);
    expect(keptForm("n1")).toEqual(form);
    expect(keptForm("n2")).toBeUndefined();
    keepForm("n1", { ...form, draft: opened });
    expect(keptForm("n1")).toBeUndefined();
    keepForm("n1", form);
    dropForm("n1");
    expect(keptForm("n1")).toBeUndefined();
    localStorage.setItem("reveille:job:n1", "{\"draft\":1}");
    expect(keptForm("n1")).toBeUndefined();
  });
});
