/** The notes of a vault: found, read, written, and never lost. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const TEXT = [
  "# Roof", "", "The roof leaks **again**; see [[Projects/House]], [[Budget|what it costs]] and [[Not yet there]].", "",
  "- [x] call the roofer", "- [ ] pay", "", "`[[no link]]`", "", "<img src=x onerror=alert(1)> <script>alert(1)</script>", "", "[bad](javascript:alert(1)) [[javascript:alert(1)]]",
].join("\n");

function scene(): void {
  const { daemon } = at;
  const { notes } = daemon;
  daemon.addAgent("eng", { note_id: "def-eng" });
  notes.add({ id: "house", path: "Projects/House", content: "A house with a roof.", tags: ["project"] });
  notes.add({ id: "budget", path: "Money/Budget", content: "Twelve thousand for the roof.", tags: ["money", "project"] });
  notes.add({ id: "def-eng", path: "Agents/eng", content: "You are an engineer.", tags: ["agent/definition"], metadata: { name: "eng", model: "opus" } });
  notes.add({ id: "job-1", path: "Channels/eng/jobs/daily", content: "Look at the inbox.", tags: ["agent/job"], metadata: { agent: "eng", schedule: "@daily" } });
  notes.add({ id: "thread-1", path: "Threads/eng/eng", content: "", tags: ["agent/thread"], metadata: { agent: "eng", turn_count: 4 } });
  notes.add({ id: "msg-1", path: "channel/eng/1", content: "Please mend it.", tags: ["agent/message", "agent/message/inbound"], metadata: { agent: "eng" } });
  notes.add({
    id: "roof", path: "Projects/Roof", content: TEXT, tags: ["project", "todo"],
    metadata: { owner: "ann", rooms: 3, urgent: true, parts: ["slates", "gutter"], old: null },
    attachments: [{ id: "f1", noteId: "roof", path: "day/plan.png", filename: "plan.png", mimeType: "image/png", size: 1_234, createdAt: "2026-01-01T00:00:00Z" }],
  });
  notes.add({ id: "diary", content: "# Today\n\nNothing but rain.", tags: [] });
  notes.link("roof", "house");
  notes.link("roof", "budget");
  notes.link("house", "roof");
}

const items = () => at.page.locator(".note-item");
const names = () => items().locator("[data-entry]").allTextContents();
const changes = () => at.daemon.notes.changes;
const text = () => at.page.getByRole("textbox", { name: "Text", exact: true });
const save = () => at.page.getByRole("button", { name: "Save", exact: true });
const kept = () => at.page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("reveille:note-draft:")));

describe("the list of notes", () => {
  it("shows the last changed first, without the messages of agents until they are asked for", async () => {
    scene();
    await at.enter("#/notes");
    const { page } = at;
    await expect.poll(names).toEqual([expect.stringContaining("Today"), "Roof", "eng", "daily", "eng", "Budget", "House"]);
    expect(page.url()).toContain("#/notes/default");
    const roof = items().filter({ hasText: "The roof leaks" });
    await expect.poll(() => roof.locator(".note-folder").textContent()).toBe("Projects");
    await expect.poll(() => roof.locator(".tag").allTextContents()).toEqual(["#project", "#todo"]);
    await roof.locator("time").waitFor();
    await at.shootAll("notes");
    await page.getByLabel("Messages of agents, too").check();
    await items().filter({ hasText: "Please mend it." }).waitFor();
  });

  it("is searched, browsed by folder and by tag, and opened by keyboard", async () => {
    scene();
    await at.enter("#/notes/default");
    const { page } = at;
    await items().first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("thous");
    await expect.poll(names).toEqual(["Budget"]);
    await expect.poll(() => items().locator("mark").textContent()).toBe("thous");
    await page.getByRole("searchbox", { name: "Search in notes" }).fill("xyz");
    await page.getByText("No note has “xyz” in it.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByRole("button", { name: "Projects 2" }).click();
    await expect.poll(names).toEqual(["Roof", "House"]);
    await page.getByRole("button", { name: "#todo 1" }).click();
    await expect.poll(names).toEqual(["Roof"]);
    await at.shootAll("notes-narrowed");
    await page.getByRole("button", { name: "In Projects: take away" }).click();
    await page.getByRole("button", { name: "Tag todo: take away" }).click();
    await expect.poll(async () => (await names()).length).toBe(7);
    await page.getByRole("heading", { name: "Notes" }).click();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Roof", level: 1 }).first().waitFor();
    await page.keyboard.press("Escape");
    await items().first().waitFor();
    // Folders below folders, and the way up.
    await page.getByRole("button", { name: "Channels 1" }).click();
    await page.getByRole("button", { name: "eng 1" }).click();
    await page.getByRole("button", { name: "jobs 1" }).click();
    await page.getByText("No folders in this one.").waitFor();
    await page.getByRole("navigation", { name: "Folder" }).getByRole("button", { name: "Channels" }).click();
    await expect.poll(names).toEqual(["daily"]);
  });

  it("comes in pages", async () => {
    scene();
    for (let n = 0; n < 60; n++) at.daemon.notes.add({ id: `n${n}`, path: `Log/${n}`, content: `Entry ${n}` });
    at.daemon.notes.page = 25;
    const { page } = at;
    await at.enter("#/notes/default");
    await expect.poll(() => items().count()).toBeGreaterThanOrEqual(25);
    await expect
      .poll(async () => {
        await page.locator("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));
        return items().count();
      })
      .toBe(67);
    expect(new Set(await items().locator("[data-entry]").evaluateAll((all) => all.map((link) => link.getAttribute("href")))).size).toBe(67);
    // A note begins at its beginning, and who comes back is where they were.
    const top = (): Promise<number> => page.locator("main").evaluate((main) => main.scrollTop);
    await page.getByRole("link", { name: "Roof", exact: true }).focus();
    // The page hears with the next frame how far it was scrolled.
    await at.settle();
    const before = await top();
    await page.keyboard.press("Enter");
    await page.locator(".note-text").waitFor();
    await expect.poll(top).toBe(0);
    await page.keyboard.press("Escape");
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe("Roof");
    expect(before).toBeGreaterThan(500);
    await expect.poll(top).toBe(before);
    await expect.poll(() => items().count()).toBe(67);
    // The search of the room is a key away, also from a note.
    await page.keyboard.press("Enter");
    await page.locator(".note-text").waitFor();
    await at.stopClock();
    await page.keyboard.press("/");
    await expect.poll(() => page.getByRole("searchbox").evaluate((box) => box === document.activeElement)).toBe(true);
    await page.keyboard.type("leaks");
    await expect.poll(names).toEqual(["Roof"]);
  });

  it("says what a vault cannot do instead of failing, and how one stands", async () => {
    scene();
    const { daemon } = at;
    daemon.notes.add({ id: "p1", path: "Far/Away", content: "Elsewhere.", tags: ["x"] }, "far");
    daemon.notes.plain.add("far");
    const capabilities = { atomic_batches: false, links: false, operators: true, order_by: false, remove_metadata: false, search: false, tag_parents: false, tag_schemas: false, triggers: false, without_path: true };
    daemon.vaults = [
      { name: "default", kind: "embedded", state: "ready", default: true },
      { name: "far", kind: "parachute", state: "degraded", reason: "It answers slowly.", capabilities },
    ];
    await at.enter("#/notes");
    const { page } = at;
    await items().first().waitFor();
    await page.getByLabel("Vault", { exact: true }).selectOption("far");
    await expect.poll(names).toEqual(["Away"]);
    await expect.poll(() => page.getByRole("searchbox", { name: "Search in notes" }).isDisabled()).toBe(true);
    await page.getByText("Browse it by folder or tag").waitFor();
    await page.getByText("The vault far (Parachute) works only in part").waitFor();
    await page.getByRole("textbox", { name: "Tag" }).fill("#x");
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.getByRole("button", { name: "Tag x: take away" }).waitFor();
    expect(daemon.notes.asked.filter((call) => call.includes("/far/") && /order_by|search|tags\?|links/.test(call))).toEqual([]);
    await at.shootAll("notes-plain");
    await page.getByRole("link", { name: "Away" }).click();
    await page.getByText("This vault does not tell which notes link to this one.").waitFor();
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByText("This vault cannot take a key away").waitFor();
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });

  it("tells what is wrong when it cannot be read, and tries again", async () => {
    scene();
    at.daemon.notes.away = [503, { error: "unavailable", message: "the vault cannot be read" }];
    await at.enter("#/notes/default");
    await at.page.getByRole("alert").getByText("the vault cannot be read").waitFor();
    // They are read now and then by themselves, too: not before the click.
    const go = await at.hold(/\/vault\/default\/api\/notes/);
    await at.page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
    go();
    await expect.poll(() => items().count()).toBe(7);
  });
});

describe("a note", () => {
  it("is shown as safe Markdown, with its tags, files, links both ways and metadata", async () => {
    scene();
    await at.enter("#/notes/default/roof");
    const { page } = at;
    const body = page.locator(".note-text");
    await body.getByText("again").waitFor();
    await expect.poll(() => body.locator("img, script, [onerror]").count()).toBe(0);
    const links = await body.locator("a.wikilink").evaluateAll((all) => all.map((link) => [link.textContent, link.getAttribute("href")]));
    expect(links).toEqual([
      ["Projects/House", "#/notes/default/house"],
      ["what it costs", "#/notes/default/budget"],
      ["Not yet there", "#/notes/default/Not%20yet%20there"],
      ["javascript:alert(1)", "#/notes/default/javascript%3Aalert(1)"],
    ]);
    await expect.poll(() => body.locator("code").allTextContents()).toEqual(["[[no link]]"]);
    const rows = await page.getByRole("region", { name: "Metadata" }).locator("tr").evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent?.replace(/\s+/g, " "))));
    expect(rows.slice(0, 5)).toEqual([["owner", "ann"], ["rooms", "3"], ["urgent", "true"], ["parts", '[ "slates", "gutter" ]'], ["old", "nothing"]]);
    await page.getByRole("region", { name: "Attachments" }).getByRole("link", { name: /plan.png/ }).waitFor();
    await expect.poll(() => page.getByRole("region", { name: "Links to" }).getByRole("link").allTextContents()).toEqual(["Projects/House", "Money/Budget"]);
    await expect.poll(() => page.getByRole("region", { name: "Linked from" }).getByRole("link").allTextContents()).toEqual(["Projects/House"]);
    await at.shootAll("note");
    await page.getByRole("button", { name: "#todo" }).click();
    await expect.poll(names).toEqual(["Roof"]);
    await page.goBack();
    await body.getByRole("link", { name: "Not yet there" }).click();
    await page.getByText("There is no note here.").waitFor();
    await page.getByRole("button", { name: "Write it" }).click();
    await expect.poll(() => page.getByRole("textbox", { name: "Path" }).inputValue()).toBe("Not yet there");
  });

  it("that Reveille keeps or follows says so, and what a change does", async () => {
    scene();
    await at.enter("#/notes/default/def-eng");
    const { page, daemon } = at;
    const note = page.getByRole("note").filter({ hasText: "This note" });
    for (const [id, what, link, href] of [
      ["def-eng", "This note defines the agent eng.", "Definition of eng", "#/agent/eng/definition"],
      ["job-1", "This note is a schedule.", "Jobs of eng", "#/agent/eng/jobs"],
      ["thread-1", "This note is the record of a conversation.", "Threads of eng", "#/agent/eng/threads"],
      ["msg-1", "This note is a message to eng.", "In its conversation", "#/agent/eng/message/msg-1"],
    ] as const) {
      await page.goto(`${daemon.url}#/notes/default/${id}`);
      await note.getByText(what).waitFor();
      await expect.poll(() => note.getByRole("link", { name: link }).getAttribute("href")).toBe(href);
    }
    await page.goto(`${daemon.url}#/notes/default/def-eng`);
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("The agent eng ends with it").waitFor();
    await page.getByRole("button", { name: "Keep it" }).click();
    await page.getByRole("link", { name: "Edit" }).click();
    await note.getByText("What you save here changes what it is and does, at once.").waitFor();
  });

  it("is deleted when that was said twice", async () => {
    scene();
    await at.enter("#/notes/default/house");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    expect(changes()).toEqual([]);
    daemon.notes.refusal = [503, { error: "unavailable", message: "the vault is away" }];
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete it" }).click();
    await page.getByRole("alert").getByText("The note is as it was.").waitFor();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete it" }).click();
    await page.getByText("The note “House” is deleted.").waitFor();
    await expect.poll(names).not.toContain("House");
  });

  it("gets files, and loses them again", async () => {
    scene();
    await at.enter("#/notes/default/house");
    const { page, daemon } = at;
    const part = page.getByRole("region", { name: "Attachments" });
    await part.getByRole("button", { name: "Attach a file" }).waitFor();
    await part.locator("input[type=file]").setInputFiles({ name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("slate") });
    await part.getByRole("link", { name: /list.txt/ }).waitFor();
    daemon.notes.refusal = [503, { error: "unavailable", message: "the vault is away" }];
    await part.locator("input[type=file]").setInputFiles({ name: "more.txt", mimeType: "text/plain", buffer: Buffer.from("slate") });
    await part.getByText("is not attached.").waitFor();
    await part.getByRole("button", { name: "Try again" }).click();
    await part.getByRole("link", { name: /more.txt/ }).waitFor();
    await part.getByRole("button", { name: "Remove", exact: true }).first().click();
    await part.getByRole("group", { name: "Remove list.txt?" }).getByRole("button", { name: "Remove" }).click();
    await part.getByRole("link", { name: /list.txt/ }).waitFor({ state: "detached" });
  });
});

describe("editing", () => {
  it("saves only what was changed, by button or by key, with types as they were", async () => {
    scene();
    await at.enter("#/notes/default/roof/edit");
    const { page } = at;
    await text().waitFor();
    await expect.poll(() => save().isDisabled()).toBe(true);
    await text().fill("The roof is whole.");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByRole("region", { name: "Preview" }).getByText("The roof is whole.").waitFor();
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.getByLabel("Tags", { exact: true }).fill("#done");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Tag todo: take away" }).click();
    await page.getByRole("textbox", { name: "Value of rooms" }).fill("4");
    await page.getByRole("combobox", { name: "Value of urgent" }).selectOption("false");
    await page.getByRole("button", { name: "Remove old" }).click();
    await page.getByRole("button", { name: "Add a key" }).click();
    await expect.poll(() => page.evaluate(() => document.activeElement?.classList.contains("row-key"))).toBe(true);
    await page.keyboard.type("sizes");
    await page.getByRole("combobox", { name: "Kind of sizes" }).selectOption("json");
    await page.getByRole("textbox", { name: "Value of sizes" }).fill('{"a": [1,');
    await at.shootAll("note-edit");
    await page.keyboard.press("Control+s");
    await page.getByText("This is no JSON.").waitFor();
    expect(changes()).toEqual([]);
    await page.getByRole("textbox", { name: "Value of sizes" }).fill('{"a": [1, 2]}');
    await page.keyboard.press("Control+s");
    await page.getByText("Saved.", { exact: true }).waitFor();
    expect(changes().map(({ body }) => ({ ...body, if_updated_at: typeof body.if_updated_at }))).toEqual([
      {
        content: "The roof is whole.", tags: { add: ["done"], remove: ["todo"] }, metadata: { rooms: 4, urgent: false, sizes: { a: [1, 2] } }, remove_metadata: ["old"],
        if_updated_at: "string",
      },
    ]);
    await expect.poll(kept).toEqual([]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.locator(".note-text").getByText("The roof is whole.").waitFor();
  });

  it("loses nothing: not by a reload, another room, a refusal, or a daemon that is away", async () => {
    scene();
    await at.enter("#/notes/default/house/edit");
    const { page, daemon } = at;
    await text().fill("A house, rewritten");
    await page.getByText("Not saved yet; kept in this browser.").waitFor();
    await page.reload();
    await expect.poll(() => text().inputValue()).toBe("A house, rewritten");
    await page.getByText("These are your unsaved changes from").waitFor();
    await page.getByRole("link", { name: "Home", exact: true }).click();
    await page.goto(`${daemon.url}#/notes/default`);
    await items().filter({ hasText: "House" }).getByText("Unsaved changes").waitFor();
    await page.getByRole("link", { name: "House" }).click();
    const banner = page.getByRole("note").filter({ hasText: "that are not saved" });
    await banner.waitFor();
    await at.shootAll("note-draft");
    await banner.getByRole("link", { name: "Restore" }).click();
    await expect.poll(() => text().inputValue()).toBe("A house, rewritten");
    daemon.notes.refusal = [503, { error: "unavailable", message: "the vault is away" }];
    await save().click();
    await page.getByRole("alert").getByText("What you wrote is kept here.").waitFor();
    await expect.poll(() => text().inputValue()).toBe("A house, rewritten");
    await daemon.stop();
    await save().click();
    await page.getByRole("alert").getByText("The daemon did not answer.").waitFor();
    await daemon.start();
    await save().click();
    await page.getByText("Saved.", { exact: true }).waitFor();
    expect(daemon.notes.find("default", "house")?.content).toBe("A house, rewritten");
    await expect.poll(kept).toEqual([]);
    // What is discarded is gone.
    await text().fill("No");
    await page.getByText("Not saved yet").waitFor();
    await page.getByRole("link", { name: "Close" }).click();
    await banner.getByRole("button", { name: "Discard" }).click();
    await banner.getByRole("button", { name: "Discard", exact: true }).click();
    await banner.waitFor({ state: "detached" });
    await expect.poll(kept).toEqual([]);
  });

  it("of what somebody else changes at the same time keeps both where it can, and asks where it cannot", async () => {
    scene();
    await at.enter("#/notes/default/house/edit");
    const { page, daemon } = at;
    await text().fill("A house with a new roof.");
    daemon.notes.change("house", { tags: ["project", "seen"], metadata: { by: "eng" } });
    await save().click();
    await page.getByText("Saved. Meanwhile somebody else had changed the tags, the metadata (by): that is kept, too.").waitFor();
    expect(daemon.notes.find("default", "house")).toMatchObject({ content: "A house with a new roof.", tags: ["project", "seen"], metadata: { by: "eng" } });
    await page.getByRole("button", { name: "Tag seen: take away" }).waitFor();
    await text().fill("A house with my roof.");
    daemon.notes.change("house", { content: "A house with their roof." });
    await save().click();
    const clash = page.getByRole("alert", { name: "Changed by somebody else, too" });
    await clash.waitFor();
    await clash.locator(".line.removed").getByText("A house with their roof.").waitFor();
    await clash.locator(".line.added").getByText("A house with my roof.").waitFor();
    await expect.poll(() => text().inputValue()).toBe("A house with my roof.");
    await at.shootAll("note-conflict");
    await clash.getByRole("button", { name: "Go on editing mine" }).click();
    await save().click();
    await clash.waitFor();
    // Changed a third time, it asks a third time.
    daemon.notes.change("house", { content: "A house with their other roof." });
    await clash.getByRole("button", { name: "Save mine over theirs" }).click();
    await clash.getByText("their other roof").waitFor();
    expect(daemon.notes.find("default", "house")?.content).toBe("A house with their other roof.");
    await clash.getByRole("button", { name: "Save mine over theirs" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
    expect(daemon.notes.find("default", "house")?.content).toBe("A house with my roof.");
    await text().fill("Mine again");
    daemon.notes.change("house", { content: "Theirs again" });
    await save().click();
    await clash.getByRole("button", { name: "Take theirs" }).click();
    await clash.getByRole("button", { name: "Take theirs" }).click();
    await expect.poll(() => text().inputValue()).toBe("Theirs again");
    await expect.poll(kept).toEqual([]);
  });

  it("goes on while a save is under way, without losing a letter", async () => {
    scene();
    await at.enter("#/notes/default/house/edit");
    const { page, daemon } = at;
    await text().waitFor();
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    await page.route("**/notes/house", async (route) => {
      await held;
      await route.continue();
    });
    await text().fill("One");
    await page.keyboard.press("Control+s");
    await page.getByText("Saving…").waitFor();
    await text().pressSequentially(" and two");
    go();
    await page.getByText("Saved.", { exact: true }).waitFor();
    expect([await text().inputValue(), daemon.notes.find("default", "house")?.content]).toEqual(["One and two", "One"]);
    await expect.poll(kept).toHaveLength(1);
    await page.keyboard.press("Control+s");
    await expect.poll(() => daemon.notes.find("default", "house")?.content).toBe("One and two");
    // Removed in the middle of it, it can be made anew.
    await text().fill("Three");
    daemon.notes.vaults.set("default", (daemon.notes.vaults.get("default") ?? []).filter(({ id }) => id !== "house"));
    await save().click();
    await page.getByRole("alert").getByText("This note was removed meanwhile, or moved.").waitFor();
    await page.getByRole("button", { name: "Save as a new note" }).click();
    await page.locator(".note-text").getByText("Three").waitFor();
    await expect.poll(kept).toEqual([]);
  });

  it("of a note that was removed meanwhile shows what was written, to be saved as a new one", async () => {
    scene();
    await at.enter("#/notes/default/house/edit");
    const { page, daemon } = at;
    await text().fill("Kept");
    await page.getByText("Not saved yet").waitFor();
    daemon.notes.vaults.set("default", (daemon.notes.vaults.get("default") ?? []).filter(({ id }) => id !== "house"));
    await page.reload();
    await page.getByText("This note was removed, or moved.").waitFor();
    await expect.poll(() => text().inputValue()).toBe("Kept");
    await page.getByRole("button", { name: "Save as a new note" }).click();
    await page.locator(".note-text").getByText("Kept").waitFor();
    expect(daemon.notes.vaults.get("default")?.at(-1)).toMatchObject({ path: "Projects/House", content: "Kept", tags: ["project"] });
    await expect.poll(kept).toEqual([]);
  });

  it("begins a new note, which is kept until it is saved, and says what it will do", async () => {
    scene();
    await at.enter("#/notes/default");
    const { page, daemon } = at;
    await page.getByRole("link", { name: "New note" }).click();
    await page.getByRole("heading", { name: "New note" }).waitFor();
    await save().click();
    await page.getByText("A note needs text or a path.").waitFor();
    await text().fill("Buy slates");
    await page.getByLabel("Path").fill("Projects/Roof");
    await page.getByLabel("Tags", { exact: true }).fill("agent/message/inbound,");
    await page.getByText("Saved, this is a message; the key agent says to whom.").waitFor();
    await page.getByRole("button", { name: "Tag agent/message/inbound: take away" }).click();
    await page.getByRole("link", { name: "Close" }).click();
    await page.getByText("A new note is not saved yet.").waitFor();
    await page.getByRole("link", { name: "Go on with it" }).click();
    await expect.poll(() => text().inputValue()).toBe("Buy slates");
    await page.keyboard.press("Control+s");
    await page.getByRole("alert").getByText("there is a note at Projects/Roof already").waitFor();
    await page.getByLabel("Path").fill("Projects/Slates");
    await page.keyboard.press("Control+s");
    await page.getByRole("heading", { name: "Slates" }).waitFor();
    expect(daemon.notes.vaults.get("default")?.at(-1)).toMatchObject({ path: "Projects/Slates", content: "Buy slates", tags: [] });
    await expect.poll(kept).toEqual([]);
  });

  it("says so when the browser keeps nothing", async () => {
    scene();
    await at.enter("#/notes/default/house/edit");
    const { page } = at;
    await text().waitFor();
    await page.evaluate(() => {
      Storage.prototype.setItem = () => {
        throw new Error("full");
      };
    });
    await text().fill("Not kept");
    await page.getByRole("alert").getByText("This browser does not keep what you write here").waitFor();
    await page.getByRole("link", { name: "Close" }).click();
    await page.getByRole("link", { name: "Restore" }).click();
    await expect.poll(() => text().inputValue()).toBe("Not kept");
  });
});

