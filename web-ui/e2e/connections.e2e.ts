/** What an agent wants to reach: shown, approved, revoked. */
import { describe, expect, it } from "vitest";
import type { Grant } from "../app/connections";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const SECRET = "ghp_0123456789";
const panel = () => at.page.getByRole("region", { name: "Connections" });
const row = (name: string) => panel().getByRole("listitem", { name });

function scene(): void {
  const { daemon } = at;
  const common = { holder: "eng", agent: "eng" };
  const grants: Grant[] = [
    { ...common, key: "env+mcp:github", kind: "service", target: "github", inject: ["env", "mcp"], env: "GITHUB_TOKEN", status: "pending" },
    { ...common, key: "vault:library:read#paper", kind: "vault", target: "library", access: "read", tags: ["#paper"], status: "pending" },
    { ...common, key: "mcp:https://example.org/mcp", kind: "mcp", target: "https://example.org/mcp", status: "approved", grantId: "g3" },
    { ...common, key: "surface:site:write", kind: "surface", target: "site", access: "write", status: "error", reason: "The address did not answer; check it and approve it again." },
  ];
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded", connections: grants.map((grant) => ({ ...grant })) });
  daemon.addAgent("ops", { vault: "default", note_id: "d2", mode: "single-threaded" });
  daemon.shaping.grants = grants;
}

