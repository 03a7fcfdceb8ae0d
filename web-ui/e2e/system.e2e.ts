/** The System room: what is wrong, vaults, what is undelivered, tokens, the doctor and figures. */
import { describe, expect, it } from "vitest";
import type { Bridge, BridgeMessage, Statistics, Undelivered } from "../app/system/api";
import { seriousInBoth } from "./axe";
import { copiedBy } from "./copied";
import { TOKEN_TEXT } from "./mock-system";
import { stage } from "./stage";

const at = stage();
const room = () => at.page.getByRole("main");
const part = (name: string) => at.page.getByRole("region", { name, exact: true });
const card = (name: string) => room().getByRole("listitem", { name, exact: true });
const tab = (name: string) => at.page.getByRole("navigation", { name: "Parts of the system" }).getByRole("link", { name });
const systemRoom = () => at.page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: "System" });
const HOUR = 3_600_000;
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();
const ABLE = { atomic_batches: true, links: true, operators: true, order_by: true, remove_metadata: true, search: true, tag_parents: true, tag_schemas: true, triggers: true, without_path: true };

function scene(): void {
  const { daemon } = at;
  for (const name of ["eng", "ops", "writer"]) daemon.addAgent(name, { note_id: `d-${name}` });
  daemon.vaults = [{ name: "default", kind: "embedded", state: "ready", default: true, capabilities: ABLE, deliveries: { state: "closed" } }];
  daemon.system.health = {
    undelivered: 0, dead_deliveries: 0, credential: { source: "login", agents: [] },
    sandbox: { mode: "bubblewrap", confined: true, detail: "A turn sees its own directory and the network through a proxy." },
  };
}

function wrong(): void {
  const { daemon } = at;
  daemon.vaults.push({
    name: "team", kind: "parachute", state: "unavailable", since: inMs(-2 * HOUR), reason: "The server at http://127.0.0.1:1940 does not answer. Type `parachute status` there.", default: false,
    capabilities: { ...ABLE, search: false, triggers: false }, deliveries: { state: "open", last_error: "connection refused", until_at: inMs(4 * 60_000) },
  });
  daemon.system.agentVaults = [{ vault: "team", url: "http://127.0.0.1:1940", kind: "parachute", from: "api", tokenPresent: true }];
  const effect = (turn: string, more: Partial<Undelivered> = {}): Undelivered => ({
    turn, channel: "eng", kind: "reply", vault: "team", state: "waiting", attempts: 4, last_error: "The vault team did not answer.", since_at: inMs(-2 * HOUR), next_try_at: inMs(4 * 60_000), ...more,
  });
  daemon.system.undelivered = [effect("t1"), effect("t1", { kind: "thread", attempts: 0, last_error: null, next_try_at: null }), effect("t2", { channel: "ops", kind: "callback", state: "parked", last_error: "The note is larger than the vault takes: 12 MB of 10.", next_try_at: null })];
  daemon.system.health.undelivered = 3;
}

describe("the dot at the System room", () => {
  it("comes when something is wrong, leads there, and goes again; the daemon tells", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await page.getByRole("heading", { name: "Agents" }).waitFor();
    await expect.poll(() => systemRoom().locator(".room-dot").count()).toBe(0);
    wrong();
    daemon.hint("health");
    await systemRoom().getByText("things are wrong").waitFor({ state: "attached" });
    await expect.poll(() => systemRoom().getAttribute("href")).toBe("#/system/vaults");
    await at.shootAll("system-dot");
    await systemRoom().click();
    await part("Vaults").waitFor();
    await room().getByText("2 things are wrong · version 0.1.0").waitFor();
    daemon.vaults.pop();
    daemon.system.health.undelivered = 0;
    // Nobody tells this time: it is looked at now and then.
    await room().getByText("All is well · version 0.1.0").waitFor();
    await expect.poll(() => systemRoom().locator(".room-dot").count()).toBe(0);
    await expect.poll(() => systemRoom().getAttribute("href")).toBe("#/system");
  });
});

