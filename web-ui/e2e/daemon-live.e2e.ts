/** A person at work, against the compiled daemon (`REVEILLE_E2E_BIN`) with the scripted stand-in: one daemon for all of it. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";
import { Compiled, PROGRAM } from "./compiled";
import { frames, watchFrames } from "./frames";
import { LIMIT } from "./slow";

const daemon = new Compiled();
let browser: Browser;
let at: Watched;
let page: Page;
/** The agent of the test. */
let name = "";
let count = 0;

beforeAll(async () => {
  if (!PROGRAM) return;
  await daemon.start();
  browser = await launch();
  at = await openPage(browser);
  page = at.page;
  await daemon.overlay(page.context());
  await page.goto(await daemon.signInLink());
  await page.getByRole("heading", { name: /Create your first agent|Agents/ }).first().waitFor();
});
afterAll(async () => {
  await browser?.close();
  if (PROGRAM) await daemon.remove();
});
beforeEach(async () => {
  if (!PROGRAM) return;
  name = `worker-${++count}`;
  await daemon.ask("POST", "/api/agents", { name, prompt: "Answer with one short sentence." });
  await go(page, name);
});
afterEach(() => {
  if (!PROGRAM) return;
  // Whatever a test that failed has left.
  void page.context().setOffline(false);
  expect(at.faults).toEqual([]);
  at.faults.length = 0;
});

async function go(to: Page, agent: string): Promise<void> {
  await to.goto(`${daemon.url}#/agent/${agent}`);
  await box(to, agent).waitFor();
}

const log = (of = page) => of.getByRole("log");
const box = (of = page, agent = name) => of.getByRole("textbox", { name: `Message to ${agent}` });
const working = (of = page) => log(of).getByRole("article", { name: `${name}, working` });
const ended = (of = page) => log(of).getByRole("article", { name: `${name}, ended` });
const said = (text: string, of = page) => log(of).locator(".inbound").filter({ hasText: text });
const LIVE = LIMIT;

async function say(text: string, of = page): Promise<void> {
  await box(of).fill(text);
  await box(of).press("Enter");
  await expect.poll(() => box(of).inputValue()).toBe("");
}

const words = async (of = page): Promise<number> => ((await working(of).locator(".md").last().textContent()) ?? "").trim().length;

/** What is seen of a turn: its parts, without clocks. */
const picture = (of = page) =>
  log(of).locator(".turn > .bubble > *").evaluateAll((all) => all.map((element) => `${element.className}: ${element.querySelector(".tool-name")?.textContent ?? ""}`));

