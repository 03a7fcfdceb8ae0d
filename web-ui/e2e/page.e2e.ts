/** The page against the double: what a real daemon does only on a bad day. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Message, VaultHealth } from "../app/api";
import { launch, openPage, shoot, type Watched } from "./browser";
import { type Body, MockDaemon } from "./mock";

let browser: Browser;
let daemon: MockDaemon;
let at: Watched;
let page: Page;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

beforeEach(async () => {
  daemon = new MockDaemon();
  await daemon.start();
  at = await openPage(browser);
  page = at.page;
});
afterEach(async () => {
  await at.close();
  await daemon.stop();
  expect(at.faults).toEqual([]);
});

const log = () => page.getByRole("log");
const box = () => page.getByRole("textbox", { name: /Message to/ });
const status = (text: string | RegExp) => page.locator(".banner.warn").filter({ hasText: text });

/** Signed in, on the conversation of `name`, with its stream connected. */
async function enter(name = "eng"): Promise<void> {
  await page.goto(daemon.signInLink);
  await page.getByRole("navigation", { name: "Agents" }).waitFor();
  await page.goto(`${daemon.url}#/agent/${name}`);
  await box().waitFor();
  await expect.poll(() => daemon.open).toBe(1);
}

const MID_TURN: Body[] = [
  { kind: "started", attempt: 1 },
  { kind: "init", session: "s1", model: "claude-opus-4" },
  { kind: "thinking", text: "The failing test is in the parser. I should look at how it treats an empty line." },
  { kind: "text", text: "I will look at the parser first, then run its tests." },
  { kind: "tool", id: "t1", tool: "Read", input: '{"file_path":"/work/parser/src/lib.rs"}' },
  { kind: "tool_result", id: "t1", ok: true, preview: "fn parse(line: &str) -> Option<Entry> {\n    …\n}" },
  { kind: "tool", id: "t2", tool: "Bash", input: '{"command":"cargo test -p parser","description":"Run the parser\'s tests"}' },
  { kind: "tool_result", id: "t2", ok: false, preview: "test empty_line ... FAILED" },
  { kind: "retry", attempt: 1, max: 10, delay_ms: 1000, status: 529, error: "the API is overloaded" },
  { kind: "tool", id: "t3", tool: "Task", input: '{"description":"Find all callers","prompt":"Find the callers of parse()"}' },
  { kind: "tool", id: "t3a", tool: "Grep", input: '{"pattern":"parse\\\\("}', parent: "t3" },
  { kind: "tool_result", id: "t3a", ok: true, preview: "src/main.rs:12", parent: "t3" },
  { kind: "text", text: "There is one caller.", parent: "t3" },
  { kind: "text_delta", text: "The cause is **an unwrapped " },
];

const END: Body[] = [
  { kind: "text_delta", text: "option**:" },
  { kind: "text", text: "The cause is **an unwrapped option**:\n\n```rust\nlet entry = parse(line)?;\n```\n\nIt is mended, and all tests pass." },
  {
    kind: "done",
    reply:
      "I will look at the parser first, then run its tests.\n\nThe cause is **an unwrapped option**:\n\n```rust\nlet entry = parse(line)?;\n```\n\nIt is mended, and all tests pass.",
    usage: { input_tokens: 812, output_tokens: 1431, cache_read_tokens: 24_310, cache_write_tokens: 1_204 },
    cost_usd: 0.0873,
  },
];

function scene(): Message {
  daemon.addAgent("eng", { prompt_preview: "You look after the parser.", cost_usd: 1.42, model: "opus" });
  daemon.addAgent("writer", { prompt_preview: "You write release notes." });
  daemon.addAgent("ops", { status: "error", status_detail: "Claude is not signed in" });
  daemon.messages.set("billing", [{ id: "b1", text: "Anyone here?", direction: "inbound", sender: "ann", at: "2026-01-05T10:00:00Z", state: "waiting" }]);
  const old = daemon.addMessage("eng", { text: "Is the nightly build green?", state: "ok", turn: "t0", at: "2026-01-05T10:00:00Z" });
  daemon.addMessage("eng", {
    text: "Yes. Three jobs ran:\n\n| Job | Time |\n|---|--:|\n| build | 4 min |\n| test | 11 min |\n| docs | 1 min |\n\nSee the [log](https://example.org/log).",
    direction: "outbound", sender: "eng", in_reply_to: old.id, turn: "t0", at: "2026-01-05T10:01:00Z",
  });
  return daemon.addMessage("eng", { text: "The parser's test `empty_line` fails. Please find out why and mend it.", state: "waiting", sender: "web" });
}