describe("health", () => {
  it("tells of each thing that is needed, what is wrong first, with commands to copy and ways on", async () => {
    scene();
    await at.reopen({ bypassCSP: true, permissions: ["clipboard-read", "clipboard-write"] });
    await at.enter("#/system");
    const { page, daemon } = at;
    await card("Daemon").getByText("Version 0.1.0 serves.").waitFor();
    await card("Sign-in at Claude").getByText("The login of the user's own Claude Code is used.").waitFor();
    await card("This page").getByText("It hears of what happens as it happens.").waitFor();
    await at.shootAll("system-health-well");
    wrong();
    Object.assign(daemon.system.health, { dependencies: { ok: false, missing: ["claude"] }, dead_deliveries: 2, credential: { source: "none", agents: ["eng"] } });
    await page.getByRole("button", { name: "Look again" }).click();
    await card("Claude Code").getByText("It was not found, so no turn can run.").waitFor();
    await card("Deliveries").getByText("3 replies and notes are not in the vault yet.").waitFor();
    await card("Webhooks").getByText("2 deliveries of triggers given up.").waitFor();
    const names = () => room().locator(".entry h2").allTextContents();
    await expect.poll(async () => (await names()).slice(0, 5)).toEqual(["Claude Code", "Vault team", "Deliveries", "Sign-in at Claude", "Webhooks"]);
    await at.shootAll("system-health");
    expect(await seriousInBoth(page)).toEqual([]);
    expect(await copiedBy(card("Claude Code").getByRole("button", { name: "Copy npm install" }))).toBe("Copied");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("npm install -g @anthropic-ai/claude-code");
    await expect.poll(() => tab("Undelivered").innerText()).toMatch(/Undelivered\s*3/);
    await card("Deliveries").getByRole("link").click();
    await part("Undelivered").waitFor();
    await page.goto(`${daemon.url}#/system/nothing`);
    await room().getByText("There is no such part.").waitFor();
    await room().getByRole("link", { name: "About Reveille" }).click();
    await page.getByRole("heading", { name: "About Reveille" }).waitFor();
  });
});

