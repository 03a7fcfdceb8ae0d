/** Home and the frame: what is seen at a glance, and how one gets about. */
import type { Route } from "playwright-core";
import { describe, expect, it } from "vitest";
import type { Job } from "../app/jobs/api";
import { serious } from "./axe";
import { shoot } from "./browser";
import { stage } from "./stage";

const at = stage();
const HOUR = 3_600_000;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

function job(channel: string, id: string, inMs: number, more: Partial<Job> = {}): Job {
  return { id, noteId: `n-${id}`, channel, message: "Look", schedule: { cron: "@daily" }, enabled: true, status: "enabled", nextRunAt: ago(-inMs), ...more };
}

function scene(): void {
  const { daemon } = at;
  daemon.addAgent("writer", { prompt_preview: "You write release notes.", last_turn: { turn: "t1", outcome: "ok", ended_at: ago(2 * HOUR) } });
  daemon.addAgent("eng", { status: "working", running: { turn: "t2", since_at: ago(65_000), message: "m" }, waiting: 2, cost_usd: 4.2, cost_today_usd: 1.25 });
  daemon.addAgent("ops", { status: "error", status_detail: "Claude Code is not signed in.", cost_today_usd: 0.02, cost_usd: 0.02 });
  daemon.addAgent("night", { status: "paused", waiting: 1, pause: { code: "person", reason: "Until Friday." } });
  daemon.addAgent("remote", { status: "pending", status_detail: "Waits for 1 connection to be approved" });
  daemon.addAgent("line", { status: "queued", waiting: 3 });
  daemon.shaping.jobs = [job("writer", "late", 30 * HOUR), job("writer", "soon", 2 * HOUR), job("eng", "off", HOUR, { enabled: false, status: "paused" })];
}

const rows = () => at.page.locator(".home-table tbody tr");
const names = () => rows().locator("th bdi").allTextContents();
const row = (name: string) => rows().filter({ has: at.page.locator("th", { hasText: name }) });