describe("sign-in", () => {
  it("explains, refuses a used link, and takes a fresh one that is pasted", async () => {
    await page.goto(daemon.url);
    await page.getByText("reveille open", { exact: true }).waitFor();
    await shoot(page, "sign-in");
    const input = page.getByLabel("Sign-in link, code or token");
    await input.fill("what is this");
    await input.press("Enter");
    await page.getByText("There is no sign-in code and no token in this text.").waitFor();
    await input.fill(`${daemon.url}#sign-in=used`);
    await input.press("Enter");
    await page.getByText("This sign-in code is not known").waitFor();
    await input.fill(daemon.signInLink);
    await input.press("Enter");
    await page.getByRole("heading", { name: "Create your first agent" }).waitFor();
  });

  it("takes a link that is followed in an open tab, and leaves no code in the address or the history", async () => {
    await page.goto(daemon.url);
    await page.getByLabel("Sign-in link, code or token").waitFor();
    await page.goto(daemon.signInLink);
    await page.getByRole("heading", { name: "Create your first agent" }).waitFor();
    await expect.poll(() => page.url()).toBe(daemon.url);
    await page.goBack();
    expect(page.url()).not.toContain("sign-in=");
  });
});

describe("agents", () => {
  it("begin with a template, and the server's objections stand beside the form", async () => {
    daemon.confined = false;
    await page.goto(daemon.signInLink);
    await page.getByText("Agents are not confined.").waitFor();
    await page.getByRole("button", { name: "Reviewer" }).click();
    await shoot(page, "empty");
    await page.getByLabel("Name").fill("Not A Name");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("alert").getByText('"Not A Name" is no agent name.').waitFor();
    await expect.poll(() => page.getByLabel("Role").inputValue()).toContain("You review code");
    await page.getByLabel("Name").fill("eng");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { name: "eng" }).waitFor();
    expect(daemon.agents.map((agent) => agent.name)).toEqual(["eng"]);
  });

  it("lists channels without an agent, shows what waits there and offers to make one", async () => {
    scene();
    await enter();
    await page.getByRole("link", { name: /billing/ }).click();
    await log().getByText("Anyone here?").waitFor();
    await page.getByRole("link", { name: "Create it" }).click();
    await expect.poll(() => page.getByLabel("Name").inputValue()).toBe("billing");
  });

  it("refreshes by itself", async () => {
    daemon.addAgent("eng");
    await enter();
    daemon.addAgent("newcomer");
    await page.getByRole("link", { name: /newcomer/ }).waitFor();
  });
});

describe("a line", () => {
  it("lets a waiting message be cancelled", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, [{ kind: "queued", position: 0, text: message.text }, ...MID_TURN]);
    const later = daemon.addMessage("eng", { text: "And update the changelog, please.", state: "waiting", turn: "turn-later", sender: "web" });
    await page.reload();
    const row = log().locator(".inbound").filter({ hasText: "And update the changelog" });
    const tray = page.getByRole("list", { name: "Messages that wait for eng" });
    // It is in one place at a time.
    await tray.getByText("And update the changelog").waitFor();
    await expect.poll(() => row.count()).toBe(0);
    await tray.getByRole("button", { name: "Cancel" }).click();
    await row.getByText("Stopped").waitFor();
    await tray.waitFor({ state: "detached" });
    expect(daemon.cancels).toEqual(["turn-later"]);
    await expect.poll(() => row.getByRole("button", { name: "Cancel" }).count()).toBe(0);

    // One that has begun meanwhile says so.
    daemon.addMessage("eng", { text: "And tell the others.", state: "waiting", turn: "turn-begun", sender: "web" });
    await page.reload();
    await tray.getByText("And tell the others").waitFor();
    // Before that the page is told of it by nobody: it may be reading the line just now.
    daemon.overtake = (message) => (message.state = "working");
    await tray.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("alert").filter({ hasText: "The turn runs already" }).waitFor();
    expect(later.state).toBe("cancelled");
  });

  it("says why an agent is paused", async () => {
    scene();
    daemon.addAgent("night", { status: "paused", waiting: 2, pause: { code: "person", reason: "Until Friday." } });
    daemon.addAgent("poor", { status: "paused", pause: { code: "authentication", reason: "Nobody is signed in." } });
    await enter();
    await page.getByRole("link", { name: /night/ }).getByText("Paused · 2 waiting · Until Friday.").waitFor();
    await page.getByRole("link", { name: /poor/ }).getByText("Paused (authentication) · Nobody is signed in.").waitFor();
  });
});

