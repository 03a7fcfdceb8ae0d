/** Ways in and out: a link, a token, the hub; a session that ends while somebody is at work; the live connection of each. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { shoot } from "./browser";
import { stage } from "./stage";

const at = stage();
const TOKEN = "pvt_0123456789abcdefghijklmnopqrstuvwxyz";
const field = () => at.page.getByLabel("Sign-in link, code or token");
const box = (name = "eng") => at.page.getByRole("textbox", { name: `Message to ${name}` });
const kept = () => at.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));

async function byToken(): Promise<void> {
  const { page, daemon } = at;
  daemon.tokens.add(TOKEN);
  await page.goto(`${daemon.url}#/agent/eng`);
  await field().fill(`Bearer ${TOKEN}`);
  await field().press("Enter");
  await box().waitFor();
}

describe("a token", () => {
  it("lets one tab in, is held in memory alone, and opens the stream by a ticket that is another one each time", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    daemon.tokens.add(TOKEN);
    await page.goto(daemon.url);
    await field().fill("pvt_wrong");
    await field().press("Enter");
    await page.getByRole("alert").getByText("The daemon does not know this token.").waitFor();
    await byToken();
    await expect.poll(() => daemon.open).toBe(1);
    const message = daemon.addMessage("eng", { text: "Go", state: "waiting", turn: "t1" });
    daemon.emit("eng", message, [{ kind: "queued", position: 0, text: "Go" }, { kind: "started", attempt: 1 }, { kind: "text", text: "One." }], "t1");
    await page.getByRole("log").getByText("One.").waitFor();
    for (const drop of [2, 3]) {
      daemon.dropStreams();
      await expect.poll(() => daemon.usedTickets.length).toBe(drop);
      await expect.poll(() => daemon.open).toBe(1);
    }
    daemon.emit("eng", message, [{ kind: "text", text: "Two." }], "t1");
    await page.getByRole("log").getByText("Two.").waitFor();
    await expect.poll(() => page.getByRole("log").getByText("One.").count()).toBe(1);
    expect(daemon.usedTickets).toEqual(["ticket-1", "ticket-2", "ticket-3"]);
    expect(await kept()).not.toContain(TOKEN);
    await page.reload();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("shows and stores files too, which no picture and no link does by itself", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    daemon.addMessage("eng", {
      text: "See", state: "ok", attachments: [{ id: "a", name: "shot.png", mime: "image/png", size_bytes: 78, url: "/vault/default/api/storage/day/1" }],
    });
    await byToken();
    const picture = page.getByRole("log").getByRole("img", { name: "shot.png" });
    await picture.waitFor();
    expect(await picture.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth))).toBe(10);
    await expect.poll(() => picture.getAttribute("src")).toMatch(/^blob:/);
    await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
    await page.getByRole("list", { name: "Files of this message" }).getByText("notes.txt").waitFor();
  });
});

describe("the hub", () => {
  const answer = (token: string, ms = 600_000) => ({ answer: [200, { token, expires_at: new Date(Date.now() + ms).toISOString() }] as [number, unknown] });

  it("lets in whoever it knows, and gives another token when one was refused", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    daemon.tokens.add("hub-1");
    daemon.hub = answer("hub-1");
    await page.goto(`${daemon.url}#/agent/eng`);
    await box().waitFor();
    await expect.poll(() => daemon.open).toBe(1);
    await box().fill("half a thought");
    daemon.tokens.delete("hub-1");
    daemon.tokens.add("hub-2");
    daemon.hub = answer("hub-2");
    await box().press("Enter");
    await page.getByRole("log").getByText("half a thought").waitFor();
    expect(daemon.sends).toEqual(["half a thought"]);
    expect(await kept()).not.toContain("hub-");
    // Who leaves is not let in again by looking at the page, but by asking for it.
    await page.getByRole("button", { name: "Sign out…" }).click();
    await page.getByRole("button", { name: "Sign out here" }).click();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    const looked = page.waitForResponse("**/api/session");
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await (await looked).finished();
    await at.settle();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    await expect.poll(() => page.locator(".shell").count()).toBe(0);
    await page.getByRole("button", { name: "I am signed in there" }).click();
    await page.getByRole("navigation", { name: "Agents" }).waitFor();
  });

  it.each([
    ["is not signed in there", 401, "You are not signed in to the hub."],
    ["may not use this daemon", 403, "Your account at the hub may not use this daemon."],
    ["has locked it", 423, "The hub is locked."],
    ["is not known there", 404, "The hub does not know this daemon."],
  ])("says so to one who %s, and goes on by itself when that has changed", async (_, status, words) => {
    const { page, daemon } = at;
    await at.reopen({ bypassCSP: true });
    daemon.addAgent("eng");
    daemon.hub = { answer: [status, { error: "no", error_description: "no" }] };
    await at.page.goto(`${daemon.url}#/agent/eng`);
    await at.page.getByRole("alert").getByText(words).waitFor();
    await expect.poll(() => at.page.getByRole("link", { name: "Sign in at the hub" }).getAttribute("href")).toBe(`${daemon.url}admin`);
    for (const colorScheme of ["dark", "light"] as const) {
      await at.page.emulateMedia({ colorScheme });
      expect(await serious(at.page)).toEqual([]);
    }
    await shoot(at.page, `hub-${status}`);
    daemon.tokens.add("hub-1");
    daemon.hub = answer("hub-1");
    await at.page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await box().waitFor();
    expect(page).toBeDefined();
  });

  it("that is elsewhere is told, with the way there; a link lets in here all the same", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    daemon.hub = { origin: "http://127.0.0.1:1/", answer: [401, {}] };
    await page.goto(`${daemon.url}#/agent/eng`);
    await page.getByRole("link", { name: "Open it at the hub" }).waitFor();
    await field().fill(daemon.signInLink);
    await field().press("Enter");
    await box().waitFor();
  });
});