describe("home", () => {
  it("says what each agent does, waits for and costs, what needs a person first", async () => {
    scene();
    await at.enter("");
    const { page } = at;
    await expect.poll(names).toEqual(["ops", "remote", "eng", "line", "night", "writer"]);
    await page.getByText("6 agents · 1 working · 6 messages in line · 2 need a person · $1.27 today").waitFor();
    await row("eng").getByText(/Working for \d min \d\d s, 2 waiting/).waitFor();
    await row("ops").getByText("Claude Code is not signed in.").waitFor();
    await row("remote").getByText("Waits for 1 connection to be approved").waitFor();
    await row("night").getByText("Paused · 1 waiting · Until Friday.").waitFor();
    await row("line").getByText("3 messages waiting").waitFor();
    await row("writer").getByText("in 2 h").waitFor();
    await expect.poll(() => row("eng").locator(".cell-next, .cell-cost").allTextContents()).toEqual(["", "$1.25"]);
    await at.shootAll("home");
  });

  it("is sorted and filtered, and stays sorted so", async () => {
    scene();
    await at.enter("");
    const { page } = at;
    await page.getByRole("button", { name: "Agent", exact: true }).click();
    await expect.poll(names).toEqual(["eng", "line", "night", "ops", "remote", "writer"]);
    await page.getByRole("button", { name: "Cost today" }).click();
    await expect.poll(async () => (await names()).slice(0, 2)).toEqual(["eng", "ops"]);
    await page.reload();
    await expect.poll(async () => (await names()).slice(0, 2)).toEqual(["eng", "ops"]);
    await page.getByLabel("State").selectOption("attention");
    await expect.poll(names).toEqual(["ops", "remote"]);
    await page.keyboard.press("Tab");
    await page.getByLabel("State").selectOption("all");
    await page.getByRole("searchbox").fill("release");
    await expect.poll(names).toEqual(["writer"]);
    await page.getByText("1 of 6 agents shown.").waitFor();
  });

  it("changes as things happen, without being asked", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await row("writer").getByText("Idle").waitFor();
    await expect.poll(() => daemon.open).toBe(1);
    const message = daemon.addMessage("writer", { text: "Write.", state: "waiting" });
    daemon.emit("writer", message, [{ kind: "queued", position: 0, text: "Write." }, { kind: "started", attempt: 1 }]);
    await row("writer").getByText(/Working/).waitFor();
    daemon.emit("writer", message, [{ kind: "done", reply: "Written.", cost_usd: 0.5 }]);
    await row("writer").getByText("Idle").waitFor();
    daemon.agents = daemon.agents.filter(({ name }) => name !== "line");
    daemon.tell("line", "removed");
    await row("line").waitFor({ state: "detached" });
    await expect.poll(() => page.locator(".banner.warn").count()).toBe(0);
  });

  it("shows what is newest, also when an older answer comes later", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await row("writer").getByText("Idle").waitFor();
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    let read = false;
    const answer = async (route: Route): Promise<void> => {
      const response = await route.fetch();
      read = true;
      await held;
      await route.fulfill({ response });
    };
    await page.route("**/api/agents", answer, { times: 1 });
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await expect.poll(() => read).toBe(true);
    // Now the answer is on its way, and the turn begins.
    const message = daemon.addMessage("writer", { text: "Write.", state: "waiting" });
    const asked = page.waitForResponse("**/api/agents/writer");
    daemon.emit("writer", message, [{ kind: "queued", position: 0, text: "Write." }, { kind: "started", attempt: 1 }]);
    await (await asked).finished();
    await at.settle();
    const late = page.waitForResponse("**/api/agents");
    go();
    await (await late).finished();
    await at.settle();
    await row("writer").getByText(/Working/).waitFor();
  });

  it("shows a turn that began elsewhere when its conversation is opened", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await expect.poll(() => daemon.open).toBe(1);
    const message = daemon.addMessage("writer", { text: "Write.", state: "waiting" });
    daemon.emit("writer", message, [{ kind: "queued", position: 0, text: "Write." }, { kind: "started", attempt: 1 }, { kind: "text_delta", text: "Half a sen" }]);
    await row("writer").getByText(/Working/).waitFor();
    await row("writer").getByRole("link", { name: "writer" }).click();
    await page.getByRole("log").getByText("Half a sen").waitFor();
    daemon.emit("writer", message, [{ kind: "text_delta", text: "tence." }]);
    await page.getByRole("log").getByText("Half a sentence.").waitFor();
    // Of the stream that the reload has ended the double hears in its own time.
    await expect.poll(() => daemon.open).toBe(1);
  });

  it("of 200 agents: how long until it is painted", async () => {
    for (let n = 0; n < 200; n++) at.daemon.addAgent(`agent-${n}`, { prompt_preview: `You do task number ${n}.`, note_id: `n${n}` });
    await at.enter("");
    const { page } = at;
    const took: number[] = [];
    for (let n = 0; n < 5; n++) {
      await page.reload();
      await expect.poll(() => rows().count()).toBe(200);
      // Rows are there before they are painted.
      const painted = await page.waitForFunction(() => performance.getEntriesByName("agents-painted")[0]?.startTime);
      took.push((await painted.jsonValue()) ?? NaN);
    }
    console.log(`Home with 200 agents is painted after ${took.map((ms) => Math.round(ms)).join(", ")} ms`);
    expect(took.every(Number.isFinite)).toBe(true);
    await at.shootAll("home-200");
  });
});

