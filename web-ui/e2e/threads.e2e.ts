/** Conversations over all agents: found, named, put away, and opened alone. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", { cost_usd: 4.2 });
  daemon.addAgent("writer", { mode: "multi-threaded" });
  const { threads } = daemon;
  threads.add("eng", "t-main", { preview: "The parser reads both forms now, and says which one it saw.", turns: 41, cost_usd: 3.1, last_at: ago(2), state: "working" });
  threads.add("eng", "t-order", { key: { kind: "subject", key: "order 17" }, preview: "Shipped on Tuesday.", turns: 3, cost_usd: 0.42, last_at: ago(60) });
  threads.add("writer", "t-notes", { key: { kind: "single", key: "m" }, preview: "Release notes for 1.4", turns: 1, cost_usd: 0.05, last_at: ago(300), state: "error" });
  threads.add("writer", "t-line", { key: { kind: "single", key: "n" }, title: "Newsletter of November", preview: "Write the newsletter.", turns: 0, last_at: ago(600), state: "queued" });
  threads.add("writer", "t-old", { key: { kind: "single", key: "o" }, title: "An old one", archived: true, turns: 2, last_at: ago(90_000) });
  threads.put(daemon.addMessage("eng", { text: "Please mend the parser.", state: "ok", turn: "t1" }), "t-main");
  threads.put(daemon.addMessage("eng", { text: "Where is the parcel of order 17?", subject: "order 17", state: "ok", turn: "t2" }), "t-order");
  daemon.addMessage("eng", { text: "Shipped on Tuesday.", direction: "outbound", sender: "eng", in_reply_to: "eng-m2", turn: "t2" });
  threads.put(daemon.addMessage("eng", { text: "And the tests?", state: "ok", turn: "t3" }), "t-main");
}

const rows = () => at.page.locator(".threads-table tbody tr");
const names = () => rows().locator(".thread-text > a").allTextContents();
const row = (name: string) => rows().filter({ has: at.page.locator(".thread-text > a", { hasText: name }) });
const log = () => at.page.getByRole("log");

describe("the list of conversations", () => {
  it("says of each what it is about, whose it is, how it stands, what it took and when it was active", async () => {
    scene();
    await at.enter("#/threads");
    await expect.poll(names).toEqual(["Main conversation", "order 17", "Release notes for 1.4", "Newsletter of November"]);
    await expect.poll(() => row("Main").locator("td").allTextContents()).toEqual(["eng", "Working", expect.stringMatching(/^41/), "$3.10", expect.stringMatching(/\d/)]);
    await row("Main").getByText("The parser reads both forms now").waitFor();
    await expect.poll(() => row("Release").locator(".thread-words").textContent()).toBe("");
    await at.shootAll("threads");
  });

  it("is searched in all that was said, with the hit marked, and narrowed by agent, state and archive", async () => {
    scene();
    await at.enter("#/threads");
    const { page } = at;
    await row("Main").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("parcel");
    await expect.poll(names).toEqual(["order 17"]);
    await expect.poll(() => row("order 17").locator("mark").textContent()).toBe("parcel");
    await row("order 17").getByText("Where is the parcel of order 17?").waitFor();
    await at.shootAll("threads-search");
    // What the search left out is told.
    const { threads } = at.daemon;
    threads.unsearched = [{ vault: "archive", reason: "it cannot be reached" }];
    await page.getByRole("searchbox").fill("parc");
    await page.getByText("The messages of the vault archive could not be searched: it cannot be reached").waitFor();
    await expect.poll(names).toEqual(["order 17"]);
    threads.unsearched = [];
    await page.getByRole("searchbox").fill("nobody said this");
    await page.getByText("No conversation has “nobody said this” in it.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await expect.poll(async () => (await names()).length).toBe(4);
    const main = page.getByRole("main");
    await main.getByLabel("Agent", { exact: true }).selectOption("writer");
    await expect.poll(names).toEqual(["Release notes for 1.4", "Newsletter of November"]);
    await main.getByLabel("State").selectOption("error");
    await expect.poll(names).toEqual(["Release notes for 1.4"]);
    await main.getByLabel("State").selectOption("");
    await main.getByLabel("Archived").selectOption("all");
    await expect.poll(names).toEqual(["Release notes for 1.4", "Newsletter of November", "An old one"]);
    // Coming back, it is as it was left.
    await page.getByRole("link", { name: "Home", exact: true }).click();
    await page.getByRole("link", { name: "Threads" }).click();
    await expect.poll(names).toEqual(["Release notes for 1.4", "Newsletter of November", "An old one"]);
  });

  it("gives a name in its place, and takes it away", async () => {
    scene();
    await at.enter("#/threads");
    const { page, daemon } = at;
    await row("Main").hover();
    await page.getByRole("button", { name: "Rename Main conversation" }).click();
    const field = page.getByRole("textbox", { name: "Name of the conversation" });
    await field.fill("The parser");
    daemon.threads.refusal = [503, { error: "vault_unavailable", message: "The vault is away.", next_step: "Try again." }];
    await field.press("Enter");
    await page.getByRole("alert").getByText("The vault is away.").waitFor();
    await expect.poll(() => field.inputValue()).toBe("The parser");
    await field.press("Enter");
    await row("The parser").waitFor();
    expect(daemon.threads.changes).toEqual(['t-main {"title":"The parser"}']);
    const inHand = (): Promise<string | null | undefined> => page.evaluate(() => document.activeElement?.textContent);
    await expect.poll(inHand).toBe("The parser");
    await page.keyboard.press("r");
    await field.fill("");
    await field.press("Escape");
    await expect.poll(inHand).toBe("The parser");
    await page.keyboard.press("r");
    await field.fill(" ");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await row("Main conversation").waitFor();
  });

  it("puts a conversation away, and takes that back", async () => {
    scene();
    await at.enter("#/threads");
    const { page, daemon } = at;
    await row("order 17").hover();
    daemon.threads.refusal = [503, { error: "unavailable", message: "The queue is away." }];
    await page.getByRole("button", { name: "Archive order 17" }).click();
    await page.getByRole("alert").getByText("“order 17” is as it was.").waitFor();
    await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    await page.getByText("“order 17” is archived.").waitFor();
    await expect.poll(names).toEqual(["Main conversation", "Release notes for 1.4", "Newsletter of November"]);
    await at.shootAll("threads-archived");
    await page.getByRole("button", { name: "Undo" }).click();
    await row("order 17").waitFor();
    expect(daemon.threads.changes).toEqual(['t-order {"archived":true}', 't-order {"archived":false}']);
    await page.getByLabel("Archived").selectOption("true");
    await row("An old one").waitFor();
    await row("An old one").locator(".thread-text > a").focus();
    await page.keyboard.press("e");
    await page.getByText("“An old one” is back among the others.").waitFor();
    await page.getByText("No conversation is like that.").waitFor();
  });

  it("comes in pages, and lives", async () => {
    scene();
    const { daemon } = at;
    for (let n = 0; n < 90; n++) daemon.threads.add("eng", `more-${n}`, { title: `Conversation ${n}`, last_at: ago(1_000 + n) });
    daemon.threads.page = 30;
    await at.enter("#/threads");
    const { page } = at;
    await expect.poll(() => rows().count()).toBe(30);
    await page.getByRole("button", { name: "More conversations" }).scrollIntoViewIfNeeded();
    await expect.poll(() => rows().count()).toBeGreaterThanOrEqual(60);
    await expect
      .poll(async () => {
        await page.locator("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));
        return rows().count();
      })
      .toBe(94);
    await expect.poll(() => page.getByRole("button", { name: "More conversations" }).count()).toBe(0);
    expect(new Set(await names()).size).toBe(94);
    // One that works now is first, and nothing that was shown is lost.
    Object.assign(daemon.threads.list.find(({ thread }) => thread === "more-89") ?? {}, { state: "working", last_at: ago(0) });
    Object.assign(daemon.agents[0] ?? {}, { status: "working", running: { turn: "t9", since_at: ago(0), message: "m" } });
    daemon.tell("eng");
    await expect.poll(async () => (await names())[0]).toBe("Conversation 89");
    await row("Conversation 89").getByText("Working").waitFor();
    await expect.poll(() => rows().count()).toBe(94);
  });

  it("says what is wrong when it cannot be read, keeps what it showed, and tries again", async () => {
    scene();
    at.daemon.threads.away = [503, { error: "unavailable", message: "The queue cannot be read.", next_step: "See `reveille doctor`." }];
    await at.enter("#/threads");
    const { page } = at;
    await page.getByRole("alert").getByText("The queue cannot be read.").waitFor();
    // It is read by itself too, when agents have something to tell: not before the click.
    const go = await at.hold(/\/api\/threads\?/);
    await page.getByRole("button", { name: "Try again" }).click();
    at.daemon.threads.away = undefined;
    go();
    await row("Main").waitFor();
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });

  it("tells who has none yet what to do", async () => {
    at.daemon.addAgent("eng");
    await at.enter("#/threads");
    await at.page.getByText("No conversations yet.").waitFor();
    await at.page.getByRole("link", { name: "Write to eng" }).click();
    await at.page.getByRole("textbox", { name: "Message to eng" }).waitFor();
  });
});

describe("one conversation", () => {
  it("is opened by keyboard, shows its own messages only, and Esc goes back", async () => {
    scene();
    await at.enter("#/threads");
    const { page } = at;
    await row("order 17").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("k");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "order 17" }).waitFor();
    await log().getByText("Where is the parcel of order 17?").waitFor();
    await log().getByText("Shipped on Tuesday.").waitFor();
    await expect.poll(() => log().locator("article").count()).toBe(2);
    await expect.poll(() => page.getByRole("navigation", { name: "Parts of eng" }).getByRole("link", { name: "Threads" }).getAttribute("aria-current")).toBe("page");
    await at.shootAll("thread");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await row("order 17").waitFor();
    expect(page.url()).toContain("#/threads");
  });

  it("takes messages that belong to it, with a draft of its own, and shows its turns as they run", async () => {
    scene();
    await at.enter("#/agent/eng/thread/t-order");
    const { page, daemon } = at;
    const box = page.getByRole("textbox", { name: "Message to eng" });
    await box.fill("And the invoice?");
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await log().getByText("And the tests?").waitFor();
    await expect.poll(() => box.inputValue()).toBe("");
    await page.goBack();
    await page.getByRole("heading", { name: "order 17" }).waitFor();
    await expect.poll(() => box.inputValue()).toBe("And the invoice?");
    await box.press("Enter");
    await log().getByText("And the invoice?").waitFor();
    await expect.poll(() => box.inputValue()).toBe("");
    const sent = daemon.messages.get("eng")?.at(-1);
    expect(sent?.subject).toBe("order 17");
    if (!sent) return;
    daemon.emit("eng", sent, [{ kind: "started", attempt: 1 }, { kind: "text_delta", text: "I look for " }]);
    await log().getByText("I look for").waitFor();
    // What happens elsewhere in the agent is not of this conversation.
    const other = daemon.threads.put(daemon.addMessage("eng", { text: "Something else", state: "waiting" }), "t-main");
    daemon.emit("eng", other, [{ kind: "queued", position: 1, text: "Something else" }, { kind: "started", attempt: 1 }, { kind: "text_delta", text: "Elsewhere." }]);
    // The turn that is stopped here is one of here.
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await expect.poll(() => daemon.stops).toEqual([`turn-${sent.id}`]);
    daemon.emit("eng", sent, [{ kind: "done", reply: "I look for it." }]);
    await log().getByText("I look for it.").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).waitFor({ state: "detached" });
    await page.getByText("A message sent now waits until the running turn ends.").waitFor();
    await expect.poll(() => log().getByText(/Something else|Elsewhere/).count()).toBe(0);
    await expect.poll(() => log().locator("article").allTextContents()).toHaveLength(4);
  });

  it("that was a single message says that it takes no more", async () => {
    scene();
    await at.enter("#/agent/writer/thread/t-notes");
    const { page } = at;
    await page.getByText("This conversation is one message and what came of it.").waitFor();
    await expect.poll(() => page.getByRole("textbox", { name: /Message to/ }).count()).toBe(0);
    await page.getByRole("link", { name: "Write to writer" }).click();
    await page.getByRole("textbox", { name: "Message to writer" }).waitFor();
    await page.goto(`${at.daemon.url}#/agent/writer/thread/nowhere`);
    await page.getByText("has no such conversation").waitFor();
  });

  it("is among the threads of its agent, and is named and put away there", async () => {
    scene();
    await at.enter("#/agent/eng/threads");
    const { page, daemon } = at;
    await expect.poll(names).toEqual(["Main conversation", "order 17"]);
    await expect.poll(() => page.getByRole("main").getByLabel("Agent", { exact: true }).count()).toBe(0);
    await at.shootAll("agent-threads");
    await page.getByRole("link", { name: "order 17" }).click();
    await page.getByRole("button", { name: "Rename", exact: true }).click();
    await page.getByRole("textbox", { name: "Name of the conversation" }).fill("The parcel");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "The parcel" }).waitFor();
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await page.getByText("“The parcel” is archived.").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("button", { name: "Archive", exact: true }).waitFor();
    expect(daemon.threads.changes).toHaveLength(3);
    await page.getByRole("link", { name: "All threads" }).click();
    await row("The parcel").waitFor();
  });

  it("of which the daemon says itself what belongs to it needs no look at turns, and older pages are loaded until there are some", async () => {
    scene();
    const { daemon } = at;
    daemon.threads.add("eng", "t-deep", { title: "Deep" });
    daemon.addMessage("eng", { text: "The first of it", thread: "t-deep", at: ago(9_000) });
    for (let n = 0; n < 30; n++) daemon.addMessage("eng", { text: `other ${n}`, thread: "t-main" });
    daemon.turns.page = 10;
    await at.enter("#/agent/eng/thread/t-deep");
    await log().getByText("The first of it").waitFor();
    await expect.poll(() => log().locator("article").count()).toBe(1);
  });
});

describe("for everybody", () => {
  it("axe-core finds nothing serious, in both colours and on a phone", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    await at.enter("#/threads");
    const { page } = at;
    const found: string[] = [];
    const look = async (name: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((finding) => `${name}, ${colorScheme}: ${finding}`));
      }
    };
    await row("Main").waitFor();
    await page.getByRole("searchbox").fill("parcel");
    await page.locator("mark").waitFor();
    await look("search");
    await page.getByRole("searchbox").fill("");
    await row("Main").locator(".thread-text > a").focus();
    await page.keyboard.press("e");
    await page.getByRole("button", { name: "Undo" }).waitFor();
    await row("order 17").locator(".thread-text > a").focus();
    await page.keyboard.press("r");
    await look("list");
    await page.setViewportSize({ width: 390, height: 844 });
    await look("phone");
    await page.goto(`${at.daemon.url}#/agent/eng/thread/t-order`);
    await page.getByRole("heading", { name: "order 17" }).waitFor();
    await look("thread");
    expect(found).toEqual([]);
  });
});