describe("vaults", () => {
  it("tell how they stand, since when and why, and what they can", async () => {
    scene();
    wrong();
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system/vaults");
    const { page } = at;
    const team = card("Vault team");
    await team.getByText("Cannot be used").waitFor();
    await team.getByText(/^Since .*: The server at .* does not answer\./).waitFor();
    await team.getByText(/Deliveries rest after failures; one is tried when the pause ends\. The pause ends in \d min\. connection refused/).waitFor();
    await card("Vault default").getByText("Built in · new agents and messages go here").waitFor();
    await team.getByText("What it can do").press("Enter");
    await team.getByText("Not: Full-text search").waitFor();
    await at.shootAll("system-vaults");
    expect(await seriousInBoth(page)).toEqual([]);
  });

  it("of this machine are backed up, and the directory is written down", async () => {
    scene();
    await at.enter("#/system/vaults");
    const { page, daemon } = at;
    const vault = card("Vault default");
    await vault.getByRole("button", { name: "Back up default…" }).press("Enter");
    await expect.poll(() => vault.getByLabel("Directory").evaluate((input) => input === document.activeElement)).toBe(true);
    await page.keyboard.type("backups");
    await page.keyboard.press("Enter");
    // The browser asks for a whole path.
    await expect.poll(() => vault.getByLabel("Directory").evaluate((input: HTMLInputElement) => input.validity.patternMismatch)).toBe(true);
    await vault.getByLabel("Directory").fill("/srv/backups");
    daemon.system.refusal = [409, { error: "cannot_back_up", message: "/srv/backups is not writable.", next_step: "Choose another directory." }];
    await vault.getByRole("button", { name: "Back up now" }).click();
    await vault.getByText("/srv/backups is not writable.").waitFor();
    await page.reload();
    await vault.getByRole("button", { name: "Back up default…" }).click();
    await expect.poll(() => vault.getByLabel("Directory").inputValue()).toBe("/srv/backups");
    await vault.getByRole("button", { name: "Back up now" }).click();
    await vault.getByText("The copy is whole: 1234 notes, 7 files, 5.4 MB.").waitFor();
    await vault.getByText("/srv/backups/default-20270105.sqlite").waitFor();
    expect(daemon.system.sent.at(-1)).toEqual({ call: "POST /api/vaults/default/backup", body: { directory: "/srv/backups" } });
    await at.shootAll("system-backup");
  });

  it("elsewhere are added, with a token that nobody keeps, and removed after one more question", async () => {
    scene();
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system/vaults");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Add a vault" }).click();
    const form = page.getByRole("form", { name: "Add a vault" });
    await form.getByLabel("Name").fill("default");
    await form.getByText("There is a vault of this name already.").waitFor();
    await form.getByLabel("Name").fill("Team Notes");
    await form.getByLabel(/^Address/).fill("http://127.0.0.1:1940");
    await form.getByLabel(/^Token/).fill("pv_secret");
    await form.getByRole("button", { name: "Add it" }).click();
    await form.getByText('"Team Notes" will not do').waitFor();
    await form.getByText("The name and the address are kept. What is secret was not: enter it again.").waitFor();
    await expect.poll(() => form.getByLabel(/^Token/).inputValue()).toBe("");
    await at.shootAll("system-add-vault");
    expect(await seriousInBoth(page)).toEqual([]);
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain("pv_secret");
    await form.getByLabel("Name").fill("team");
    await form.getByLabel(/^Token/).fill("pv_secret");
    await form.getByLabel(/^Token/).press("Enter");
    await page.getByText("team is open. Agents that are defined there are served from now on.").waitFor();
    expect(daemon.system.sent.at(-1)).toEqual({ call: "POST /api/agent-vaults", body: { vault: "team", url: "http://127.0.0.1:1940", token: "pv_secret" } });
    daemon.hint("health");
    const team = card("Vault team");
    await team.getByText("Ready", { exact: true }).waitFor();
    await team.getByRole("button", { name: "Remove…" }).click();
    await team.getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByText("team is removed here; its notes stay where they are. One turn in it still runs, to the end.").waitFor();
    await team.waitFor({ state: "detached" });
    expect(daemon.system.sent.at(-1)?.call).toBe("DELETE /api/agent-vaults/team");
  });
});

describe("what is undelivered", () => {
  it("is told with attempts, why, and the next one; and is tried again, one or all", async () => {
    scene();
    wrong();
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system/undelivered");
    const { page, daemon } = at;
    const reply = card("Reply of eng");
    await reply.getByText(/^Since .* · 4 tries · next try in \d min · vault team$/).waitFor();
    await reply.getByText("The vault team did not answer.").waitFor();
    await card("Record of a turn of eng").getByText(/0 tries · waits for what stands before it/).waitFor();
    const parked = card("Answer to another agent of ops");
    await parked.getByText("Refused for good").waitFor();
    await parked.getByText(/not tried again by itself/).waitFor();
    await room().getByText("3 things kept. 1 of them was refused for good: mend the cause, then try again.").waitFor();
    await at.shootAll("system-undelivered");
    expect(await seriousInBoth(page)).toEqual([]);
    daemon.system.refusal = [503, { error: "vault_unavailable", message: "The queue is busy.", next_step: "Try again." }];
    await parked.getByRole("button").click();
    await part("Undelivered").getByText("The queue is busy.").waitFor();
    await parked.getByRole("button").click();
    await room().getByText("1 delivery tried again.").waitFor();
    await parked.waitFor({ state: "detached" });
    expect(daemon.system.sent.at(-1)).toEqual({ call: "POST /api/undelivered/retry", body: { turn: "t2" } });
    await page.getByRole("button", { name: "Try all again now" }).click();
    await room().getByText("Everything is delivered.").waitFor();
    expect(daemon.system.sent.at(-1)).toEqual({ call: "POST /api/undelivered/retry", body: {} });
    await at.shootAll("system-delivered");
  });

  it("is read page by page", async () => {
    scene();
    wrong();
    const { daemon } = at;
    daemon.system.page = 2;
    await at.enter("#/system/undelivered");
    await card("Reply of eng").waitFor();
    await expect.poll(() => card("Answer to another agent of ops").count()).toBe(0);
    await at.page.getByRole("button", { name: "Show more" }).click();
    await card("Answer to another agent of ops").waitFor();
    await at.page.getByRole("button", { name: "Show more" }).waitFor({ state: "detached" });
  });
});

