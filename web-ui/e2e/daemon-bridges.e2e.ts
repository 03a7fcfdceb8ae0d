/** Bridges against a real daemon. `REVEILLE_E2E_BRIDGES_URL` is a sign-in link to one whose bridge `pages` works, and whose bridge `phone` has a wrong token. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, openPage, shoot, type Watched } from "./browser";

const link = process.env.REVEILLE_E2E_BRIDGES_URL;
let browser: Browser;
let at: Watched;

describe.runIf(link)("a real daemon with bridges", () => {
  beforeAll(async () => {
    browser = await launch();
    at = await openPage(browser);
    await at.page.goto(link ?? "");
    await at.page.getByRole("navigation", { name: "Agents" }).waitFor();
  });
  afterAll(async () => {
    await browser?.close();
  });

  it("shows which one works, and why the other one does not", async () => {
    const { page, faults } = at;
    const card = (name: string) => page.getByRole("main").getByRole("listitem", { name, exact: true });
    // The way there is that of everything that is wrong.
    const room = page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: "System" });
    await expect.poll(() => room.getAttribute("href")).toBe("#/system/bridges");
    await room.click();
    await card("Bridge pages").getByText("Works").waitFor();
    await card("Bridge phone").getByText("Waits for you").waitFor();
    await card("Bridge phone").getByText(/does not accept the token of the bot/).waitFor();
    expect(await page.content()).not.toContain("nobody_knows");
    await shoot(page, "real-bridges");
    await page.goto(`${(link ?? "").split("#")[0]}#/system`);
    await card("Bridge phone").getByText(/It waits for somebody: Telegram does not accept the token/).waitFor();
    await shoot(page, "real-bridges-health");
    expect(faults).toEqual([]);
  });
});