describe.runIf(PROGRAM)("a person and an agent", () => {
  it("send, watch the turn live with its tools, see it settle without a jump, and find it so after a reload", async () => {
    const { held, open } = daemon.gate();
    await say(`Have a look [[think The list may be long]] [[tool Bash {"command":"ls -la"}]] [[slow 60x30ms]] ${held} [[reply All is well.]]`);
    await working().getByText("Bash").first().waitFor();
    await working().locator(".thinking").waitFor();
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(20);
    const before = (await picture()).slice(0, 3);
    await shoot(page, "real-live");
    open();
    await ended().waitFor({ timeout: LIVE });
    await ended().getByText("All is well.").waitFor();
    expect((await picture()).slice(0, before.length)).toEqual(before.map((part) => part.replace("tool running", "tool ok")));
    await ended().getByText(/tokens in/).waitFor();
    await ended().locator(".tool > summary").first().click();
    await ended().getByText("ls -la").first().waitFor();
    const settled = await picture();
    await page.reload();
    await log().getByText("All is well.", { exact: true }).waitFor();
    await expect.poll(picture).toEqual(settled);
    await log().getByText(/\$0|tokens in/).first().waitFor();
  });

  it("stop a turn, send its message again, and edit and send", async () => {
    await say("Never end [[slow 4000x50ms]]");
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(20);
    await page.getByRole("button", { name: "Stop" }).click();
    await working().waitFor({ state: "detached", timeout: LIVE });
    await log().getByText(/^Stopped/).first().waitFor();
    await log().getByRole("button", { name: "Send again" }).first().click();
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(20);
    await expect.poll(() => said("Never end").count()).toBe(2);
    await page.getByRole("button", { name: "Stop" }).click();
    await working().waitFor({ state: "detached", timeout: LIVE });
    await said("Never end").last().hover();
    await said("Never end").last().getByRole("button", { name: "Edit and resend" }).click();
    await page.getByRole("textbox", { name: "Send this instead" }).fill("End at once [[reply Ended.]]");
    await page.getByRole("button", { name: "Send as a new message" }).click();
    await log().getByText("Ended.", { exact: true }).waitFor({ timeout: LIVE });
    await expect.poll(() => said("Never end").count()).toBe(2);
  });

  it("put the line in order by keyboard and pointer, hold, change and cancel what waits", async () => {
    await say("Take long [[slow 4000x50ms]]");
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(5);
    const list = page.getByRole("list", { name: `Messages that wait for ${name}` });
    const items = list.getByRole("listitem");
    const tray = page.locator(".tray");
    const order = () => items.evaluateAll((all) => all.map((item) => item.querySelector(".waiting-text")?.textContent?.split(" ")[0]));
    for (const text of ["one", "two", "three", "four"]) {
      await say(`${text} [[reply ${text} is done]]`);
      await list.getByText(`${text} [[`).waitFor();
    }
    await tray.getByText("4 messages in line").waitFor();
    await expect.poll(order).toEqual(["one", "two", "three", "four"]);
    await expect.poll(() => log().getByText("one [[").count()).toBe(0);

    await page.getByRole("button", { name: "Move message 3" }).focus();
    await page.keyboard.press("ArrowUp");
    await expect.poll(order).toEqual(["one", "three", "two", "four"]);
    const grip = await page.getByRole("button", { name: "Move message 1", exact: true }).boundingBox();
    const last = await items.nth(3).boundingBox();
    if (!grip || !last) throw new Error("no boxes");
    await page.mouse.move(grip.x + 5, grip.y + 5);
    await page.mouse.down();
    await page.mouse.move(grip.x + 5, last.y + last.height, { steps: 6 });
    await page.mouse.up();
    await expect.poll(order).toEqual(["three", "two", "four", "one"]);
    await items.nth(1).getByRole("button", { name: "Hold" }).click();
    await items.nth(1).getByText("Held back").waitFor();
    await items.nth(2).getByRole("button", { name: "Cancel" }).click();
    await expect.poll(order).toEqual(["three", "two", "one"]);
    await items.nth(0).getByRole("button", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Text of the waiting message" }).fill("five [[reply five is done]]");
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(order).toEqual(["five", "two", "one"]);
    await shoot(page, "real-line");

    await page.getByRole("button", { name: "Stop" }).click();
    await log().getByText("five is done", { exact: true }).waitFor({ timeout: LIVE });
    await log().getByText("one is done", { exact: true }).waitFor({ timeout: LIVE });
    await expect.poll(order).toEqual(["two"]);
    await expect.poll(() => log().getByText("four is done", { exact: true }).count()).toBe(0);
    await list.getByRole("button", { name: "Release" }).click();
    await log().getByText("two is done", { exact: true }).waitFor({ timeout: LIVE });
    await list.waitFor({ state: "detached" });
  });

  it("follow work that was handed on, down and back up", async () => {
    const helper = `${name}-helper`;
    await daemon.ask("POST", "/api/agents", { name: helper, prompt: "Help." });
    await say(`Hand it on [[exec "$REVEILLE_BIN" send ${helper} --reply-to ${name} 'Count the files']]`);
    await ended().first().waitFor({ timeout: LIVE });
    // The report comes back as a message of its own.
    await log().locator(".inbound").filter({ hasText: helper }).first().waitFor({ timeout: LIVE });
    await page.goto(`${daemon.url}#/agent/${helper}`);
    const asked = log().locator(".inbound").filter({ hasText: "Count the files" });
    await asked.waitFor();
    await asked.getByRole("link", { name }).first().waitFor();
    await expect.poll(() => asked.locator(".who a").getAttribute("href")).toContain(`#/agent/${name}/message/`);
    await asked.getByText("The whole chain").click();
    const tree = asked.getByRole("list", { name: "Who handed work to whom" });
    await tree.getByRole("link", { name, exact: true }).first().waitFor();
    await shoot(page, "real-chain");
    await tree.getByRole("link", { name, exact: true }).first().click();
    await said("Hand it on").getByText("Handed on to").waitFor();
  });

  it("are the same in a reload in mid-turn and in two tabs, which do not fight", async () => {
    await say('Look [[tool Read {"file_path":"/a"}]] [[tool Bash {"command":"true"}]] [[slow 4000x50ms]]');
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(30);
    const before = await picture();
    const length = await words();
    await page.reload();
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThanOrEqual(length);
    await expect.poll(() => picture()).toEqual(before);

    const other = await page.context().newPage();
    await go(other, name);
    await expect.poll(() => words(other), { timeout: LIVE }).toBeGreaterThanOrEqual(length);
    await expect.poll(() => picture(other)).toEqual(before);
    // Each has its own draft on the way, and both see what one of them does.
    await say("From the other tab [[reply Heard.]]", other);
    await page.getByRole("list", { name: `Messages that wait for ${name}` }).getByText("From the other tab").waitFor();
    await other.getByRole("button", { name: "Stop" }).click();
    await working().waitFor({ state: "detached", timeout: LIVE }).catch(() => {});
    for (const one of [page, other]) await log(one).getByText("Heard.", { exact: true }).waitFor({ timeout: LIVE });
    // Its text comes before its end.
    for (const one of [page, other]) await expect.poll(() => picture(one), { timeout: LIVE }).not.toContain("working: ");
    await expect.poll(async () => [(await picture(other)).join("\n"), (await picture()).join("\n")]).toSatisfy(([one, another]: string[]) => one === another);
    await other.close();
  });

  it("lose the network in mid-turn, write on, and find everything when it is back", async () => {
    const { held, open } = daemon.gate();
    await say(`Count [[slow 20x20ms]] ${held} [[slow 100x20ms]] [[reply The end.]]`);
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(20);
    await page.context().setOffline(true);
    open();
    await box().fill("Written without a network");
    await box().press("Enter");
    await page.locator("form").getByText("The daemon did not answer.").waitFor();
    await expect.poll(() => box().inputValue()).toBe("Written without a network");
    await page.waitForTimeout(1_000);
    await page.context().setOffline(false);
    await log().getByText("The end.", { exact: true }).waitFor();
    await box().press("Enter");
    await said("Written without a network").waitFor({ timeout: LIVE });
    await expect.poll(() => page.locator(".banner.warn").count(), { timeout: LIVE }).toBe(0);
    await expect.poll(() => said("Written without a network").count()).toBe(1);
  });

  it("see the daemon killed in mid-turn, and what became of the turn when it is there again", async () => {
    await say('Go on and on [[tool Bash {"command":"make"}]] [[slow 4000x50ms]]');
    await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(20);
    await box().fill("A thought in between");
    await daemon.end("SIGKILL");
    await page.getByText("The connection to the daemon is lost.").waitFor({ timeout: LIVE });
    await working().getByText("Working when last heard of").waitFor();
    await shoot(page, "real-killed");
    await daemon.start();
    await expect.poll(() => page.getByText("The connection to the daemon is lost.").count()).toBe(0);
    await expect.poll(() => box().inputValue()).toBe("A thought in between");
    // Either it goes on by itself from where it was and says so (how it was before may be seen for a moment still), or it says
    // that it was cut off and offers to send it again.
    const again = log().getByRole("button", { name: "Send again" });
    const goesOn = working().getByText("was cut off by a restart");
    await expect.poll(async () => (await goesOn.count()) + (await again.count())).toBeGreaterThan(0);
    await shoot(page, "real-restarted");
    if ((await goesOn.count()) > 0) {
      await expect.poll(words, { timeout: LIVE }).toBeGreaterThan(5);
      await page.getByRole("button", { name: "Stop" }).click();
      await working().waitFor({ state: "detached", timeout: LIVE });
    }
    await box().fill("Still there? [[reply Yes.]]");
    await box().press("Enter");
    await log().getByText("Yes.", { exact: true }).waitFor({ timeout: LIVE });
  });

  it("are safe from what messages say", async () => {
    const hostile = [
      '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"><svg onload=alert(1)>',
      "[a link](javascript:alert(1)) <a href='data:text/html,<script>1</script>'>data</a> ![p](https://evil.example/p.png)",
      "\u202Egnp.exe\u202C and \u2066isolated",
      `Z${"\u0351\u0352\u0353\u0489".repeat(400)}algo`,
    ];
    await say(hostile.join("\n\n"));
    await ended().waitFor({ timeout: LIVE });
    await say(`[[reply ${hostile.join(" ")}]]`);
    await expect.poll(() => ended().count(), { timeout: LIVE }).toBe(2);
    await daemon.ask("POST", `/api/channels/${name}/send`, { text: `[[bigline 1mb]]` });
    await page.getByRole("button", { name: /Show all/ }).first().waitFor({ timeout: LIVE });
    await expect.poll(() => log().locator("script, img, svg, [onerror], [onload], a[href^='javascript:'], a[href^='data:']").count()).toBe(0);
    await expect.poll(() => log().getByText(/gnp\.exe.? and/).count()).toBeGreaterThan(0);
    await expect.poll(() => page.title()).toContain(name);
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
    await expect.poll(() => log().evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await log().evaluate((element) => element.scrollTo(0, 0));
    await shoot(page, "real-hostile");
  });
});

describe.runIf(PROGRAM)("ways in", () => {
  it("a token lets a tab in, whose stream comes back after a cut with another ticket, one at a time", async () => {
    const made = await daemon.ask<{ token: string; id: string }>("POST", "/api/tokens", { scopes: ["reveille:admin", "vault:default:write"], label: "for a tab" });
    const own = await openPage(browser);
    await daemon.overlay(own.page.context());
    const streams: string[] = [];
    own.page.on("request", (request) => void (request.url().includes("/api/events") && streams.push(request.url())));
    await own.page.goto(`${daemon.url}#/agent/${name}`);
    await own.page.getByLabel("Sign-in link, code or token").fill(made.token);
    await own.page.keyboard.press("Enter");
    await box(own.page).waitFor();
    const { held, open } = daemon.gate();
    await say(`Count [[slow 20x20ms]] ${held} [[slow 100x20ms]] [[reply Counted.]]`, own.page);
    await expect.poll(() => words(own.page), { timeout: LIVE }).toBeGreaterThan(10);
    await own.page.context().setOffline(true);
    open();
    await own.page.waitForTimeout(500);
    await own.page.context().setOffline(false);
    await log(own.page).getByText("Counted.", { exact: true }).waitFor();
    expect(streams.every((url) => url.includes("?ticket="))).toBe(true);
    expect(new Set(streams).size).toBe(streams.length);
    // A token that is taken away ends the session where it stands, and what was written stays.
    await box(own.page).fill("Not sent yet");
    await daemon.ask("DELETE", `/api/tokens/${made.id}`);
    await own.page.getByRole("dialog", { name: "Sign in again" }).waitFor({ timeout: LIVE });
    await own.page.getByLabel("Sign-in link, code or token").fill(await daemon.signInLink());
    await own.page.keyboard.press("Enter");
    await own.page.getByRole("dialog", { name: "Sign in again" }).waitFor({ state: "detached" });
    await expect.poll(() => box(own.page).inputValue()).toBe("Not sent yet");
    expect(own.faults).toEqual([]);
    await own.close();
  });

  it("signing out everywhere ends the other browsers, which come back to where they were", async () => {
    const own = await openPage(browser);
    await daemon.overlay(own.page.context());
    await own.page.goto(await daemon.signInLink());
    await own.page.getByRole("navigation", { name: "Agents" }).waitFor();
    await box().fill("In the middle of something");
    await own.page.getByRole("button", { name: "Sign out…" }).click();
    await own.page.getByRole("button", { name: "Sign out everywhere" }).click();
    await own.page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor({ timeout: LIVE });
    await page.goto((await daemon.signInLink()).replace(/^.*#/, `${daemon.url}#`));
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor({ state: "detached" });
    await expect.poll(() => box().inputValue()).toBe("In the middle of something");
    await box().fill("");
    await own.close();
  });

  it("files go with a message, and are there to be looked at", async () => {
    await page.locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello from a file") });
    await page.getByRole("list", { name: "Files of this message" }).getByText("17 B").waitFor();
    await say("See the file [[reply Seen.]]");
    await log().getByText("Seen.", { exact: true }).waitFor({ timeout: LIVE });
    await said("See the file").getByRole("button", { name: "See notes.txt" }).click();
    await page.getByRole("dialog", { name: "notes.txt" }).getByText("hello from a file").waitFor();
    await page.keyboard.press("Escape");
  });
});

describe.runIf(PROGRAM)("much of it", () => {
  it("a turn of 2 000 pieces leaves the page at hand", async () => {
    await watchFrames(page);
    await say("Talk [[slow 2000x2ms]] [[reply That was it.]]");
    await log().getByText("That was it.", { exact: true }).waitFor({ timeout: 3 * LIVE });
    const { report, p95 } = await frames(page);
    console.log(`a turn of 2 000 pieces: ${report}`);
    expect(Number.isFinite(p95)).toBe(true);
  });

  it("a conversation of 10 000 messages is scrolled through", async () => {
    const started = Date.UTC(2026, 0, 1);
    for (let from = 0; from < 10_000; from += 500) {
      const notes = Array.from({ length: 500 }, (_, n) => ({
        content: `Message **number ${from + n}**\n\n${"and some words. ".repeat((from + n) % 30)}`,
        tags: ["agent/message/outbound"],
        createdAt: new Date(started + (from + n) * 60_000).toISOString(),
        metadata: { agent: name, direction: "outbound", sender: "session", ts: new Date(started + (from + n) * 60_000).toISOString() },
      }));
      await daemon.ask("POST", "/vault/default/api/notes", { notes });
    }
    await page.reload();
    await log().getByText("number 9999").waitFor({ timeout: LIVE });
    await watchFrames(page);
    await page.evaluate(() => {
      const transcript = document.querySelector(".transcript") as HTMLElement;
      const up = (): void => {
        transcript.scrollTop -= 4_000;
        requestAnimationFrame(up);
      };
      requestAnimationFrame(up);
    });
    await log().getByText("number 0", { exact: true }).waitFor({ timeout: 4 * LIVE });
    const { report } = await frames(page);
    console.log(`10 000 messages, scrolled to the first: ${report}`);
    await expect.poll(() => log().locator(".row").count()).toBeLessThan(400);
    await page.reload();
    const opened = await page.evaluate(() => performance.now());
    await log().getByText("number 9999").waitFor({ timeout: LIVE });
    await watchFrames(page);
    await box().pressSequentially("It takes what is typed at once, however much stands above.");
    console.log(`10 000 messages, typing: ${(await frames(page)).report}; opened ${Math.round(opened)} ms after the reload`);
  }, 10 * LIVE);

  it("Home with 200 agents is painted", async () => {
    const all = Array.from({ length: 200 }, (_, n) => n);
    for (let from = 0; from < 200; from += 20) {
      await Promise.all(all.slice(from, from + 20).map((n) => daemon.ask("POST", "/api/agents", { name: `crowd-${n}`, prompt: `You do task number ${n}.` })));
    }
    await page.goto(`${daemon.url}#/`);
    const rows = page.locator(".home-table tbody tr");
    await expect.poll(() => rows.count(), { timeout: LIVE }).toBeGreaterThanOrEqual(200);
    const took: string[] = [];
    for (let n = 0; n < 5; n++) {
      await page.reload();
      await page.waitForFunction(() => performance.getEntriesByName("agents-painted").length > 0);
      const { painted, first, answered } = await page.evaluate(() => ({
        painted: performance.getEntriesByName("agents-painted")[0]?.startTime ?? NaN,
        first: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
        answered: (performance.getEntriesByType("resource") as PerformanceResourceTiming[]).find(({ name }) => name.endsWith("api/agents"))?.responseEnd ?? NaN,
      }));
      took.push(`${Math.round(painted)} (first paint ${Math.round(first)}, list there ${Math.round(answered)})`);
      await expect.poll(() => rows.count(), { timeout: LIVE }).toBeGreaterThanOrEqual(200);
    }
    console.log(`Home with 200 agents is painted after ${took.join(", ")} ms`);
    await shoot(page, "real-home-200");
  });
});