describe("for everybody", () => {
  it("axe-core finds nothing serious, in both colours and on a phone", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    await at.enter("#/notes");
    const { page, daemon } = at;
    const found: string[] = [];
    const look = async (name: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((finding) => `${name}, ${colorScheme}: ${finding}`));
      }
    };
    await items().first().waitFor();
    await page.getByRole("searchbox", { name: "Search in notes" }).fill("roof");
    await page.locator("mark").first().waitFor();
    await page.getByRole("button", { name: "#project 3" }).click();
    await look("list");
    await page.goto(`${daemon.url}#/notes/default/roof`);
    await page.locator(".wikilink").first().waitFor();
    await look("note");
    await page.getByRole("link", { name: "Edit" }).click();
    await text().fill("Mine");
    daemon.notes.change("roof", { content: "Theirs" });
    await page.getByRole("textbox", { name: "Value of rooms" }).fill("many");
    await save().click();
    await page.getByText("This is no number.").waitFor();
    await look("wrong");
    await page.getByRole("textbox", { name: "Value of rooms" }).fill("7");
    await save().click();
    await page.getByRole("alert", { name: "Changed by somebody else, too" }).locator(".line").first().waitFor();
    await look("conflict");
    await page.setViewportSize({ width: 390, height: 844 });
    await look("phone edit");
    await page.goto(`${daemon.url}#/notes/default/nowhere`);
    await page.getByText("There is no note here.").waitFor();
    await look("missing");
    expect(found).toEqual([]);
  });
});