describe("tokens", () => {
  it("are made for what is chosen, shown once, and nowhere kept", async () => {
    scene();
    const { daemon } = at;
    await at.reopen({ bypassCSP: true, permissions: ["clipboard-read", "clipboard-write"] });
    await at.enter("#/system/tokens");
    const { page } = at;
    await room().getByText("There are no tokens.").waitFor();
    await at.shootAll("system-tokens-empty");
    await page.getByRole("button", { name: "New token" }).click();
    const form = page.getByRole("form", { name: "New token" });
    await form.getByLabel("What it is for").fill("laptop");
    await expect.poll(() => form.getByRole("button", { name: "Make the token" }).isDisabled()).toBe(true);
    await form.getByRole("checkbox", { name: /^Write/ }).check();
    await expect.poll(() => form.getByRole("checkbox", { name: /^Send/ }).isChecked()).toBe(true);
    await expect.poll(() => form.getByRole("checkbox", { name: /^Send/ }).isDisabled()).toBe(true);
    await form.getByLabel("default").selectOption("read");
    await form.getByLabel("It works for").selectOption({ label: "A week" });
    await form.getByText("reveille:write vault:default:read").waitFor();
    await at.shootAll("system-new-token");
    expect(await seriousInBoth(page)).toEqual([]);
    daemon.system.refusal = [403, { error: "insufficient_scope", message: "This would reach further than you do." }];
    await form.getByRole("button", { name: "Make the token" }).click();
    await form.getByText("This would reach further than you do.").waitFor();
    // What was chosen outlives a reload; the PIN is asked for.
    await page.reload();
    await page.getByRole("button", { name: "New token" }).click();
    daemon.pin = "2468";
    await form.getByRole("button", { name: "Make the token" }).click();
    await page.getByRole("textbox", { name: "PIN" }).fill("2468");
    await page.getByRole("button", { name: "Go on" }).click();
    const once = page.getByRole("group", { name: "The token laptop" });
    await once.getByText(TOKEN_TEXT).waitFor();
    expect(await copiedBy(once.getByRole("button", { name: "Copy the token" }))).toBe("Copied");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(TOKEN_TEXT);
    await card("Token laptop").getByText("Reads, sends and changes").waitFor();
    await card("Token laptop").getByText(/^Never used · ends in 7 days/).waitFor();
    await at.shootAll("system-token-once");
    expect(await seriousInBoth(page)).toEqual([]);
    expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href]))).not.toContain(TOKEN_TEXT);
    const sent = daemon.system.sent.at(-1)?.body as { expires_at: string };
    expect(sent).toEqual({ scopes: ["reveille:write", "vault:default:read"], label: "laptop", expires_at: expect.any(String) });
    expect(Math.round((Date.parse(sent.expires_at) - Date.now()) / HOUR)).toBe(7 * 24);
    await once.getByRole("button", { name: "I have it" }).click();
    await once.waitFor({ state: "detached" });
    await expect.poll(() => page.content()).not.toContain(TOKEN_TEXT);
  });

  it("are revoked after one more question; browsers sign in by a link and out everywhere; the PIN is told of", async () => {
    scene();
    const { daemon } = at;
    daemon.system.tokens = [
      { id: "t_1", label: "ci", scopes: ["reveille:admin"], created_at: "2026-01-05T09:00:00Z", last_used_at: inMs(-HOUR), expires_at: null, made_by: null },
      { id: "t_2", label: null, scopes: ["vault:default:read"], scoped_tags: ["meetings"], created_at: "2026-01-06T09:00:00Z", last_used_at: null, expires_at: "2026-02-06T09:00:00Z", made_by: "t_1" },
    ];
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system/tokens");
    const { page } = at;
    await card("Token t_2").getByText("Expired").waitFor();
    await card("Token t_2").getByText("Only notes with meetings").waitFor();
    await card("Token t_2").getByText(/^Never used · ended 6 Feb 2026.* with ci/).waitFor();
    await room().getByText("No PIN is set, so whoever sits at a browser that is signed in can make tokens").waitFor();
    await at.shootAll("system-tokens");
    expect(await seriousInBoth(page)).toEqual([]);
    await card("Token ci").getByRole("button", { name: "Revoke…" }).press("Enter");
    await expect.poll(() => card("Token ci").getByRole("button", { name: "Keep it" }).evaluate((button) => button === document.activeElement)).toBe(true);
    await card("Token ci").getByRole("button", { name: "Revoke", exact: true }).click();
    await room().getByText("There are no tokens.").waitFor();
    expect(daemon.system.sent.at(-1)?.call).toBe("DELETE /api/tokens/t_1");
    await page.getByRole("button", { name: "Make a sign-in link" }).click();
    const link = page.getByRole("group", { name: "A sign-in link" });
    await link.getByText("http://127.0.0.1:1941/#sign-in=another-code").waitFor();
    await link.getByRole("button", { name: "I have it" }).click();
    daemon.system.refusal = [403, { error: "operator_only", message: "Only the operator makes links." }];
    await page.getByRole("button", { name: "Make a sign-in link" }).click();
    await room().getByText("Only the operator makes links.").waitFor();
    await page.getByRole("button", { name: "Sign out everywhere…" }).click();
    await page.getByRole("button", { name: "Sign out", exact: true }).last().click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(daemon.system.sent.at(-1)?.call).toBe("DELETE /api/session?everywhere=true");
  });
});