describe("the frame", () => {
  it("is gone about by keys, which `?` tells, and not while somebody writes", async () => {
    scene();
    await at.enter("#/agent/writer");
    const { page, daemon } = at;
    const box = page.getByRole("textbox", { name: "Message to writer" });
    await box.pressSequentially("g h ? /");
    await expect.poll(() => box.inputValue()).toBe("g h ? /");
    await page.locator("h1").click();
    await box.evaluate((element: HTMLElement) => element.blur());
    await at.stopClock();
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await expect.poll(() => page.url()).toBe(`${daemon.url}#/`);
    await row("writer").waitFor();
    await page.keyboard.press("/");
    await expect.poll(() => page.getByRole("searchbox").evaluate((element) => element === document.activeElement)).toBe(true);
    await page.getByRole("searchbox").evaluate((element: HTMLElement) => element.blur());
    const keys = page.getByRole("button", { name: "Keys" });
    await keys.focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).getByText("Search in this room").waitFor();
    await at.shootAll("keys");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await expect.poll(() => keys.evaluate((element) => element === document.activeElement)).toBe(true);
    await page.keyboard.press("g");
    await page.keyboard.press("i");
    await page.getByRole("heading", { name: "About Reveille" }).waitFor();
  });

  it("lets who uses the keyboard skip to the content", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await row("eng").waitFor();
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: "Skip to the content" });
    await expect.poll(() => skip.evaluate((element) => element === document.activeElement)).toBe(true);
    await page.keyboard.press("Enter");
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("MAIN");
    expect(page.url()).toBe(daemon.url);
  });

  it("has room for all rooms in the bar of a phone, each as wide as the others; the colours are at the foot of the list", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    const links = page.getByRole("navigation", { name: "Rooms" }).getByRole("link");
    for (const width of [360, 390]) {
      await page.setViewportSize({ width, height: 800 });
      for (const hash of ["#/", "#/agents", "#/threads", "#/notes", "#/jobs", "#/system"]) {
        await page.goto(`${daemon.url}${hash}`);
        await page.locator(`.rooms a[href="${hash}"][aria-current]`).waitFor();
        const boxes = await links.evaluateAll((all) => all.map((link) => ({ width: link.getBoundingClientRect().width, out: link.scrollWidth - link.clientWidth })));
        expect(boxes).toHaveLength(6);
        expect(boxes.every(({ out }) => out <= 0), `${width} ${hash} ${JSON.stringify(boxes)}`).toBe(true);
        expect(Math.max(...boxes.map((box) => box.width)) - Math.min(...boxes.map((box) => box.width))).toBeLessThan(1);
      }
    }
    await page.goto(`${daemon.url}#/agents`);
    await page.getByRole("button", { name: /^Auto: colours/ }).click();
    await page.getByRole("button", { name: /^Light: colours/ }).waitFor();
    await shoot(page, "phone-list");
  });

  it("has the colours that were chosen, also after a reload", async () => {
    scene();
    await at.enter("");
    const { page } = at;
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.getByRole("button", { name: /^Auto: colours/ }).click();
    await page.getByRole("button", { name: /^Light: colours/ }).click();
    await page.getByRole("button", { name: /^Dark: colours/ }).waitFor();
    await expect.poll(paper).not.toBe(light);
    await page.reload();
    await row("eng").waitFor();
    await expect.poll(paper).not.toBe(light);
    await page.getByRole("button", { name: /^Dark: colours/ }).click();
    await expect.poll(paper).toBe(light);
  });

  it("tells of an address that leads nowhere, and of what the page is made of", async () => {
    scene();
    await at.enter("#/nowhere");
    const { page, daemon } = at;
    await page.getByText("There is no such page.").waitFor();
    await page.goto(`${daemon.url}#/about`);
    await page.getByText("Version 0.1.0, under the MIT").waitFor();
    const made = page.getByRole("listitem").filter({ has: page.locator("summary") });
    await made.filter({ hasText: "preact" }).first().waitFor();
    expect((await made.locator("strong").allTextContents()).sort()).toEqual(["@preact/signals", "@preact/signals-core", "diff", "dompurify", "highlight.js", "marked", "preact"]);
    await made.first().locator("summary").click();
    await made.first().getByText("Permission is hereby granted").waitFor();
    await at.shootAll("about");
  });

  it("is lost and found: a banner while the daemon is away, a try by hand, and then all is as it was", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    await expect.poll(() => daemon.open).toBe(1);
    await row("eng").waitFor();
    await daemon.stop();
    const banner = page.getByText("The connection to the daemon is lost.");
    await banner.waitFor();
    await row("eng").waitFor();
    await at.shootAll("offline");
    daemon.addAgent("newcomer");
    await daemon.restart();
    // It may have found the daemon already.
    await page.getByRole("button", { name: "Try now" }).click({ timeout: 2_000 }).catch(() => {});
    await banner.waitFor({ state: "detached" });
    await row("newcomer").waitFor();
    await expect.poll(() => daemon.open).toBe(1);
  });
});

describe("the PIN", () => {
  function guarded(): void {
    scene();
    const { daemon } = at;
    daemon.pin = "1234";
    daemon.shaping.grants = [{ holder: "eng", agent: "eng", key: "vault:library:read", kind: "vault", target: "library", access: "read", status: "pending" }];
  }
  async function approve(): Promise<void> {
    const { page } = at;
    await page.getByRole("button", { name: "Approve library…" }).click();
    await page.getByRole("listitem", { name: "Vault library" }).getByRole("button", { name: "Approve", exact: true }).click();
  }

  it("is asked for, a wrong one costs one try and no session, and a right one does what was wanted", async () => {
    guarded();
    await at.enter("#/agent/eng/connections");
    const { page, daemon } = at;
    await approve();
    const dialog = page.getByRole("dialog", { name: "Your PIN, please" });
    const pin = dialog.getByLabel("PIN");
    await expect.poll(() => pin.evaluate((element) => element === document.activeElement)).toBe(true);
    await expect.poll(() => pin.getAttribute("type")).toBe("password");
    await pin.pressSequentially("99x99");
    await pin.press("Enter");
    await dialog.getByRole("alert").getByText("This is not the PIN.").waitFor();
    await expect.poll(() => pin.inputValue()).toBe("");
    expect(daemon.pins).toEqual(["9999"]);
    await at.shootAll("pin");
    for (let n = 0; n < 6; n++) {
      await page.keyboard.press("Tab");
      await expect.poll(() => page.evaluate(() => document.activeElement?.closest("dialog") !== null)).toBe(true);
    }
    await pin.fill("1234");
    await pin.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("listitem", { name: "Vault library" }).getByText("Approved", { exact: true }).waitFor();
    expect(daemon.pins).toEqual(["9999", "1234"]);
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain("stepped-up");
  });

  it("that is not shown leaves things as they are, and one that nobody set says where to set it", async () => {
    guarded();
    await at.enter("#/agent/eng/connections");
    const { page, daemon } = at;
    await approve();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("alert").getByText("This needs the PIN.").waitFor();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    daemon.pinAnswer = "setup";
    await page.getByRole("listitem", { name: "Vault library" }).getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("dialog", { name: "A PIN is needed" }).getByText("reveille pin set").waitFor();
    expect(daemon.pins).toEqual([]);
  });
});