const WELL: VaultHealth = { name: "default", kind: "embedded", state: "ready", deliveries: { state: "closed" } };
const AWAY: VaultHealth = {
  name: "notes", kind: "folder", state: "unavailable", since: "2026-01-05T10:00:00Z",
  reason: "/srv/notes is not there; nothing was removed: mount the disk, or make the folder again",
};
const SLOW: VaultHealth = {
  name: "team", kind: "parachute", state: "ready",
  deliveries: { state: "open", last_error: "the vault team is not available: http://127.0.0.1:1940 answered with status 502" },
};

describe("a vault", () => {
  it("that does not work is told, changes nothing else while it lasts, and is told no more when it is well", async () => {
    scene();
    daemon.vaults = [WELL, { ...AWAY, state: "ready" }, SLOW];
    await enter();
    const region = page.getByRole("status", { name: "Vaults" });
    const line = region.getByText("The vault notes (a folder of files) cannot be used since");
    await region.getByText("The vault team (Parachute) takes no replies now").waitFor();
    await expect.poll(() => line.count()).toBe(0);

    daemon.vaults = [WELL, AWAY, SLOW];
    await line.waitFor();
    const text = (await region.textContent()) ?? "";
    expect(text).toContain("/srv/notes is not there; nothing was removed: mount the disk, or make the folder again. What was accepted is kept");
    expect(text).not.toContain("The vault default");
    await expect.poll(() => line.locator("time").getAttribute("datetime")).toBe(AWAY.since);
    await shoot(page, "vaults");

    // Between two looks nothing moves, so that nothing flickers and nothing is read out twice.
    await region.evaluate((element) => {
      const seen = { changes: 0 };
      new MutationObserver((all) => (seen.changes += all.length)).observe(element, { subtree: true, childList: true, characterData: true });
      Object.assign(window, { seen });
    });
    const looks = daemon.looks;
    daemon.vaults = [WELL, { ...AWAY }, { ...SLOW, deliveries: { ...SLOW.deliveries, state: "probing" } }];
    await expect.poll(() => daemon.looks).toBeGreaterThan(looks + 1);
    expect(await page.evaluate(() => (window as unknown as { seen: { changes: number } }).seen.changes)).toBe(0);

    daemon.vaults = [WELL];
    await line.waitFor({ state: "detached" });
    await expect.poll(() => region.textContent()).toBe("");
  });
});