describe("the doctor", () => {
  it("tells what failed first, with what to do; and is asked again", async () => {
    scene();
    const { daemon } = at;
    daemon.system.report = {
      ran_at: new Date().toISOString(),
      checks: [
        { check: "configuration", level: "ok", detail: "readable" },
        { check: "vault", level: "ok", detail: "default: it reads and writes" },
        { check: "vault", level: "error", detail: "team: the server at http://127.0.0.1:1940 does not answer", mend: "start it with `parachute start`, or take it away with `reveille vault rm team`" },
        { check: "sandbox", level: "warning", detail: "agents are confined; but the daemon would run as root", mend: "run it as a user of its own" },
      ],
    };
    await at.reopen({ bypassCSP: true, permissions: ["clipboard-read", "clipboard-write"] });
    await at.enter("#/system/doctor");
    const { page } = at;
    await room().getByText(/^1 failed, 1 with a warning, 2 in order · /).waitFor();
    await expect.poll(() => room().locator(".checks h2").allInnerTexts()).toEqual(["Failed 1", "Warnings 1", "In order 2"]);
    await part("Failed").getByText("the server at http://127.0.0.1:1940 does not answer").waitFor();
    await at.shootAll("system-doctor");
    expect(await seriousInBoth(page)).toEqual([]);
    expect(await copiedBy(part("Failed").getByRole("button", { name: "Copy parachute start" }))).toBe("Copied");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("parachute start");
    const checks = daemon.system.report.checks.filter(({ level }) => level === "ok");
    daemon.system.report = { ran_at: new Date().toISOString(), checks };
    await page.getByRole("button", { name: "Run again" }).click();
    await room().getByText(/^2 in order · /).waitFor();
    expect(daemon.system.examined).toBe(2);
    await daemon.stop();
    await page.getByRole("button", { name: "Run again" }).click();
    await part("Doctor").getByRole("alert").getByText("The daemon did not answer.").waitFor();
    // What was found last stays.
    await part("In order").waitFor();
    await daemon.start();
    await part("Doctor").getByRole("button", { name: "Try again" }).click();
    await part("Doctor").getByRole("alert").waitFor({ state: "detached" });
  });

  it("and figures that the daemon does not tell yet are said so plainly", async () => {
    scene();
    await at.enter("#/system/doctor");
    const { page, daemon } = at;
    await room().getByText("This daemon, version 0.1.0, does not tell what its doctor finds.").waitFor();
    await room().getByRole("button", { name: "Copy reveille doctor" }).waitFor();
    await page.goto(`${daemon.url}#/system/figures`);
    await room().getByText("This daemon, version 0.1.0, does not tell figures.").waitFor();
    await at.shootAll("system-not-there");
  });
});

