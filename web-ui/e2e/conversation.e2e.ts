/** What a person does in a conversation, against the double. */
import axe from "axe-core";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import type { Message } from "../app/api";
import { shoot } from "./browser";
import type { Body } from "./mock";
import { PNG } from "./mock-turns";
import { LIMIT, patience } from "./slow";
import { stage } from "./stage";

const at = stage();
const log = (page: Page = at.page) => page.getByRole("log");
const box = (page: Page = at.page) => page.getByRole("textbox", { name: /Message to/ });

async function enter(name = "eng"): Promise<void> {
  await at.enter(`#/agent/${name}`);
  await box().waitFor();
  await expect.poll(() => at.daemon.open).toBe(1);
}

/** Leaves the end. Whoever is at it is taken along by what is drawn at that moment, and scrolls again. */
async function scrolled(top: number): Promise<void> {
  await expect
    .poll(async () => {
      await log().evaluate((element, to) => element.scrollTo(0, to), top);
      return at.page.getByRole("button", { name: /^(To the end|New messages)/ }).count();
    })
    .toBe(1);
}

/** Nothing that keeps somebody out: of the rules of axe, those that are serious or worse. */
async function accessible(): Promise<void> {
  // Not into the page, whose policy forbids it: into the world of the driver.
  const found = await at.page.evaluate(`(() => { ${axe.source}; return axe.run(document, { resultTypes: ["violations"] }); })()`);
  const { violations } = found as axe.AxeResults;
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`)).toEqual([]);
}

const EDIT = { file_path: "/work/parser/src/lib.rs", old_string: "let entry = parse(line).unwrap();\nkeep(entry);", new_string: "let entry = parse(line)?;\nkeep(entry);" };
const TOOLS: Body[] = [
  { kind: "started", attempt: 1 },
  { kind: "init", session: "s", model: "claude-opus-4" },
  { kind: "text", text: "I mend it:\n\n```rust\nfn main() -> Result<(), Error> {\n    // as it should be\n    let n = 42;\n    run(\"x\")\n}\n```\n\nThen I test." },
  { kind: "tool", id: "e", tool: "Edit", input: JSON.stringify(EDIT) },
  { kind: "tool_result", id: "e", ok: true, preview: "The file was changed." },
  { kind: "tool", id: "w", tool: "Write", input: JSON.stringify({ file_path: "/work/NOTES.md", content: "# Notes\n\nOne line.\n".repeat(20) }).slice(0, 200) + "…" },
  { kind: "tool_result", id: "w", ok: true, preview: "Written." },
  { kind: "tool", id: "b", tool: "Bash", input: '{"command":"cargo test && echo done"}' },
  { kind: "tool_result", id: "b", ok: false, preview: "\u001b[31mFAILED\u001b[0m <script>alert(1)</script>\n10 %\r100 %" },
];

function question(text = "Please mend the parser."): Message {
  at.daemon.addAgent("eng", { model: "opus" });
  return at.daemon.addMessage("eng", { text, state: "waiting", sender: "web", turn: "turn-eng-m1" });
}

describe("a turn", () => {
  it("shows edits as changes, code in colours, and output without the terminal's commands", async () => {
    const message = question();
    await enter();
    at.daemon.emit("eng", message, TOOLS);
    const card = (name: string) => log().locator("details.tool", { hasText: name });
    await log().locator(".hljs-keyword").first().waitFor();
    await card("Edit").locator("summary").click();
    const lines = card("Edit").locator(".line");
    await lines.first().waitFor();
    await expect.poll(() => lines.evaluateAll((all) => all.map((line) => `${line.className}: ${line.lastChild?.textContent}`))).toEqual([
      "line removed: let entry = parse(line).unwrap();", "line added: let entry = parse(line)?;", "line same: keep(entry);",
    ]);
    await card("Write").locator("summary").click();
    await card("Write").getByText("Only the beginning of this change").waitFor();
    await card("Bash").locator("summary").click();
    const output = card("Bash").getByRole("region", { name: "Failed" });
    await expect.poll(() => output.textContent()).toBe("FAILED <script>alert(1)</script>\n100 %");
    await accessible();
    await at.shootAll("conversation-tools");
  });

  it("is the same picture after a reload in mid-turn, and in two tabs", async () => {
    const message = question();
    await enter();
    at.daemon.emit("eng", message, [...TOOLS, { kind: "text_delta", text: "Half a sen" }]);
    await log().getByText("Half a sen").waitFor();
    const picture = (page: Page) => log(page).locator(".turn > .bubble > *").evaluateAll((all) => all.map((element) => [element.className, element.querySelector("summary, div")?.textContent?.replace(/\d+(\.\d)? s|Copy/g, "")]));
    const before = await picture(at.page);
    await at.page.reload();
    await log().getByText("Half a sen").waitFor();
    await expect.poll(() => picture(at.page)).toEqual(before);
    const other = await at.page.context().newPage();
    await other.goto(`${at.daemon.url}#/agent/eng`);
    await log(other).getByText("Half a sen").waitFor();
    await expect.poll(() => picture(other)).toEqual(before);
    // What is sent in one is seen in the other.
    await box(other).fill("from the other tab");
    await box(other).press("Enter");
    await at.page.getByRole("list", { name: "Messages that wait for eng" }).getByText("from the other tab").waitFor();
    await expect.poll(() => log().getByText("from the other tab").count()).toBe(0);
    await other.close();
  });

  it("of 2 000 pieces keeps the page at hand", async () => {
    const message = question();
    await enter();
    await at.page.evaluate(() => {
      const frames: number[] = [];
      let last = performance.now();
      const tick = (now: number): void => {
        frames.push(now - last);
        last = now;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
      Object.assign(window, { frames });
    });
    at.daemon.emit("eng", message, [{ kind: "started", attempt: 1 }]);
    for (let n = 0; n < 2_000; n++) {
      at.daemon.emit("eng", message, [{ kind: "text_delta", text: n % 25 === 24 ? `paragraph **${n}** ends.\n\n` : `word${n} of \`it\` ` }]);
      if (n % 10 === 0) await new Promise((done) => setTimeout(done, 5));
    }
    await log().getByText("1999").waitFor();
    const frames = await at.page.evaluate(() => (window as unknown as { frames: number[] }).frames.toSorted((a, b) => a - b));
    const share = (part: number): string => `${frames[Math.floor(part * (frames.length - 1))]?.toFixed(0)} ms`;
    console.log(`a turn of 2 000 pieces: ${frames.length} frames, median ${share(0.5)}, 95 % ${share(0.95)}, longest ${share(1)}`);
    await expect.poll(() => log().locator(".turn .md > div").count()).toBe(80);
  });
});

describe("a failure and what it took", () => {
  it("are there after a reload, with the next step, and the message can be put better", async () => {
    at.daemon.addAgent("eng");
    const asked = at.daemon.addMessage("eng", { text: "Deploy", state: "error", turn: "t1", at: "2026-01-05T10:00:00Z" });
    at.daemon.addMessage("eng", {
      text: "Claude Code is not signed in.\n\nRun `claude login`.", direction: "outbound", kind: "failure", code: "authentication", next_step: "Run `claude login`.",
      in_reply_to: asked.id, turn: "t1", at: "2026-01-05T10:01:00Z",
    });
    const good = at.daemon.addMessage("eng", { text: "Again?", state: "ok", turn: "t2", at: "2026-01-05T10:02:00Z" });
    at.daemon.addMessage("eng", { text: "Yes.", direction: "outbound", in_reply_to: good.id, turn: "t2", at: "2026-01-05T10:03:00Z" });
    await enter();
    const failure = page().getByRole("region", { name: "Failure" });
    await failure.getByText("What to do: Run claude login.").waitFor();
    await expect.poll(() => failure.getByText("claude login").count()).toBe(1);
    const answer = log().locator(".outbound").filter({ hasText: "Yes." });
    await answer.getByText("3.2 s · $0.0123 · 26.3k tokens in (24.3k from cache), 1431 out · claude-opus-4").waitFor();
    // The message says the same, which is shown once.
    await expect.poll(() => log().locator(".inbound").getByText("$0.0123").count()).toBe(0);
    await failure.getByRole("button", { name: "Edit and resend" }).click();
    const editor = page().getByRole("textbox", { name: "Send this instead" });
    await expect.poll(() => editor.inputValue()).toBe("Deploy");
    await editor.fill("Deploy, but sign in first");
    await accessible();
    await at.shootAll("conversation-failure");
    await page().getByRole("button", { name: "Send as a new message" }).click();
    await log().getByText("Deploy, but sign in first", { exact: true }).waitFor();
    expect(at.daemon.turns.acts).toEqual(["resend t1 Deploy, but sign in first"]);
    await editor.waitFor({ state: "detached" });
  });
});

const page = (): Page => at.page;

describe("the line", () => {
  it("is put in order by keyboard and pointer, held back, changed and cancelled", async () => {
    const message = question();
    await enter();
    at.daemon.emit("eng", message, TOOLS.slice(0, 3));
    for (const text of ["first", "second", "third"]) {
      at.daemon.addMessage("eng", { text: `the ${text} one`, state: "waiting", sender: "web", turn: `t-${text}` });
    }
    await page().reload();
    const items = page().getByRole("list", { name: "Messages that wait for eng" }).getByRole("listitem");
    const order = () => items.evaluateAll((all) => all.map((item) => item.querySelector(".waiting-text")?.textContent?.split(" ")[1]));
    await expect.poll(order).toEqual(["first", "second", "third"]);

    await page().getByRole("button", { name: "Move message 3" }).focus();
    await page().keyboard.press("ArrowUp");
    await expect.poll(order).toEqual(["first", "third", "second"]);
    await expect.poll(() => page().evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Move message 2");
    await page().keyboard.press("Home");
    await expect.poll(order).toEqual(["third", "first", "second"]);
    await page().getByText("Now number 1 of 3.").waitFor({ state: "attached" });

    const grip = await page().getByRole("button", { name: "Move message 1" }).boundingBox();
    const last = await items.nth(2).boundingBox();
    if (!grip || !last) throw new Error("no boxes");
    await page().mouse.move(grip.x + 5, grip.y + 5);
    await page().mouse.down();
    await page().mouse.move(grip.x + 5, last.y + last.height + 4, { steps: 5 });
    await page().mouse.up();
    await expect.poll(order).toEqual(["first", "second", "third"]);
    expect(at.daemon.turns.acts).toEqual(['move t-third {"before":"t-second"}', "move t-third first", "move t-third last"]);

    await items.nth(1).getByRole("button", { name: "Hold" }).click();
    await items.nth(1).getByText("Held back").waitFor();
    await accessible();
    await at.shootAll("conversation-line");
    await items.nth(1).getByRole("button", { name: "Release" }).click();
    await items.nth(1).getByRole("button", { name: "Hold" }).waitFor();

    await items.nth(0).getByRole("button", { name: "Edit" }).click();
    await page().getByRole("textbox", { name: "Text of the waiting message" }).fill("the better one");
    await page().getByRole("button", { name: "Save" }).click();
    await expect.poll(order).toEqual(["better", "second", "third"]);
    await items.nth(2).getByRole("button", { name: "Cancel" }).click();
    await expect.poll(order).toEqual(["better", "second"]);
    expect(at.daemon.cancels).toEqual(["t-third"]);
  });
});

describe("the line of somebody quick", () => {
  it("loses nothing of what is done before the last thing is answered", async () => {
    const message = question();
    await enter();
    at.daemon.emit("eng", message, TOOLS.slice(0, 3));
    for (const text of ["first", "second", "third"]) {
      at.daemon.addMessage("eng", { text: `the ${text} one`, state: "waiting", sender: "web", turn: `t-${text}` });
    }
    await page().reload();
    const items = page().getByRole("list", { name: "Messages that wait for eng" }).getByRole("listitem");
    await items.nth(2).waitFor();
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    await page().route("**/move", async (route) => {
      await held;
      await route.continue();
    });
    await page().getByRole("button", { name: "Move message 3" }).focus();
    await page().keyboard.press("ArrowUp");
    await page().keyboard.press("ArrowUp");
    await items.filter({ hasText: "first" }).getByRole("button", { name: "Hold" }).click();
    go();
    await items.filter({ hasText: "first" }).getByText("Held back").waitFor();
    expect(at.daemon.turns.acts).toEqual(['move t-third {"before":"t-second"}', "move t-third first", "hold t-first"]);
  });
});

describe("the line of several conversations", () => {
  it("is put in order within each one: others between them do not count", async () => {
    const message = question();
    await enter();
    at.daemon.emit("eng", message, TOOLS.slice(0, 3));
    for (const [n, thread] of ["main", "other", "other", "main", "main"].entries()) {
      at.daemon.addMessage("eng", { text: `number ${n} of ${thread}`, state: "waiting", sender: "web", turn: `t${n}` });
      at.daemon.turns.threads.set(`t${n}`, thread);
    }
    await page().reload();
    const list = page().getByRole("list", { name: "Messages that wait for eng" });
    await page().getByText("5 messages in line").click();
    await list.waitFor();
    const item = (n: number) => list.getByRole("listitem").filter({ hasText: `number ${n}` });
    const grip = await item(0).locator(".grip").boundingBox();
    const below = await item(3).boundingBox();
    if (!grip || !below) throw new Error("no boxes");
    // Below the second of its own three, with two of the other conversation between.
    await page().mouse.move(grip.x + 5, grip.y + 5);
    await page().mouse.down();
    await page().mouse.move(grip.x + 5, below.y + below.height - 2, { steps: 6 });
    await page().mouse.up();
    await expect.poll(() => at.daemon.turns.acts).toEqual(['move t0 {"before":"t4"}']);
  });

  it("has nothing of a turn that has begun, however long the line takes to be read", async () => {
    at.daemon.addAgent("eng");
    await enter();
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    await page().route("**/api/channels/eng/queue", async (route) => {
      await held;
      await route.continue();
    });
    at.daemon.answer = () => [{ kind: "started", attempt: 1 }, { kind: "text", text: "I look." }];
    await box().fill("Now");
    await box().press("Enter");
    await log().getByText("I look.").waitFor();
    // The page's own timer for what waits was set before this one.
    await page().evaluate(() => new Promise((resolve) => setTimeout(resolve, 1000)));
    expect(await page().locator(".tray").count()).toBe(0);
    go();
  });

  it("has what was sent to an idle agent only while it really waits", async () => {
    at.daemon.addAgent("eng");
    await enter();
    await page().evaluate(() => {
      const seen = { tray: false };
      new MutationObserver(() => (seen.tray ||= document.querySelector(".tray") !== null)).observe(document.body, { subtree: true, childList: true });
      Object.assign(window, { seen });
    });
    at.daemon.answer = () => [{ kind: "started", attempt: 1 }, { kind: "text", text: "At once." }];
    at.daemon.atOnce = true;
    await box().fill("Now");
    await box().press("Enter");
    await log().getByText("At once.").waitFor();
    await expect.poll(() => box().inputValue()).toBe("");
    expect(await page().evaluate(() => (window as unknown as { seen: { tray: boolean } }).seen.tray)).toBe(false);

    at.daemon.answer = undefined;
    const attachments = [{ id: "a", name: "notes.txt", mime: "text/plain", size_bytes: 5, url: "/vault/default/api/storage/day/1" }];
    const later = at.daemon.addMessage("eng", { text: "Later", state: "waiting", sender: "web", turn: "t-later", attachments });
    at.daemon.emit("eng", later, [{ kind: "queued", position: 1, text: "Later" }], "t-later");
    await page().getByRole("list", { name: "Messages that wait for eng" }).getByText("Later").waitFor();
    await page().getByRole("list", { name: "Messages that wait for eng" }).getByText("1 file").waitFor();
    await expect.poll(() => log().getByText("Later", { exact: true }).count()).toBe(0);
  });
});

describe("a message", () => {
  it("takes files that are chosen and pasted; nothing is lost when sending fails or the page is loaded again", async () => {
    at.daemon.addAgent("eng");
    await enter();
    await page().locator("input[type=file]").setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
    const added = page().getByRole("list", { name: "Files of this message" });
    await added.getByText("notes.txt").waitFor();
    await box().evaluate((area, png) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(png), (char) => char.charCodeAt(0))], "shot.png", { type: "image/png" }));
      data.items.add(new File([new Uint8Array([1, 2, 3])], "broken.png", { type: "image/png" }));
      area.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }, PNG.toString("base64"));
    await added.getByText("shot.png").waitFor();
    await page().locator("input[type=file]").setInputFiles({ name: "huge.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(6_000_000) });
    await added.getByText("It has 6.0 MB, and this daemon takes files of up to 5.0 MB.").waitFor();
    // All three are there: what is still on its way says how far it is.
    await expect.poll(() => at.daemon.turns.uploads).toBe(3);
    await expect.poll(() => added.getByRole("progressbar").count()).toBe(0);
    // The daemon has the last word.
    at.daemon.limits.upload_bytes = 9_000_000;
    await box().fill("See the files");
    await page().reload();
    await added.getByText("shot.png").waitFor();
    await expect.poll(() => box().inputValue()).toBe("See the files");
    await page().locator("input[type=file]").setInputFiles({ name: "huge.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(6_000_000) });
    await added.getByText("The file is too large. Send less than 5 MB.").waitFor();
    await added.getByRole("button", { name: "Take huge.bin away" }).click();
    await accessible();
    await at.shootAll("conversation-files");

    await page().context().setOffline(true);
    await box().press("Enter");
    await page().getByRole("alert").getByText("The daemon did not answer.").waitFor();
    await expect.poll(() => box().inputValue()).toBe("See the files");
    await page().context().setOffline(false);
    at.daemon.answer = () => [{ kind: "started", attempt: 1 }];
    await box().press("Enter");
    const row = log().locator(".inbound").filter({ hasText: "See the files" });
    await row.getByRole("list", { name: "Attached files" }).getByText("notes.txt").waitFor();
    await row.getByRole("img", { name: "shot.png" }).waitFor();
    await row.getByText("This picture cannot be shown.").waitFor();
    await row.getByRole("button", { name: "See notes.txt" }).click();
    const preview = page().getByRole("dialog", { name: "notes.txt" });
    await preview.getByText("hello", { exact: true }).waitFor();
    await accessible();
    const saved = page().waitForEvent("download");
    await preview.getByRole("button", { name: "Save" }).click();
    expect((await saved).suggestedFilename()).toBe("notes.txt");
    await page().keyboard.press("Escape");
    await preview.waitFor({ state: "detached" });
    await row.getByRole("button", { name: "See shot.png" }).click();
    await page().getByRole("dialog", { name: "shot.png" }).getByRole("img").waitFor();
    await shoot(page(), "conversation-picture");
    await page().keyboard.press("Escape");
    await expect.poll(() => box().inputValue()).toBe("");
    await added.waitFor({ state: "detached" });
    expect(at.daemon.turns.keys.at(-1)).toMatch(/^[\da-f]{32}$/);
    await shoot(page(), "conversation-attached");
  });
});

describe("work that is handed on", () => {
  it("is a tree with states and cost, from the top and from below", async () => {
    for (const name of ["boss", "eng", "doc"]) at.daemon.addAgent(name);
    const first = at.daemon.addMessage("boss", { text: "Release it", state: "ok", turn: "t-boss", at: "2026-01-05T10:00:00Z" });
    const by = { agent: "boss", turn: "t-boss", message: first.id };
    const below = { chain: first.id, delegated_by: by, sender: "agent:boss", reply_to: "boss" };
    at.daemon.addMessage("eng", { ...below, text: "Build the release", state: "working", turn: "t-eng", at: "2026-01-05T10:00:10Z" });
    const also = at.daemon.addMessage("doc", { ...below, text: "Write the notes", state: "error", turn: "t-doc", at: "2026-01-05T10:00:11Z" });
    at.daemon.addMessage("boss", {
      text: "The turn failed.", state: "ok", turn: "t-report", sender: "callback:doc", chain: first.id, callback: true,
      delegated_by: { agent: "doc", turn: "t-doc", message: also.id }, at: "2026-01-05T10:05:00Z",
    });
    await at.enter("#/agent/eng");
    const asked = log().locator(".inbound").filter({ hasText: "Build the release" });
    await expect.poll(() => asked.getByText("From boss").getByRole("link").getAttribute("href")).toBe(`#/agent/boss/message/${first.id}`);
    await asked.getByText("The whole chain").click();
    const tree = asked.getByRole("list", { name: "Who handed work to whom" });
    await tree.getByText("working").waitFor();
    await tree.getByText("failed · $0.0123").waitFor();
    await tree.getByText("got the report, done · $0.0123").waitFor();
    await asked.getByText("4 turns · $0.0369 in all").waitFor();
    await accessible();
    await at.shootAll("conversation-chain");
    await tree.getByRole("link", { name: "boss" }).first().click();
    await page().getByRole("heading", { name: "boss" }).waitFor();
    // From above: whom it asked, and how that went; from the report back to what it reports.
    const top = log().locator(".inbound").filter({ hasText: "Release it" });
    await top.getByText("Handed on to").waitFor();
    await expect.poll(() => top.locator(".child").allTextContents()).toEqual(["eng working", "doc failed · $0.0123"]);
    await top.getByText("The whole chain").click();
    await top.getByRole("list", { name: "Who handed work to whom" }).getByText("working").waitFor();
    await at.shootAll("conversation-chain-top");
    const report = log().locator(".inbound").filter({ hasText: "The turn failed." });
    await report.getByText("Report of doc").getByRole("link").click();
    await expect.poll(() => page().url()).toBe(`${at.daemon.url}#/agent/doc/message/${also.id}`);
    await log().getByText("Write the notes").waitFor();
  });
});

describe("a long conversation", () => {
  it("of 10 000 messages is read page by page, keeps its place, and draws what is near", async () => {
    at.daemon.addAgent("eng");
    at.daemon.turns.page = 1_000;
    const messages: Message[] = Array.from({ length: 10_000 }, (_, n) => ({
      id: `m${n}`, direction: n % 2 ? "outbound" : "inbound", sender: "ann", text: `Message **number ${n}**\n\n${"and some words. ".repeat(n % 30)}`, state: "ok",
      at: new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString(), ...(n % 2 ? { in_reply_to: `m${n - 1}` } : {}),
    }));
    at.daemon.messages.set("eng", messages);
    await enter();
    await log().getByText("number 9999").waitFor();
    const rows = () => log().locator(".row").count();
    await expect.poll(() => rows()).toBeLessThan(200);
    // Up to the very first one, a screen at a time.
    await page().evaluate(() => {
      const box = document.querySelector(".transcript") as HTMLElement;
      const gaps: number[] = [];
      let last = performance.now();
      const tick = (now: number): void => {
        gaps.push(now - last);
        last = now;
        box.scrollTop -= 4_000;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
      Object.assign(window, { gaps });
    });
    await log().getByText("number 0", { exact: true }).waitFor({ timeout: 4 * LIMIT * patience });
    await expect.poll(() => rows()).toBeLessThan(400);
    const gaps = await page().evaluate(() => (window as unknown as { gaps: number[] }).gaps.toSorted((a, b) => a - b));
    console.log(`10 000 messages: ${gaps.length} frames of scrolling, median ${gaps[gaps.length >> 1]?.toFixed(0)} ms, 95 % ${gaps[Math.floor(gaps.length * 0.95)]?.toFixed(0)} ms, longest ${gaps.at(-1)?.toFixed(0)} ms`);
  });

  it("leaves the row that is read where it is when earlier ones come, and marks what is new", async () => {
    at.daemon.addAgent("eng");
    at.daemon.turns.page = 50;
    for (let n = 0; n < 120; n++) at.daemon.addMessage("eng", { text: `Message ${n}`, at: new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString() });
    await enter();
    await log().getByText("Message 119").waitFor();
    await scrolled(900);
    const place = () => log().getByText("Message 85", { exact: true }).evaluate((element) => Math.round(element.getBoundingClientRect().top));
    const before = await place();
    await log().evaluate((element) => element.scrollBy(0, -50));
    await log().getByText("Message 20", { exact: true }).waitFor({ state: "attached" });
    await expect.poll(() => place()).toBe(before + 50);

    await page().goto(`${at.daemon.url}#/`);
    at.daemon.addMessage("eng", { text: "While you were away", direction: "outbound", at: new Date().toISOString() });
    await page().goto(`${at.daemon.url}#/agent/eng`);
    await log().getByRole("separator").waitFor();
    await shoot(page(), "conversation-unread");
    await expect.poll(() => log().getByRole("separator").evaluate((mark) => mark.nextElementSibling?.textContent)).toContain("While you were away");
  });
});
