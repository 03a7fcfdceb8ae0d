/** What the page is made of, and what a browser loads of it before anything is seen. */
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { stage } from "./stage";

const DIST = fileURLToPath(new URL("../../target/ui/dist", import.meta.url));
const MOST = 120_000;
/** Build tools, of which nothing is in the bundle. */
const TOOLS = ["typescript", "vite"];
const at = stage();

it("the first load is small, also of who opens a conversation", async () => {
  const { daemon } = at;
  daemon.addAgent("eng");
  daemon.addMessage("eng", { text: "Hello", state: "ok" });
  const loads = async (hash: string): Promise<number> => {
    await at.reopen({});
    const { page } = at;
    const paths = new Set<string>();
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (pathname === "/" || pathname.startsWith("/assets/")) paths.add(pathname);
    });
    daemon.codes.add("first-code");
    await at.enter(hash);
    await page.getByRole("heading", { name: hash ? "eng" : "Agents" }).first().waitFor();
    await page.waitForLoadState("networkidle", { timeout: 10_000 }).catch(() => {});
    // As the crate sends them.
    const sizes = [...paths].map((path) => statSync(`${DIST}${path === "/" ? "/index.html" : path}.br`).size);
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  const home = await loads("");
  const conversation = await loads("#/agent/eng");
  console.log(`first load with brotli: Home ${(home / 1000).toFixed(1)} kB, a conversation ${(conversation / 1000).toFixed(1)} kB`);
  expect(home).toBeGreaterThan(10_000);
  expect(home).toBeLessThan(MOST);
  expect(conversation).toBeLessThan(MOST);
});

it("every package of the bundle is told with its licence, and no other", async () => {
  const { page, enter } = at;
  const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")) as {
    packages: Record<string, { version?: string; dependencies?: Record<string, string> }>;
  };
  const bundled = new Set<string>();
  const take = (name: string): void => {
    if (bundled.has(name) || TOOLS.includes(name)) return;
    bundled.add(name);
    Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {}).forEach(take);
  };
  Object.keys(lock.packages[""]?.dependencies ?? {}).forEach(take);
  await enter("#/about");
  const list = page.locator("ul.licences > li");
  await expect.poll(() => list.count()).toBe(bundled.size);
  const told = (await list.locator("summary").allTextContents()).join("\n");
  for (const name of bundled) expect(told).toContain(`${name} ${lock.packages[`node_modules/${name}`]?.version}`);
  for (const text of await list.locator("pre").allTextContents()) expect(text).toMatch(/copyright|license/i);
});