function statistics(days: number, agent: string): Statistics {
  const of = (index: number): Statistics["days"][number] => {
    const busy = (index * 7) % 11;
    const error = index % 5 === 2 ? 2 : 0;
    const quiet = index % 9 === 4;
    const date = new Date(Date.UTC(2026, 10, 26) - (days - 1 - index) * 86_400_000);
    return {
      day: date.toISOString().slice(0, 10), turns: quiet ? { ok: 0, error: 0, cancelled: 0, interrupted: 0 } : { ok: busy + 3, error, cancelled: index % 4 === 1 ? 1 : 0, interrupted: index % 6 === 3 ? 1 : 0 },
      failures: quiet ? 0 : error, duration_ms: quiet ? null : { p50: 20_000 + busy * 4_000, p95: 110_000 + busy * 21_000 }, wait_ms: quiet ? null : { p50: 40 + busy * 10, p95: 2_000 + busy * 900 },
      cost_usd: quiet ? 0 : busy * 0.31 + 0.4, input_tokens: 0, output_tokens: 0,
    };
  };
  const agents = agent ? [] : [{ agent: "eng", turns: 61, failures: 4, cost_usd: 18.2 }, { agent: "ops", turns: 40, failures: 0, cost_usd: 3.15 }, { agent: "writer", turns: 9, failures: 2, cost_usd: 0.08 }];
  return { zone: "Europe/Berlin", days: Array.from({ length: days }, (_, index) => of(index)), agents };
}

