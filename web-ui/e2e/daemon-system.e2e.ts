/** Schedules and the System room against a real daemon. `REVEILLE_E2E_SYSTEM_URL` is a sign-in link to one whose turns succeed. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";

const link = process.env.REVEILLE_E2E_SYSTEM_URL;
const name = `clocked-${Date.now().toString(36)}`;
let browser: Browser;
let at: Watched;

const to = (hash: string): Promise<unknown> => at.page.goto(`${(link ?? "").split("#")[0]}${hash}`);
const main = () => at.page.getByRole("main");

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

  it("schedules: previews, makes, runs, pauses and deletes", async () => {
    const { page, faults } = at;
    await to("#/jobs");
    await page.getByRole("button", { name: "New schedule" }).click();
    const form = page.getByRole("form", { name: "New job" });
    await form.getByLabel("Agent").selectOption(name);
    await form.getByLabel("Id").fill("roundup");
    await form.getByLabel("Message").fill("What is new since yesterday?");
    await form.getByRole("button", { name: "Weekdays" }).click();
    await form.getByLabel("Zone").fill("Asia/Tokyo");
    const times = form.getByRole("region", { name: "When it would run" }).getByRole("listitem");
    await expect.poll(() => times.allInnerTexts()).toEqual(Array.from({ length: 5 }, () => expect.stringMatching(/, 0[12]:00 in .*\s+09:00 in Asia\/Tokyo$/)));
    // The daemon has told them, as it tells what is wrong.
    await expect.poll(() => form.getByText("Reckoned by this page").count()).toBe(0);
    await form.getByLabel("Cron").fill("0 25 * * *");
    await expect.poll(() => form.getByLabel("Cron").getAttribute("aria-invalid")).toBe("true");
    await form.getByLabel("Cron").fill("0 9 * * 1-5");
    await form.getByRole("button", { name: "Add it" }).click();
    // All schedules are here, also that of another file that tries the same daemon: each has a name of its own.
    const row = page.locator("tbody").filter({ has: page.getByRole("button", { name: "roundup", exact: true }) });
    await row.getByRole("button", { name: "roundup", exact: true }).click();
    await row.getByRole("button", { name: "Run now: roundup" }).click();
    await row.getByText("Its turn succeeded.").waitFor();
    await row.locator(".cell-last").getByText("Succeeded").waitFor();
    await row.getByRole("button", { name: "Pause…" }).click();
    await row.getByLabel("Why it is paused").fill("Until Monday.");
    await row.getByLabel("Why it is paused").press("Enter");
    await row.getByText(/Paused: it does not run until it is switched on\. .*Until Monday\./).waitFor();
    await shoot(page, "real-schedules");
    await row.getByRole("button", { name: "Delete…" }).click();
    await row.getByRole("button", { name: "Delete", exact: true }).click();
    await row.waitFor({ state: "detached" });
    expect(faults).toEqual([]);
  });

  it("the system: health, the doctor, figures", async () => {
    const { page, faults } = at;
    await to("#/system");
    await main().getByRole("listitem", { name: "Deliveries" }).getByText("Everything is delivered.").waitFor();
    await main().getByRole("listitem", { name: "This page" }).getByText("It hears of what happens as it happens.").waitFor();
    await shoot(page, "real-health");
    await to("#/system/undelivered");
    await main().getByText("Everything is delivered.").waitFor();
    await to("#/system/doctor");
    await main().getByRole("region", { name: "In order" }).getByRole("listitem", { name: "State directory" }).waitFor();
    await shoot(page, "real-doctor");
    await to("#/system/figures");
    await main().getByRole("img", { name: /^Turns by outcome [1-9]\d* turn/ }).waitFor();
    await main().getByText("A day is one of Europe/Berlin.").waitFor();
    await page.getByRole("combobox", { name: "Agent" }).selectOption(name);
    await main().getByRole("img", { name: /^Turns by outcome 1 turn,/ }).waitFor();
    await shoot(page, "real-figures");
    expect(faults).toEqual([]);
  });

  it("the system: a backup, a token that gets in and does not any more, a sign-in link", async () => {
    const { page, faults } = at;
    const directory = mkdtempSync(join(tmpdir(), "reveille-backup-"));
    try {
      await to("#/system/vaults");
      const vault = main().getByRole("listitem", { name: "Vault default" });
      await vault.getByRole("button", { name: "Back up default…" }).click();
      await vault.getByLabel("Directory").fill(directory);
      await vault.getByRole("button", { name: "Back up now" }).click();
      await vault.getByText(/^The copy is whole: \d+ notes/).waitFor();
      expect(readdirSync(directory).length).toBeGreaterThan(0);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    await to("#/system/tokens");
    await page.getByRole("button", { name: "New token" }).click();
    await page.getByLabel("What it is for").fill(name);
    await page.getByRole("checkbox", { name: /^Read/ }).check();
    await page.getByRole("button", { name: "Make the token" }).click();
    const once = page.getByRole("group", { name: `The token ${name}` });
    const token = (await once.locator("code").textContent()) ?? "";
    const asks = async (): Promise<number> => (await fetch(new URL("api/agents", (link ?? "").split("#")[0]), { headers: { authorization: `Bearer ${token}` } })).status;
    await expect.poll(() => asks()).toBe(200);
    await once.getByRole("button", { name: "I have it" }).click();
    const card = main().getByRole("listitem", { name: `Token ${name}` });
    await card.getByText("Reads the daemon").waitFor();
    await card.getByRole("button", { name: "Revoke…" }).click();
    await card.getByRole("button", { name: "Revoke", exact: true }).click();
    await card.waitFor({ state: "detached" });
    await expect.poll(() => asks()).toBe(401);
    await page.getByRole("button", { name: "Make a sign-in link" }).click();
    await page.getByRole("group", { name: "A sign-in link" }).getByText(/#sign-in=/).waitFor();
    expect(faults).toEqual([]);
  });
});
