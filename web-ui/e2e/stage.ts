/** A browser, a double and a page for each test. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";
import { MockDaemon } from "./mock";

export interface Stage {
  daemon: MockDaemon;
  page: Page;
  /** Another window instead. */
  reopen(options: BrowserContextOptions): Promise<void>;
  /** Signs in, and goes to a part of the page, which hears of what happens from then on. */
  enter(hash: string): Promise<void>;
  /** Keeps back what the page asks for at `url` from now on, also by itself now and then; returns what lets all of it go. */
  hold(url: string | RegExp): Promise<() => void>;
  /** The page's clock stands still until it is loaded again: what it waits for from key to key is not over too soon. */
  stopClock(): Promise<void>;
  /** Lets the page take in and draw what has reached it. */
  settle(): Promise<void>;
  /** The page as it is, in both colours and on a phone; nothing may stick out. */
  shootAll(name: string): Promise<void>;
}

export function stage(): Stage {
  let browser: Browser;
  let at: Watched;
  const own = {} as Stage;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    own.daemon = new MockDaemon();
    await own.daemon.start();
    at = await openPage(browser);
    own.page = at.page;
  });
  afterEach(async () => {
    await at.close();
    await own.daemon.stop();
    expect(at.faults).toEqual([]);
  });
  own.reopen = async (options) => {
    await at.close();
    at = await openPage(browser, options);
    own.page = at.page;
  };
  own.enter = async (hash) => {
    const { daemon, page } = own;
    await page.goto(daemon.signInLink);
    await page.getByRole("navigation", { name: "Agents" }).waitFor();
    await page.goto(`${daemon.url}${hash}`);
    await expect.poll(() => daemon.open).toBeGreaterThan(0);
  };
  own.hold = async (url) => {
    let go = (): void => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    await own.page.route(url, async (route) => {
      await held;
      await route.continue();
    });
    return go;
  };
  own.stopClock = () =>
    own.page.evaluate(() => {
      const at = Date.now();
      Date.now = () => at;
    });
  own.settle = () =>
    own.page.evaluate(async () => {
      for (let frame = 0; frame < 3; frame++) await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
    });
  own.shootAll = async (name) => {
    const { page } = own;
    const size = page.viewportSize();
    for (const [look, colorScheme, width] of [["light", "light", 1200], ["dark", "dark", 1200], ["phone", "light", 390], ["phone-dark", "dark", 390]] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: width === 390 ? 844 : 800 });
      await shoot(page, `${name}-${look}`);
      const sticksOut = () => page.evaluate(() => {
        const boxes = [document.documentElement, ...document.querySelectorAll(".panel, main")];
        return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
      });
      await expect.poll(sticksOut, { message: `${name}-${look}` }).toBe(0);
    }
    await page.emulateMedia({ colorScheme: "light" });
    if (size) await page.setViewportSize(size);
  };
  return own;
}