describe("figures", () => {
  it("are drawn with what they come to, and are a table too; by days and agent", async () => {
    scene();
    const { daemon } = at;
    daemon.system.statistics = statistics;
    await at.reopen({ bypassCSP: true, timezoneId: "Europe/Berlin", viewport: { width: 1200, height: 1500 } });
    await at.enter("#/system/figures");
    const { page } = at;
    const turns = room().getByRole("figure", { name: "Turns by outcome" });
    await turns.getByText(/^\d+ turns, the most on .*: \d+\.$/).waitFor();
    await room().getByRole("img", { name: /^Turns by outcome \d+ turns/ }).waitFor();
    await room().getByRole("figure", { name: "How long turns took" }).getByText(/: half up to /).waitFor();
    await room().getByRole("figure", { name: "By agent" }).getByText("eng cost the most: $18.20 of $21.43.").waitFor();
    await expect.poll(() => turns.locator("rect[class^=bar-]").count()).toBeGreaterThan(20);
    await at.shootAll("system-figures");
    expect(await seriousInBoth(page)).toEqual([]);
    await turns.getByRole("button", { name: "As a table of Turns by outcome" }).press("Enter");
    const table = turns.getByRole("table", { name: "Turns by outcome" });
    await expect.poll(() => table.getByRole("row").count()).toBe(15);
    await expect.poll(() => table.getByRole("columnheader").allTextContents()).toEqual(["Day", "Succeeded", "Failed", "Interrupted", "Stopped"]);
    await at.shootAll("system-figures-table");
    expect(await seriousInBoth(page)).toEqual([]);
    await turns.getByRole("button", { name: "Hide the table" }).click();
    await page.getByRole("button", { name: "30 days" }).click();
    // What is chosen before that was asked for is asked for together with it.
    await expect.poll(() => daemon.system.asked.length).toBe(2);
    await page.getByRole("combobox", { name: "Agent" }).selectOption("eng");
    await room().getByRole("figure", { name: "By agent" }).waitFor({ state: "detached" });
    await expect.poll(() => daemon.system.asked).toEqual(["days=14&zone=Europe%2FBerlin", "days=30&zone=Europe%2FBerlin", "days=30&zone=Europe%2FBerlin&agent=eng"]);
    await at.shootAll("system-figures-30");
    daemon.system.statistics = (days) => ({ zone: "UTC", agents: [], days: statistics(days, "").days.map((day) => ({ ...day, turns: { ok: 0, error: 0, cancelled: 0, interrupted: 0 }, failures: 0, duration_ms: null, wait_ms: null, cost_usd: 0 })) });
    await page.getByRole("button", { name: "Count again" }).click();
    await turns.getByText("No turns in these days.").waitFor();
    await turns.getByText("Nothing to draw.").waitFor();
  });
});