describe("a session that ends", () => {
  it("keeps what was being done, behind a sign-in that hides it, and goes on there", async () => {
    const { daemon } = at;
    await at.reopen({ bypassCSP: true });
    const { page } = at;
    daemon.addAgent("eng");
    await at.enter("#/new");
    const role = page.getByLabel("Role");
    await role.fill("Not saved yet");
    daemon.signOutAll();
    const again = page.getByRole("dialog", { name: "Sign in again" });
    await again.getByText("What you were at is kept").waitFor();
    await role.waitFor({ state: "hidden" });
    for (let n = 0; n < 6; n++) {
      await page.keyboard.press("Tab");
      await expect.poll(() => page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
    }
    await page.keyboard.press("Escape");
    await again.waitFor();
    expect(await serious(page)).toEqual([]);
    await at.shootAll("sign-in-again");
    daemon.codes.add("second");
    await field().fill("second");
    await page.getByRole("button", { name: "Sign in" }).click();
    await again.waitFor({ state: "detached" });
    await expect.poll(() => role.inputValue()).toBe("Not saved yet");
    expect(page.url()).toBe(`${daemon.url}#/new`);
    await expect.poll(() => daemon.open).toBe(1);
  });

  it("keeps a draft, and a link that is followed in the same tab comes back to it", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    await at.enter("#/agent/eng");
    await box().fill("half a thought");
    daemon.signOutAll();
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor();
    daemon.codes.add("second");
    await page.goto(`${daemon.url}#sign-in=second`);
    await expect.poll(() => box().inputValue()).toBe("half a thought");
    await expect.poll(() => page.url()).toBe(`${daemon.url}#/agent/eng`);
  });

  it("is seen by a tab that somebody comes back to after they signed in in another", async () => {
    const { page, daemon } = at;
    daemon.addAgent("eng");
    await at.enter("#/agent/eng");
    daemon.signOutAll();
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor();
    daemon.codes.add("second");
    const other = await page.context().newPage();
    await other.goto(`${daemon.url}#sign-in=second`);
    await other.getByRole("navigation", { name: "Agents" }).waitFor();
    await other.close();
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor({ state: "detached" });
    await box().waitFor();
  });
});

describe("signing out", () => {
  it.each([["here", "Sign out here"], ["everywhere", "Sign out everywhere"]])("is asked for, and done %s", async (how, label) => {
    const { daemon } = at;
    await at.reopen({ bypassCSP: true });
    const { page } = at;
    daemon.addAgent("eng");
    await at.enter("#/agent/eng");
    await box().waitFor();
    await page.getByRole("button", { name: "Sign out…" }).click();
    const dialog = page.getByRole("dialog", { name: "Sign out?" });
    await dialog.waitFor();
    expect(await serious(page)).toEqual([]);
    await at.shootAll(`sign-out`);
    await dialog.getByRole("button", { name: "Stay" }).click();
    expect(daemon.signOuts).toEqual([]);
    await page.getByRole("button", { name: "Sign out…" }).click();
    await dialog.getByRole("button", { name: label }).click();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    expect(daemon.signOuts).toEqual([how]);
    await page.locator(".shell").waitFor({ state: "detached" });
    await expect.poll(() => page.url()).toBe(daemon.url);
  });
});