describe("connections", () => {
  it("that wait are told in the list; one is approved with a token, which is kept nowhere in the page", async () => {
    scene();
    await at.enter("");
    const { page, daemon } = at;
    const item = page.getByRole("navigation", { name: "Agents" }).getByRole("link", { name: /eng/ });
    await item.getByText("2 connections to approve").waitFor({ state: "attached" });
    await item.click();
    await page.getByRole("link", { name: /Connections/ }).click();
    await row("Service github").getByText("Waits to be approved").waitFor();
    await row("Surface site").getByText("The address did not answer").waitFor();
    await at.shootAll("connections");

    await page.getByRole("button", { name: "Approve github…" }).click();
    const token = row("Service github").getByLabel("Token");
    await expect.poll(() => token.evaluate((input: HTMLInputElement) => [input.type, input.autocomplete])).toEqual(["password", "off"]);
    await token.fill("bad");
    await token.press("Enter");
    await page.getByRole("alert").getByText("This token has spaces in it.").waitFor();
    await page.getByText("What you typed is still there.").waitFor();
    await expect.poll(() => token.inputValue()).toBe("bad");
    await at.shootAll("connections-approve");
    await token.fill(SECRET);
    await token.press("Enter");
    await row("Service github").getByText("Approved", { exact: true }).waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({ call: "POST /api/connections/approve", body: { holder: "eng", key: "env+mcp:github", token: SECRET } });
    await item.getByText("1 connection to approve").waitFor({ state: "attached" });
    // The form is closed when all is read again.
    await token.and(page.locator("input")).waitFor({ state: "detached" });
    const kept = await page.evaluate(() => [document.documentElement.outerHTML, location.href, JSON.stringify({ ...localStorage, ...sessionStorage })].join(" "));
    const values = await page.locator("input").evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value));
    expect(kept + values.join(" ")).not.toContain(SECRET);
  });

  it("ask for an address where there has to be one, and for nothing where nothing is needed", async () => {
    scene();
    await at.enter("#/agent/eng/connections");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Approve site…" }).click();
    await row("Surface site").getByLabel("Token").fill(SECRET);
    await row("Surface site").getByRole("button", { name: "Approve", exact: true }).click();
    // The browser asks for the address.
    await expect.poll(() => row("Surface site").getByLabel("Address").evaluate((input: HTMLInputElement) => input.validity.valueMissing)).toBe(true);
    await row("Surface site").getByLabel("Address").fill("https://git.example.org/site");
    await row("Surface site").getByRole("button", { name: "Approve", exact: true }).click();
    await row("Surface site").getByText("Approved", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Replace the token of site…" }).waitFor();
    await page.getByRole("button", { name: "Approve library…" }).click();
    await row("Vault library").getByText("A vault of this daemon needs neither.").waitFor();
    await row("Vault library").getByRole("button", { name: "Approve", exact: true }).click();
    await row("Vault library").getByText("Approved", { exact: true }).waitFor();
    expect(daemon.shaping.sent.map(({ body }) => body)).toEqual([
      { holder: "eng", key: "surface:site:write", token: SECRET, url: "https://git.example.org/site" },
      { holder: "eng", key: "vault:library:read#paper" },
    ]);
  });

  it("are revoked after one more question, by keyboard too", async () => {
    scene();
    await at.enter("#/agent/eng/connections");
    const { page, daemon } = at;
    const revoke = page.getByRole("button", { name: "Revoke…" });
    await revoke.press("Enter");
    const question = page.getByRole("group", { name: /Take https:\/\/example\.org\/mcp away\?/ });
    // The answer that changes nothing comes first.
    await expect.poll(() => question.getByRole("button", { name: "Keep it" }).evaluate((button) => button === document.activeElement)).toBe(true);
    await page.keyboard.press("Escape");
    await expect.poll(() => revoke.evaluate((button) => button === document.activeElement)).toBe(true);
    expect(daemon.shaping.sent).toEqual([]);
    await revoke.press("Enter");
    await at.shootAll("connections-revoke");
    await question.getByRole("button", { name: "Revoke" }).press("Enter");
    await row("MCP server https://example.org/mcp").getByText("Revoked", { exact: true }).waitFor();
    expect(daemon.shaping.sent.at(-1)?.body).toEqual({ holder: "eng", key: "mcp:https://example.org/mcp" });
  });

  it("of a role stand beside the agents", async () => {
    scene();
    const { daemon } = at;
    daemon.shaping.grants.push({ holder: "role--Uni-Roles-github", key: "env:github", kind: "service", target: "github", inject: ["env"], status: "pending" });
    await at.enter("");
    const { page } = at;
    await page.getByRole("link", { name: "role--Uni-Roles-github" }).click();
    await page.getByRole("button", { name: "Approve github…" }).click();
    await expect.poll(() => row("Service github").getByLabel("Token").evaluate((input) => input === document.activeElement)).toBe(true);
    await at.shootAll("connections-role");
    await page.keyboard.type(SECRET);
    await page.keyboard.press("Enter");
    await row("Service github").getByText("Approved", { exact: true }).waitFor();
    expect(daemon.shaping.sent.at(-1)?.body).toEqual({ holder: "role--Uni-Roles-github", key: "env:github", token: SECRET });
  });

  it("of a hub are only shown, with where to decide", async () => {
    scene();
    at.daemon.shaping.backend = "hub";
    await at.enter("#/agent/eng/connections");
    const { page } = at;
    await page.getByText("These are approved and revoked at the hub, not here.").waitFor();
    await row("Service github").getByText("Approve it at the hub.").waitFor();
    await expect.poll(() => panel().getByRole("button", { name: /approve|revoke|token/i }).count()).toBe(0);
    await at.shootAll("connections-hub");
  });

  it("are asked for here: it goes into the definition, and nothing that was typed is lost", async () => {
    scene();
    const { daemon } = at;
    daemon.shaping.notes.set("d1", { id: "d1", updatedAt: "2026-01-05T10:00:00Z", content: "", metadata: { name: "eng", wants: ["env:github", "mcp:https://example.org/mcp"] } });
    await at.enter("#/agent/eng/connections");
    const { page } = at;
    await page.getByRole("button", { name: "Ask for a connection…" }).press("Enter");
    const form = page.getByRole("form", { name: "Ask for a connection" });
    const address = form.getByLabel("Address");
    await expect.poll(() => address.evaluate((input) => input === document.activeElement)).toBe(true);
    await address.fill("ftp://example.org");
    await address.press("Enter");
    await form.getByText("An address begins with https:// or http://.").waitFor();
    await address.fill("https://example.org/mcp");
    await form.getByText("It asks for that already.").waitFor();
    expect(daemon.shaping.sent).toEqual([]);
    await at.shootAll("connections-ask");
    await form.getByLabel("What").selectOption("vault");
    await form.getByLabel("Vault").fill("papers");
    await form.getByLabel("read and write").check();
    daemon.shaping.refusal = [503, { error: "vault_unavailable", message: "The vault cannot be written.", next_step: "Try again." }];
    await form.getByRole("button", { name: "Ask for it" }).click();
    await form.getByRole("alert").getByText("The vault cannot be written.").waitFor();
    await expect.poll(() => form.getByLabel("Vault").inputValue()).toBe("papers");
    await form.getByRole("button", { name: "Ask for it" }).click();
    await page.getByRole("status").getByText("vault:papers:write is asked for now.").waitFor();
    expect(daemon.shaping.sent.at(-1)).toEqual({
      call: "PATCH /api/agents/eng",
      body: { metadata: { wants: ["env:github", "mcp:https://example.org/mcp", "vault:papers:write"] }, if_updated_at: "2026-01-05T10:00:00Z" },
    });
  });

  it("are for everybody: axe-core finds nothing serious, in both colours", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    await at.enter("#/agent/eng/connections");
    const { page } = at;
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((one) => `${what}, ${colorScheme}: ${one}`));
      }
    };
    await row("Service github").waitFor();
    await look("list");
    await page.getByRole("button", { name: "Approve site…" }).click();
    await page.getByRole("button", { name: "Ask for a connection…" }).click();
    await page.getByRole("form", { name: "Ask for a connection" }).getByRole("button", { name: "Ask for it" }).click();
    await look("forms");
    await page.getByRole("button", { name: "Revoke…" }).click();
    await look("question");
    expect(found).toEqual([]);
  });

  it("that an agent does not have, and a daemon that does not tell, are said plainly", async () => {
    scene();
    await at.enter("#/agent/ops/connections");
    const { page, daemon } = at;
    await page.getByText("This agent wants no connections.").waitFor();
    await at.shootAll("connections-empty");
    daemon.shaping.grants = [];
    // Wanted by its definition, and not taken in yet.
    await page.goto(`${daemon.url}#/agent/eng/connections`);
    await row("Service github").getByText("The daemon has not taken it in yet.").waitFor();
    await page.route("**/api/connections", (call) => call.abort());
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await panel().getByRole("alert").getByText("The daemon did not answer.").waitFor();
    // They are read now and then by themselves, too: not before the click.
    const go = await at.hold("**/api/connections");
    await panel().getByRole("button", { name: "Try again" }).click();
    go();
    await panel().getByRole("alert").waitFor({ state: "detached" });
  });
});
