import { describe, expect, it } from "vitest";
import type { Job, Run } from "../app/jobs/api";
import { draftOf, editOf, fieldOf, newJob, scheduleOf } from "../app/jobs/form";
import { noNextRun, runLine, scheduleText } from "../app/jobs/history";
import { elsewhere, fromNow, localZone, momentOf, wallClock, zones } from "../app/jobs/when";
import { sortProblems } from "../app/problems";

const JOB: Job = {
  id: "nightly", noteId: "n1", channel: "eng", message: "Look at the build.", schedule: { cron: "0 2 * * *", tz: "Europe/Berlin" },
  enabled: true, status: "enabled",
};
const BERLIN = "Europe/Berlin";

describe("moments", () => {
  it("are a wall time of a zone and back, over both changes of the clock", () => {
    for (const [wall, zone, moment] of [
      ["2027-01-05T10:00", BERLIN, "2027-01-05T10:00:00+01:00"],
      ["2027-07-05T10:00", BERLIN, "2027-07-05T10:00:00+02:00"],
      ["2027-07-05T10:00", "UTC", "2027-07-05T10:00:00+00:00"],
      ["2027-07-05T23:30", "America/St_Johns", "2027-07-05T23:30:00-02:30"],
      ["2027-07-05T00:30", "Pacific/Kiritimati", "2027-07-05T00:30:00+14:00"],
      // It comes twice; the first is in summer time.
      ["2027-10-31T02:30", BERLIN, "2027-10-31T02:30:00+02:00"],
    ] as const) {
      expect(momentOf(wall, zone)).toBe(moment);
      expect(wallClock(moment, zone)).toBe(wall);
    }
  });

  it("that no clock shows, or of no zone, are none", () => {
    expect(momentOf("2027-03-28T02:30", BERLIN)).toBeUndefined();
    expect(momentOf("2027-03-28T04:30", "Mars/Olympus")).toBeUndefined();
    expect(momentOf("", BERLIN)).toBeUndefined();
    expect(wallClock("never", BERLIN)).toBeUndefined();
  });

  it("are told for the job's zone only where its clock differs", () => {
    expect(elsewhere("2027-01-05T10:00:00Z", localZone())).toBeUndefined();
    expect(elsewhere("2027-01-05T10:00:00Z", undefined)).toBeUndefined();
    expect(elsewhere("2027-01-05T10:00:00Z", "Mars/Olympus")).toBeUndefined();
    const other = localZone() === "Asia/Tokyo" ? "UTC" : "Asia/Tokyo";
    expect(elsewhere("2027-01-05T10:00:00Z", other)).toContain(` in ${other}`);
  });

  it("are told from now", () => {
    const now = Date.parse("2027-01-05T10:00:00Z");
    const far = ["2027-01-05T09:00:00Z", "2027-01-05T10:00:30Z", "2027-01-05T10:59:00Z", "2027-01-05T13:10:00Z", "2027-01-09T10:00:00Z", "x"];
    expect(far.map((at) => fromNow(at, now))).toEqual(["now", "in 1 min", "in 59 min", "in 3 h", "in 4 days", ""]);
  });

  it("have all zones to choose from, each once", () => {
    expect(zones()).toContain("UTC");
    expect(zones()).toContain(BERLIN);
    expect(new Set(zones()).size).toBe(zones().length);
  });
});

