/**
 * What holds for any daemon. `REVEILLE_E2E_URL`, a sign-in link, runs it against a real one whose turns succeed; without it, the
 * double is used.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";
import { MockDaemon } from "./mock";

const link = process.env.REVEILLE_E2E_URL;
const mock = new MockDaemon();
const name = `e2e-${Date.now().toString(36)}`;
let browser: Browser;
let at: Watched;

beforeAll(async () => {
  browser = await launch();
  at = await openPage(browser);
  if (link) return;
  mock.answer = (text) => [
    { kind: "started", attempt: 1 },
    { kind: "text_delta", text: "You said: " },
    { kind: "text", text: `You said: ${text}` },
    { kind: "done", reply: `You said: ${text}`, usage: { input_tokens: 1, output_tokens: 2, cache_read_tokens: 0, cache_write_tokens: 0 }, cost_usd: 0.001 },
  ];
  await mock.start();
});

afterAll(async () => {
  await browser?.close();
  await mock.stop();
});

it("signs in, makes an agent, sends, gets the reply, and finds it again after a reload", async () => {
  const { page, faults } = at;
  await page.goto(link ?? mock.signInLink);
  await page.getByRole("navigation", { name: "Agents" }).waitFor();
  expect(page.url()).not.toContain("sign-in");

  await page.getByRole("link", { name: "New agent" }).click();
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Role").fill("Answer with one short sentence.");
  await page.getByRole("button", { name: "Create agent" }).click();
  await page.getByRole("heading", { name }).waitFor();

  const box = page.getByRole("textbox", { name: `Message to ${name}` });
  await box.fill("Hello from the browser");
  await box.press("Enter");
  const log = page.getByRole("log");
  await log.getByText("Hello from the browser", { exact: true }).waitFor();
  const reply = log.getByRole("article", { name: `${name}, ended` });
  await reply.waitFor();
  const text = (await reply.locator(".md").last().textContent())?.trim() ?? "";
  expect(text).not.toBe("");
  await expect.poll(() => box.inputValue()).toBe("");
  await shoot(page, link ? "real-reply" : "reply");

  await page.reload();
  await page.getByRole("heading", { name }).waitFor();
  await log.getByText("Hello from the browser", { exact: true }).waitFor();
  await expect.poll(async () => (await log.locator(".outbound .md").last().textContent())?.trim()).toBe(text);
  expect(faults).toEqual([]);
});

it.runIf(process.env.REVEILLE_E2E_STAND_IN)("shows a turn live, the same after a reload in mid-turn, and stops it", async () => {
  const { page, faults } = at;
  const box = page.getByRole("textbox", { name: `Message to ${name}` });
  await box.fill('Look around [[tool Bash {"command":"ls"}]] [[slow 4000x50ms]]');
  await box.press("Enter");
  const live = page.getByRole("log").getByRole("article", { name: `${name}, working` });
  const words = async () => (await live.locator(".md").last().textContent())?.trim().length ?? 0;
  await live.getByText("Bash").waitFor();
  await expect.poll(words).toBeGreaterThan(20);
  await shoot(page, "real-mid-turn");
  const before = await words();

  await page.reload();
  await live.getByText("Bash").waitFor();
  await expect.poll(words).toBeGreaterThanOrEqual(before);

  await page.getByRole("button", { name: "Stop" }).click();
  await live.waitFor({ state: "detached" });
  await page.getByRole("log").getByText(/stopped|cancelled/i).first().waitFor();
  await shoot(page, "real-stopped");

  await box.fill("And this fails [[error 401]]");
  await box.press("Enter");
  await page.getByRole("region", { name: "Failure" }).last().waitFor();
  await shoot(page, "real-failure");
  expect(faults).toEqual([]);
});