describe("a turn", () => {
  it("is shown live, survives a reload, and settles without jumps", async () => {
    const message = scene();
    await enter();
    await shoot(page, "idle");
    daemon.emit("eng", message, [{ kind: "queued", position: 1, text: message.text }, ...MID_TURN]);
    const turn = log().locator(".turn");
    await turn.getByText("an unwrapped").waitFor();
    await turn.getByText("Working", { exact: false }).waitFor();
    daemon.addMessage("eng", { text: "And update the changelog, please.", state: "waiting", turn: "turn-later", sender: "web" });
    await page.reload();
    await turn.getByText("an unwrapped").waitFor();
    const shape = () => turn.locator(":scope > .bubble > *").evaluateAll((all) => all.map((element) => element.className));
    const before = ["thinking", "md", "tool ok", "tool failed", "notice", "tool running", "md", "working"];
    await expect.poll(shape).toEqual(before);
    await page.getByRole("list", { name: "Messages that wait for eng" }).getByText("And update the changelog").waitFor();
    await shoot(page, "mid-turn");

    const top = await turn.evaluate((element) => element.getBoundingClientRect().top - (element.parentElement?.getBoundingClientRect().top ?? 0));
    daemon.emit("eng", message, END);
    await turn.getByText("It is mended").waitFor();
    await turn.getByText("$0.0873").waitFor();
    await expect.poll(shape).toEqual([...before.slice(0, 5), "tool cut", "md"]);
    await expect.poll(() => turn.evaluate((element) => element.getBoundingClientRect().top - (element.parentElement?.getBoundingClientRect().top ?? 0))).toBe(top);
    await expect.poll(() => log().getByText("It is mended").count()).toBe(1);
    await shoot(page, "settled");
  });

  it("opens its tool cards by keyboard, with the sub-agent's work inside", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, MID_TURN);
    const card = log().locator(".tool", { hasText: "Find all callers" }).first();
    await card.locator("> summary").focus();
    await page.keyboard.press("Enter");
    await card.getByText("There is one caller.").waitFor();
    await card.locator(".tool > summary").click();
    await card.getByText("src/main.rs:12").waitFor();
    await log().locator(".tool.failed > summary").click();
    await shoot(page, "tools");
  });

  it("can be stopped", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, MID_TURN);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Stopping…" }).waitFor();
    await expect.poll(() => daemon.stops).toEqual([`turn-${message.id}`]);
    daemon.emit("eng", message, [{ kind: "stopped" }]);
    await log().getByText("Stopped", { exact: false }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: /Stop/ }).count()).toBe(0);
  });

  it("that failed says what to do, once, also after a reload", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, [
      ...MID_TURN.slice(0, 6),
      { kind: "error", error: "Claude Code is not signed in.", code: "not_signed_in", next_step: "Run `claude login`, then send the message again." },
    ]);
    await log().getByText("What to do: Run claude login").waitFor();
    await expect.poll(() => log().getByText("Claude Code is not signed in.").count()).toBe(1);
    await expect.poll(() => log().getByText("Failed", { exact: true }).count()).toBe(0);
    await shoot(page, "failure");
    await log().getByRole("button", { name: "Send again" }).click();
    await expect.poll(() => daemon.turns.acts).toEqual([`resend turn-${message.id}`]);
    await page.reload();
    await log().getByText("This turn failed").waitFor();
    await expect.poll(() => log().getByText("Claude Code is not signed in.").count()).toBe(1);
  });

  it("whose reply the vault has not taken shows it, also after a reload, until it is delivered", async () => {
    const kept = () => log().getByText("Kept, not delivered yet");
    const replies = () => log().getByText("This reply is kept.", { exact: true });
    const message = scene();
    await enter();
    daemon.emit("eng", message, [
      { kind: "started", attempt: 1 },
      { kind: "text", text: "This reply is kept." },
      { kind: "done", reply: "This reply is kept.", undelivered: true },
    ]);
    await kept().waitFor();
    await expect.poll(() => replies().count()).toBe(1);
    await shoot(page, "undelivered");
    await page.reload();
    await kept().waitFor();
    await expect.poll(() => replies().count()).toBe(1);
    await expect.poll(() => daemon.open).toBe(1);
    // To a page that has not seen the turn.
    daemon.emit("eng", message, [{ kind: "delivered", note: "n" }]);
    await kept().waitFor({ state: "detached" });
    await expect.poll(() => replies().count()).toBe(1);

    const failed = daemon.addMessage("eng", { text: "And this?", state: "waiting", sender: "web" });
    daemon.emit("eng", failed, [
      { kind: "queued", position: 1, text: "And this?" },
      { kind: "error", error: "Claude Code is not signed in.", code: "authentication", undelivered: true },
    ]);
    await page.getByRole("region", { name: "Failure" }).getByText("This turn failed").waitFor();
    await kept().waitFor();
    daemon.emit("eng", failed, [{ kind: "delivered", note: "n" }]);
    await kept().waitFor({ state: "detached" });
  });

  it("tells a screen reader how it goes", async () => {
    const message = scene();
    await enter();
    const spoken = page.locator(".conversation > [aria-live=polite]");
    daemon.emit("eng", message, MID_TURN);
    await expect.poll(() => spoken.textContent()).toContain("Retrying");
    daemon.emit("eng", message, END);
    await expect.poll(() => spoken.textContent()).toContain("eng replied: I will look");
  });
});

