/** The picture of the page for the README: `target/ui/page.png`, to be copied to `docs/` when the page has changed. */
import { expect, it } from "vitest";
import { shoot } from "./browser";
import type { Body } from "./mock";
import { stage } from "./stage";

const at = stage();
const EDIT = {
  file_path: "parser/src/lib.rs",
  old_string: "fn parse(line: &str) -> Result<Entry> {\n    let (key, value) = line.split_once('=').unwrap();\n    Ok(Entry::new(key, value))\n}",
  new_string: "fn parse(line: &str) -> Result<Entry> {\n    let (key, value) = line.split_once('=').ok_or(Error::NoValue)?;\n    Ok(Entry::new(key, value))\n}",
};
const STEPS: readonly (readonly [secondsAgo: number, body: Body])[] = [
  [49, { kind: "queued", position: 0, text: "" }],
  [48, { kind: "started", attempt: 1 }],
  [47, { kind: "init", session: "s", model: "claude-opus-4" }],
  [44, { kind: "text", text: "I read the parser first, then mend it and run its tests." }],
  [43, { kind: "tool", id: "r", tool: "Read", input: '{"file_path":"parser/src/lib.rs"}' }],
  [42, { kind: "tool_result", id: "r", ok: true, preview: "…" }],
  [36, { kind: "text", text: "A line without a value **panics**: `unwrap` meets a `None`." }],
  [35, { kind: "tool", id: "e", tool: "Edit", input: JSON.stringify(EDIT) }],
  [34, { kind: "tool_result", id: "e", ok: true, preview: "The file was changed." }],
  [12, { kind: "tool", id: "b", tool: "Bash", input: '{"command":"cargo test -p parser","description":"Run the parser\'s tests"}' }],
  [1, { kind: "text_delta", text: "The tests run now; `empty_line` is among them, and " }],
];

it("an agent at work", async () => {
  const { daemon } = at;
  const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
  daemon.addAgent("eng", { prompt_preview: "You look after the parser.", cost_usd: 1.42, cost_today_usd: 0.38, model: "opus" });
  daemon.addAgent("docs", { status: "queued", waiting: 2, cost_usd: 0.31 });
  daemon.addAgent("reviewer", { status: "working", running: { turn: "t-r", since_at: ago(0.2), message: "m" }, cost_usd: 0.87 });
  daemon.addAgent("night-watch", { status: "paused", pause: { code: "person", reason: "Until Friday." }, cost_usd: 2.05 });
  daemon.addAgent("release", { status: "pending", status_detail: "Waits for 1 connection to be approved" });
  daemon.addAgent("scribe", { prompt_preview: "You keep the minutes.", cost_usd: 0.12 });
  const asked = daemon.addMessage("eng", { text: "The parser's test `empty_line` fails. Please find out why and mend it.", state: "waiting", sender: "ann", at: ago(0.8) });
  await at.reopen({ deviceScaleFactor: 2, viewport: { width: 1240, height: 1030 } });
  const { page } = at;
  await at.enter("#/agent/eng");
  await page.getByRole("textbox", { name: "Message to eng" }).waitFor();
  await expect.poll(() => daemon.open).toBe(1);
  for (const [seconds, body] of STEPS) {
    daemon.behind = seconds * 1_000;
    daemon.emit("eng", asked, [body], "t1");
  }
  daemon.behind = 0;
  daemon.addMessage("reviewer", { text: "Look at the change", state: "working", turn: "t-r", sender: "agent:eng", delegated_by: { agent: "eng", turn: "t1", message: asked.id } });
  for (const [n, text] of ["Then update the changelog, please.", "And is the nightly build green?"].entries()) {
    const next = daemon.addMessage("eng", { text, state: "waiting", sender: "ann", turn: `w${n}` });
    daemon.emit("eng", next, [{ kind: "queued", position: n + 1, text }], `w${n}`);
  }
  const edit = page.locator(".tool", { hasText: "Edit" });
  await edit.locator("summary").click();
  await edit.locator(".line").first().waitFor();
  await page.getByRole("list", { name: "Messages that wait for eng" }).getByText("nightly").waitFor();
  await page.getByRole("heading", { name: "eng" }).click();
  await page.mouse.move(5, 400);
  await shoot(page, "page");
});