describe("bridges", () => {
  const bridge = (name: string, more: Partial<Bridge> = {}): Bridge => ({ name, kind: "telegram", agent: "eng", state: "up", sessions: 0, waiting: 0, undelivered: 0, removable: true, ...more });
  const TOKEN = "Telegram does not accept the token of the bot (401 Unauthorized); ask @BotFather for one and set it (`reveille bridge add`, or the configuration and a new start)";

  it("are told with what is wrong, and the System room leads there", async () => {
    scene();
    const { daemon } = at;
    daemon.system.bridges = [
      bridge("phone"), bridge("office", { agent: "ops", state: "refused", error: TOKEN, removable: false }), bridge("tests", { kind: "http-ui", waiting: null, undelivered: null, sessions: 2 }),
      bridge("webhook/ci", { kind: "webhook", agent: "", state: "retrying", error: "the receiver does not answer", next_try_at: inMs(4 * 60_000), waiting: 12, removable: false }),
    ];
    daemon.system.health.bridges = daemon.system.bridges;
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system");
    const { page } = at;
    await card("Bridge office").getByText("It waits for somebody: Telegram does not accept the token").waitFor();
    await card("Webhook ci").getByText("tries again by itself: the receiver does not answer.").waitFor();
    await expect.poll(() => systemRoom().getAttribute("href")).toBe("#/system/bridges");
    await expect.poll(() => tab("Bridges").innerText()).toMatch(/Bridges\s*1/);
    await card("Bridge office").getByRole("link").click();
    await part("Bridges").waitFor();
    await card("Bridge phone").getByText("Works").waitFor();
    await card("Bridge office").getByText("Waits for you").waitFor();
    await card("Bridge office").getByText("401 Unauthorized").waitFor();
    await card("Bridge tests").getByText("Pages for eng · 2 sessions listening").waitFor();
    await card("Webhook ci").getByText(/Webhook · 12 waiting · next try in \d min/).waitFor();
    // What the configuration has is changed there.
    expect(await card("Bridge office").getByRole("button").count()).toBe(0);
    await at.shootAll("system-bridges");
    expect(await seriousInBoth(page)).toEqual([]);
  });

  it("say what they gave up, and send it again one by one or all", async () => {
    scene();
    const { daemon } = at;
    const message = (id: string, more: Partial<BridgeMessage> = {}): BridgeMessage => ({ id, lane: "42", attempts: 40, last_error: "Forbidden: the bot was blocked by the user", since_at: inMs(-2 * HOUR), next_try_at: null, ...more });
    daemon.system.bridges = [bridge("phone", { undelivered: 3 }), bridge("telegram/old", { agent: "", state: "removed", undelivered: 1, waiting: 1, removable: false })];
    daemon.system.givenUp = { phone: [message("n1#1"), message("n1#2", { last_error: null, attempts: 1 }), message("n2#1", { lane: "-100" })], "telegram/old": [message("n0#1")] };
    daemon.system.page = 2;
    await at.reopen({ bypassCSP: true });
    await at.enter("#/system/bridges");
    const { page } = at;
    const phone = card("Bridge phone");
    await phone.getByRole("button", { name: "What was given up" }).click();
    const list = phone.getByRole("list", { name: "Given up" });
    await expect.poll(() => list.getByRole("listitem").count()).toBe(2);
    await list.getByText("It is not known why.").waitFor();
    await phone.getByRole("button", { name: "Show more" }).click();
    await expect.poll(() => list.getByRole("listitem").count()).toBe(3);
    await card("Bridge old").getByText("It is sent when a bridge of this name is added again.").waitFor();
    await at.shootAll("system-bridges-given-up");
    expect(await seriousInBoth(page)).toEqual([]);
    await list.getByRole("button", { name: "Send again: n1#2" }).click();
    await phone.getByText("2 given up").waitFor();
    await phone.getByRole("button", { name: "Send 2 again of Bridge phone" }).click();
    await phone.getByText("2 messages on the way again.").waitFor();
    await expect.poll(() => phone.getByRole("list", { name: "Given up" }).count()).toBe(0);
    expect(daemon.system.sent.map(({ call, body }) => `${call} ${JSON.stringify(body)}`)).toEqual(['POST /api/bridges/phone/redrive {"id":"n1#2"}', "POST /api/bridges/phone/redrive {}"]);
    // Of one that is gone nothing is sent, but it can be seen.
    const old = card("Bridge old");
    expect(await old.getByRole("button", { name: /^Send/ }).count()).toBe(0);
    await old.getByRole("button", { name: "What was given up" }).click();
    await old.getByText("Forbidden: the bot was blocked by the user").waitFor();
    // The PIN is asked for, and without it nothing is removed.
    daemon.pin = "2468";
    const remove = async (): Promise<void> => {
      await phone.getByRole("button", { name: "Remove…" }).click();
      await phone.getByRole("button", { name: "Remove", exact: true }).click();
      await page.getByRole("textbox", { name: "PIN" }).waitFor();
    };
    await remove();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("textbox", { name: "PIN" }).waitFor({ state: "detached" });
    await phone.waitFor();
    await remove();
    await page.getByRole("textbox", { name: "PIN" }).fill("2468");
    await page.getByRole("button", { name: "Go on" }).click();
    await phone.waitFor({ state: "detached" });
    expect(daemon.pins).toEqual(["2468"]);
  });

  it("that are not there are explained, and a refusal is told", async () => {
    scene();
    await at.enter("#/system/bridges");
    await room().getByText("There are no bridges.").waitFor();
    await at.shootAll("system-bridges-none");
    const { daemon } = at;
    daemon.system.bridges = [bridge("phone", { undelivered: 1 })];
    daemon.hint("health");
    const phone = card("Bridge phone");
    await phone.waitFor();
    daemon.system.refusal = [503, { error: "outbox_unavailable", message: "What bridges have to send cannot be used now: the disk is full", next_step: "Nothing is lost. Try again." }];
    await phone.getByRole("button", { name: "Send 1 again of Bridge phone" }).click();
    await phone.getByText("the disk is full").waitFor();
  });
});