describe("sending", () => {
  it("keeps the text when the daemon refuses, and when it is away", async () => {
    daemon.addAgent("eng");
    await enter();
    daemon.refusal = [413, { error: "too_large", message: "The message is too large.", next_step: "Send less than 1 MB." }];
    await box().fill("line one");
    await box().press("Shift+Enter");
    await box().pressSequentially("line two");
    await box().press("Enter");
    await page.getByRole("alert").getByText("The message is too large.").waitFor();
    await expect.poll(() => box().inputValue()).toBe("line one\nline two");
    await daemon.stop();
    await box().press("Enter");
    await page.getByRole("alert").getByText("The daemon did not answer.").waitFor();
    await expect.poll(() => box().inputValue()).toBe("line one\nline two");
    await daemon.start();
    await box().press("Enter");
    await log().getByText("line two").waitFor();
    // The stream may show the message before the answer to the send is there.
    await expect.poll(() => box().inputValue()).toBe("");
    expect(daemon.sends).toEqual(["line one\nline two"]);
  });

  it("has no button for nothing, and keeps a draft for each agent", async () => {
    scene();
    await enter();
    const send = page.getByRole("button", { name: "Send", exact: true });
    await expect.poll(() => send.isDisabled()).toBe(true);
    await box().fill("  \n ");
    await expect.poll(() => send.isDisabled()).toBe(true);
    await box().fill("for eng");
    await page.getByRole("link", { name: /writer/ }).click();
    await page.getByRole("textbox", { name: "Message to writer" }).waitFor();
    await expect.poll(() => box().inputValue()).toBe("");
    await page.getByRole("link", { name: /parser/ }).click();
    await page.getByRole("textbox", { name: "Message to eng" }).waitFor();
    await expect.poll(() => box().inputValue()).toBe("for eng");
  });
});

describe("the connection", () => {
  it("comes back by itself after a drop, without losing or doubling anything", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, MID_TURN.slice(0, 5));
    await log().locator(".tool").waitFor();
    daemon.dropStreams();
    daemon.emit("eng", message, MID_TURN.slice(5));
    await log().getByText("an unwrapped").waitFor();
    await expect.poll(() => log().locator(".turn > .bubble > .tool").count()).toBe(3);
  });

  it("says so while the daemon is away, and finds the truth after a restart", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, MID_TURN);
    await log().getByText("an unwrapped").waitFor();
    daemon.control("shutdown");
    await status("stopping or restarting").waitFor();
    await daemon.stop();
    await shoot(page, "reconnecting");
    Object.assign(message, { state: "interrupted" });
    Object.assign(daemon.agents[0] as object, { status: "idle", running: null });
    await daemon.restart();
    await expect.poll(() => page.locator(".banner.warn").count()).toBe(0);
    await log().getByText("Interrupted", { exact: false }).waitFor();
    await box().fill("again");
    await box().press("Enter");
    await log().getByText("again", { exact: true }).waitFor();
  });

  it("reloads on resync, and shows the running turn whole", async () => {
    const message = scene();
    await enter();
    daemon.emit("eng", message, MID_TURN);
    await log().getByText("an unwrapped").waitFor();
    daemon.addMessage("eng", { text: "missed message", state: "ok" });
    daemon.control("resync");
    await log().getByText("missed message").waitFor();
    await log().getByText("an unwrapped").waitFor();
    await expect.poll(() => log().locator(".turn > .bubble > .tool").count()).toBe(3);
  });

  it("is one stream, whatever conversations are visited", async () => {
    scene();
    await enter();
    for (const name of ["writer", "ops", "eng", "writer"]) {
      await page.goto(`${daemon.url}#/agent/${name}`);
      await page.getByRole("textbox", { name: `Message to ${name}` }).waitFor();
      await expect.poll(() => daemon.open).toBe(1);
    }
  });
});

