/**
 * A real browser, and a page that reports what must never happen.
 * `REVEILLE_E2E_SLOW`, `REVEILLE_E2E_LATE` and `REVEILLE_E2E_SEED` make both it and the double slow: see `slow.ts`.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { LIMIT, patience, throttle } from "./slow";

const SHOTS = fileURLToPath(new URL("../../target/ui/", import.meta.url));

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    timeout: 2 * LIMIT,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

export interface Watched {
  page: Page;
  /** Script errors (a second live EventSource is made one), refusals by the content security policy, and requests to other hosts. */
  faults: string[];
  close(): Promise<void>;
}

export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, locale: "en-GB", timezoneId: "UTC", ...options });
  const page = await context.newPage();
  context.setDefaultTimeout(LIMIT * patience);
  await throttle(context, page);
  const faults: string[] = [];
  await page.addInitScript(oneStream);
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (/Content.Security.Policy|Trusted ?Type|TrustedHTML/i.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    // What the page has fetched and shows as a picture is nobody else's.
    if (request.url().startsWith("blob:")) return;
    if (!["127.0.0.1", "localhost", "[::1]"].includes(new URL(request.url()).hostname)) faults.push(`request to ${request.url()}`);
  });
  return { page, faults, close: () => context.close() };
}

/** Runs in the page. The server cannot tell: it hears of a closed stream only later. */
function oneStream(): void {
  let last: EventSource | undefined;
  window.EventSource = class extends EventSource {
    constructor(url: string | URL) {
      const doubled = last !== undefined && last.readyState !== EventSource.CLOSED;
      super(url);
      last = this;
      if (doubled) throw new Error("a second live EventSource");
    }
  };
}

export async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}${name}.png` });
}