describe("the form of a job", () => {
  it("sends a new one whole", () => {
    const draft = { ...draftOf(undefined, BERLIN), id: " nightly ", message: " Look. ", cron: " 0 2 * * * " };
    expect(newJob(draft, "eng", BERLIN)).toEqual({
      id: "nightly", channel: "eng", message: "Look.", schedule: { cron: "0 2 * * *", tz: BERLIN }, catch_up: "once", overlap: "queue",
    });
  });

  it("sends one moment in the job's zone, or else the reader's", () => {
    const draft = { ...draftOf(undefined, BERLIN), kind: "at" as const, at: "2027-01-05T10:00" };
    expect(scheduleOf(draft, "UTC")).toEqual({ at: "2027-01-05T10:00:00+01:00", tz: BERLIN });
    expect(scheduleOf({ ...draft, tz: " " }, "UTC")).toEqual({ at: "2027-01-05T10:00:00+00:00" });
    // The daemon says what is wrong with it.
    expect(scheduleOf({ ...draft, at: "2027-03-28T02:30" }, "UTC")).toEqual({ at: "2027-03-28T02:30", tz: BERLIN });
  });

  it("sends of a job only what was changed", () => {
    const opened = draftOf(JOB, "UTC");
    expect(editOf(opened, opened, "UTC")).toEqual({});
    expect(editOf({ ...opened, message: "Look twice. ", overlap: "skip" }, opened, "UTC")).toEqual({ message: "Look twice.", overlap: "skip" });
    expect(editOf({ ...opened, tz: "" }, opened, "UTC")).toEqual({ schedule: { cron: "0 2 * * *" } });
    const named = draftOf({ ...JOB, subject: "Builds" }, "UTC");
    expect(editOf({ ...named, subject: " " }, named, "UTC")).toEqual({ subject: null });
  });

  it("shows a moment on the clock of the job's zone", () => {
    const { kind, at, tz } = draftOf({ ...JOB, schedule: { at: "2027-01-05T09:00:00Z", tz: BERLIN } }, "UTC");
    expect({ kind, at, tz }).toEqual({ kind: "at", at: "2027-01-05T10:00", tz: BERLIN });
  });

  it("has a field for what the daemon objects to, of the kind that is shown", () => {
    const problems = ["id", "cron", "at", "tz", "catch_up", "pause_reason"].map((key) => ({ key, message: `no ${key}` }));
    const { fields, rest } = sortProblems(problems, (key) => fieldOf(key, "cron"));
    expect([...fields]).toEqual([["id", ["no id"]], ["cron", ["no cron", "no at"]], ["tz", ["no tz"]], ["catchUp", ["no catch_up"]]]);
    expect(rest).toEqual([{ key: "pause_reason", message: "no pause_reason" }]);
    expect(fieldOf("cron", "at")).toBe("at");
    const since = sortProblems(problems, (key) => fieldOf(key, "cron"), new Set(["id", "cron"]));
    expect([...since.fields.keys()]).toEqual(["tz", "catchUp"]);
  });
});

describe("a job in words", () => {
  it("tells its schedule, and why it has no next run", () => {
    expect(scheduleText(JOB)).toEqual({ words: "Every day at 02:00", code: "0 2 * * *" });
    expect(scheduleText({ ...JOB, schedule: { cron: "soon" } })).toEqual({ code: "soon" });
    expect(scheduleText({ ...JOB, schedule: { at: "2027-01-05T09:00:00Z" } })).toEqual({ words: "Once" });
    expect(scheduleText({ ...JOB, schedule: {} })).toEqual({});
    expect([{ status: "error" }, { status: "done" }, { status: "paused", enabled: false }, {}].map((more) => noNextRun({ ...JOB, ...more }).split(/[:. ]/)[0])).toEqual(["It", "Done", "Paused", "No"]);
    expect(noNextRun({ ...JOB, enabled: false, pause_reason: "Until Monday." })).toMatch(/switched on\. Until Monday\.$/);
  });

  it("tells what became of each occurrence", () => {
    const run: Run = { occurrence_at: "2027-01-05T09:00:00Z", at: "2027-01-05T09:00:01Z", kind: "scheduled", state: "fired", count: 1 };
    const told = (more: Partial<Run>) => runLine({ ...run, ...more });
    expect(told({ turn: { id: "t", state: "ok" } })).toEqual({ text: "Run: its turn succeeded", bad: false });
    expect(told({ turn: { id: "t", state: "error" } })).toEqual({ text: "Run: its turn failed", bad: true });
    // The turn may be forgotten when its end is still known.
    expect(told({ outcome: "ok" })).toEqual({ text: "Run: its turn succeeded", bad: false });
    expect(told({ outcome: "error: no such model" })).toEqual({ text: "Run: its turn failed", bad: true, reason: "no such model" });
    expect(told({ state: "pending" })).toEqual({ text: "It is being started", bad: false });
    expect(told({ kind: "manual" })).toEqual({ text: "Run now", bad: false });
    expect(told({ kind: "catch_up", count: 3 })).toEqual({ text: "Made up for 3 missed times", bad: false });
    expect(told({ state: "skipped", reason: "The daemon was off." })).toEqual({ text: "Skipped", bad: false, reason: "The daemon was off." });
    expect(told({ state: "skipped", count: 12 })).toEqual({ text: "12 times skipped", bad: false });
    expect(told({ state: "failed", reason: "The vault was away." })).toEqual({ text: "Could not be started", bad: true, reason: "The vault was away." });
  });
});
