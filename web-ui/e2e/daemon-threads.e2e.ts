/** Conversations against the compiled daemon (`REVEILLE_E2E_BIN`) with the scripted stand-in. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";
import { Compiled, PROGRAM } from "./compiled";
import { LIMIT } from "./slow";

const daemon = new Compiled();
const LIVE = LIMIT;
let browser: Browser;
let at: Watched;
let page: Page;

const rows = () => page.locator(".threads-table tbody tr");
const names = () => rows().locator(".thread-text > a").allTextContents();
const row = (name: string) => rows().filter({ has: page.locator(".thread-text > a", { hasText: name }) });
const log = () => page.getByRole("log");
const send = (agent: string, body: { text: string; subject?: string }) => daemon.ask("POST", `/api/channels/${agent}/send`, body);
const threads = async (agent: string): Promise<{ thread: string; state: string; turns: number }[]> =>
  (await daemon.ask<{ threads: { thread: string; state: string; turns: number }[] }>("GET", `/api/channels/${agent}/threads`)).threads;
const settled = (agent: string, turns: number) =>
  expect.poll(async () => (await threads(agent)).filter(({ state }) => state === "idle" || state === "error").reduce((sum, one) => sum + one.turns, 0), { timeout: LIVE }).toBe(turns);

describe.runIf(PROGRAM)("conversations of a real daemon", () => {
  beforeAll(async () => {
    await daemon.start();
    browser = await launch();
    at = await openPage(browser);
    page = at.page;
    await daemon.overlay(page.context());
    await daemon.ask("POST", "/api/agents", { name: "eng", prompt: "Answer with one short sentence." });
    await daemon.ask("POST", "/api/agents", { name: "writer", prompt: "Write.", metadata: { mode: "multi-threaded" } });
    await send("eng", { text: "Please mend the parser. [[reply The parser reads both forms now.]]" });
    await send("eng", { text: "Where is the parcel? [[reply It was shipped on Tuesday.]]", subject: "order 17" });
    await send("writer", { text: "Release notes for 1.4 [[reply Here they are, with a zeppelin in them.]]" });
    await send("writer", { text: "A newsletter [[error 401]]" });
    await page.goto(await daemon.signInLink());
    await page.getByRole("navigation", { name: "Agents" }).waitFor();
    await page.goto(`${daemon.url}#/threads`);
  });
  afterAll(async () => {
    await browser?.close();
    if (PROGRAM) await daemon.remove();
  });

  it("are listed with what they are about and how they stand, the last active first", async () => {
    await settled("eng", 2);
    await settled("writer", 2);
    await expect.poll(async () => (await names()).toSorted()).toEqual(["Main conversation", "order 17", expect.any(String), expect.any(String)].toSorted());
    await row("order 17").getByText("It was shipped on Tuesday.").waitFor();
    await row("Main conversation").getByText("The parser reads both forms now.").waitFor();
    const writers = rows().filter({ has: page.locator(".of-agent", { hasText: "writer" }) });
    await expect.poll(async () => (await writers.locator(".of-state").allTextContents()).toSorted()).toEqual(["Failed", "Idle"]);
    await shoot(page, "real-threads");
    await page.getByRole("main").getByLabel("State").selectOption("error");
    await expect.poll(names).toHaveLength(1);
    await page.getByRole("main").getByLabel("State").selectOption("");
    await page.getByRole("main").getByLabel("Agent", { exact: true }).selectOption("eng");
    await expect.poll(async () => (await names()).toSorted()).toEqual(["Main conversation", "order 17"]);
    await page.getByRole("main").getByLabel("Agent", { exact: true }).selectOption("");
    await expect.poll(names).toHaveLength(4);
    expect(at.faults).toEqual([]);
  });

  it("are found by what was asked and by what was answered, with the hit marked", async () => {
    await page.getByRole("searchbox").fill("parcel");
    await expect.poll(names).toEqual(["order 17"]);
    expect((await row("order 17").locator("mark").textContent())?.toLowerCase()).toBe("parcel");
    await page.getByRole("searchbox").fill("zeppelin");
    await expect.poll(() => rows().locator("mark").allTextContents()).toEqual(["zeppelin"]);
    await shoot(page, "real-threads-search");
    await page.getByRole("searchbox").fill("nobody said this");
    await page.getByText("No conversation has “nobody said this” in it.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await expect.poll(names).toHaveLength(4);
    expect(at.faults).toEqual([]);
  });

  it("are given a name, put away and brought back", async () => {
    await row("order 17").hover();
    await page.getByRole("button", { name: "Rename order 17" }).click();
    await page.getByLabel("Name of the conversation").fill("The parcel to Ghent");
    await page.keyboard.press("Enter");
    await row("The parcel to Ghent").waitFor();
    await page.reload();
    await row("The parcel to Ghent").hover();
    await page.getByRole("button", { name: "Archive The parcel to Ghent" }).click();
    await page.getByText("“The parcel to Ghent” is archived.").waitFor();
    await expect.poll(names).toHaveLength(3);
    await page.getByRole("main").getByLabel("Archived").selectOption("true");
    await expect.poll(names).toEqual(["The parcel to Ghent"]);
    await page.getByRole("button", { name: "Bring back The parcel to Ghent" }).click();
    await expect.poll(names).toEqual([]);
    await page.getByRole("main").getByLabel("Archived").selectOption("false");
    await expect.poll(names).toHaveLength(4);
    expect(at.faults).toEqual([]);
  });

  it("are opened alone, with their own messages, and take more of them", async () => {
    await row("The parcel to Ghent").locator(".thread-text > a").click();
    await page.getByRole("heading", { name: "The parcel to Ghent" }).waitFor();
    await log().getByText("It was shipped on Tuesday.", { exact: true }).waitFor();
    await expect.poll(() => log().getByText("mend the parser").count()).toBe(0);
    const box = page.getByRole("textbox", { name: "Message to eng" });
    const { held, open } = daemon.gate();
    await box.fill(`Has it come? ${held} [[reply It has, this morning.]]`);
    await box.press("Enter");
    await log().getByRole("article", { name: "eng, working" }).waitFor({ timeout: LIVE });
    // What is said elsewhere stays there.
    await send("eng", { text: "Something else [[reply Elsewhere.]]" });
    open();
    await log().getByText("It has, this morning.", { exact: true }).waitFor({ timeout: LIVE });
    await settled("eng", 4);
    await expect.poll(() => log().getByText(/Something else|Elsewhere/).count()).toBe(0);
    await shoot(page, "real-thread");
    await page.reload();
    await log().getByText("It has, this morning.", { exact: true }).waitFor();
    await expect.poll(() => log().getByText(/Something else|Elsewhere|mend the parser/).count()).toBe(0);
    await page.keyboard.press("Escape");
    await page.goto(`${daemon.url}#/threads`);
    await expect.poll(async () => (await row("The parcel to Ghent").locator(".of-number").first().textContent())?.match(/\d+/)?.[0]).toBe("2");
    expect(at.faults).toEqual([]);
  });
});