describe("reading", () => {
  it("follows the end only while the reader is there", async () => {
    const message = scene();
    for (let n = 0; n < 40; n++) daemon.addMessage("eng", { text: `Old message ${n}`, state: "ok" });
    await enter();
    const transcript = log();
    const fromEnd = () => transcript.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight);
    await transcript.getByText("Old message 39").waitFor();
    await expect.poll(fromEnd).toBeLessThan(2);
    const latest = daemon.addMessage("eng", { text: "Newest", state: "waiting" });
    daemon.emit("eng", latest, [{ kind: "queued", position: 1, text: "Newest" }, ...MID_TURN]);
    await transcript.getByText("an unwrapped").waitFor();
    await expect.poll(fromEnd).toBeLessThan(2);
    // Whoever is at the end is taken along by what is drawn at that moment, and scrolls again.
    await expect
      .poll(async () => {
        await transcript.evaluate((element) => element.scrollTo(0, 200));
        return page.getByRole("button", { name: "To the end" }).count();
      })
      .toBe(1);
    daemon.emit("eng", latest, END);
    await page.getByRole("button", { name: "New messages" }).waitFor();
    await expect.poll(() => transcript.evaluate((element) => element.scrollTop)).toBe(200);
    await page.getByRole("button", { name: "New messages" }).click();
    await expect.poll(fromEnd).toBeLessThan(2);
    await expect.poll(() => page.getByRole("button", { name: "New messages" }).count()).toBe(0);
    expect(message.id).toBeTruthy();
  });

  it("stands hostile and huge messages", async () => {
    daemon.addAgent("eng");
    const hostile = '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"> [x](javascript:alert(1)) ![p](https://evil.example/p.png)';
    daemon.addMessage("eng", { text: hostile, direction: "outbound", sender: '<b onclick="x">\u202Eevil' });
    daemon.addMessage("eng", { text: hostile, sender: "<img src=x onerror=alert(1)>" });
    daemon.addMessage("eng", { text: "مرحبا بالعالم، هذه رسالة.\n\nAnd English with ‮reversed‬ text." });
    daemon.addMessage("eng", { text: `${"word ".repeat(300_000)}THE-END`, direction: "outbound" });
    daemon.addMessage("eng", { text: `${"> ".repeat(9_000)}deep`, direction: "outbound" });
    daemon.addMessage("eng", { text: "x".repeat(5_000), direction: "outbound" });
    await enter();
    await log().getByText("مرحبا").waitFor();
    await expect.poll(() => log().locator("script, img, [onclick], a[href^=javascript]").count()).toBe(0);
    await expect.poll(() => log().evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    await page.getByRole("button", { name: /Show all 1500k/ }).click();
    await log().getByText("THE-END").waitFor();
    await expect.poll(() => page.title()).toBe("eng · Reveille");
    await log().evaluate((element) => element.scrollTo(0, 0));
    await shoot(page, "hostile");
  });
});

describe("every screen", () => {
  it.each([
    ["dark", { colorScheme: "dark" as const }],
    ["phone", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }],
    ["phone-dark", { viewport: { width: 320, height: 640 }, colorScheme: "dark" as const, hasTouch: true, isMobile: true }],
    ["wide", { viewport: { width: 2200, height: 1100 } }],
  ])("looks right: %s", async (name, options) => {
    await at.close();
    at = await openPage(browser, options);
    page = at.page;
    const message = scene();
    daemon.confined = false;
    daemon.vaults = [AWAY, SLOW];
    await page.goto(daemon.signInLink);
    await page.getByRole("heading", { name: "Agents", exact: true }).waitFor();
    await shoot(page, `${name}-home`);
    await page.getByRole("link", { name: /eng/ }).first().click();
    await box().waitFor();
    await expect.poll(() => daemon.open).toBe(1);
    daemon.emit("eng", message, [{ kind: "queued", position: 1, text: message.text }, ...MID_TURN]);
    await log().getByText("an unwrapped").waitFor();
    await shoot(page, `${name}-mid-turn`);
    daemon.emit("eng", message, [{ kind: "error", error: "Claude Code is not signed in.", code: "not_signed_in", next_step: "Run `claude login`." }]);
    await log().getByText("What to do:").waitFor();
    await shoot(page, `${name}-failure`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow).toBe(0);
    if ("isMobile" in options) {
      await page.getByRole("link", { name: "All agents" }).click();
      await page.getByRole("link", { name: "New agent" }).click();
      await shoot(page, `${name}-new`);
    }
  });
});