describe("for everybody", () => {
  it("axe-core finds nothing serious in any dialog, in both colours and on a phone", async () => {
    await at.reopen({ bypassCSP: true });
    const { page, daemon } = at;
    scene();
    daemon.pin = "1234";
    daemon.shaping.grants = [{ holder: "eng", agent: "eng", key: "vault:library:read", kind: "vault", target: "library", access: "read", status: "approved" }];
    const found: string[] = [];
    const look = async (name: string): Promise<void> => {
      for (const width of [1200, 390]) {
        await page.setViewportSize({ width, height: 800 });
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          found.push(...(await serious(page)).map((finding) => `${name}, ${width}, ${colorScheme}: ${finding}`));
          const box = await page.locator("dialog, .confirm").last().boundingBox();
          if (!box || box.x < 0 || box.x + box.width > width) found.push(`${name}, ${width}: it sticks out`);
        }
        await shoot(page, `dialog-${name}-${width}`);
      }
      await page.setViewportSize({ width: 1200, height: 800 });
    };
    await at.enter("");
    await row("eng").waitFor();
    await page.getByRole("button", { name: "Keys" }).click();
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await look("keys");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Sign out…" }).click();
    await page.getByRole("dialog", { name: "Sign out?" }).waitFor();
    await look("sign-out");
    await page.keyboard.press("Escape");
    await page.goto(`${daemon.url}#/agent/eng/connections`);
    const library = page.getByRole("listitem", { name: "Vault library" });
    await library.getByRole("button", { name: "Revoke…" }).click();
    await look("confirm");
    await page.keyboard.press("Escape");
    daemon.shaping.grants = daemon.shaping.grants.map((grant) => ({ ...grant, status: "pending" }));
    daemon.tell("eng");
    await page.getByRole("button", { name: "Approve library…" }).click();
    await library.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("dialog", { name: "Your PIN, please" }).waitFor();
    await look("pin");
    await page.keyboard.press("Escape");
    daemon.pinAnswer = "setup";
    await library.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("dialog", { name: "A PIN is needed" }).waitFor();
    await look("pin-setup");
    await page.keyboard.press("Escape");
    expect(found).toEqual([]);
  });

  it("axe-core finds nothing serious, in both colours", async () => {
    await at.reopen({ bypassCSP: true });
    const { page, daemon } = at;
    const found: string[] = [];
    const look = async (name: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((finding) => `${name}, ${colorScheme}: ${finding}`));
      }
    };
    await page.goto(daemon.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await look("sign-in");
    await at.enter("");
    await page.getByRole("heading", { name: "Create your first agent" }).waitFor();
    await look("empty");
    scene();
    await row("eng").waitFor();
    await look("home");
    await page.getByRole("button", { name: "Keys" }).click();
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await look("keys");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    daemon.addMessage("writer", { text: "Hello", state: "ok" });
    for (const [hash, there] of [["#/about", "About Reveille"], ["#/new", "New agent"], ["#/agent/writer", "writer"], ["#/nowhere", ""]] as const) {
      await page.goto(`${daemon.url}${hash}`);
      await (there ? page.getByRole("heading", { name: there, exact: true }) : page.getByText("There is no such page.")).waitFor();
      await look(hash);
    }
    await page.setViewportSize({ width: 390, height: 844 });
    for (const hash of ["#/", "#/agents"]) {
      await page.goto(`${daemon.url}${hash}`);
      await page.getByRole("navigation", { name: "Rooms" }).waitFor();
      await look(`phone ${hash}`);
    }
    expect(found).toEqual([]);
  });
});
