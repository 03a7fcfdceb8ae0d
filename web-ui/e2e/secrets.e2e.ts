/** An agent's secrets: what is stored by name, how it signs in, what its turns get. Values are never shown. */
import { describe, expect, it } from "vitest";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const SECRET = "ghp_0123456789";
const panel = () => at.page.getByRole("region", { name: "Secrets", exact: true });
const stored = () => panel().getByRole("region", { name: "Stored variables" });
const signIn = () => panel().getByRole("region", { name: "Sign-in of Claude Code" });
const effective = () => panel().getByRole("region", { name: "What its turns get" });
const hasFocus = (name: string) => expect.poll(() => panel().getByLabel(name, { exact: true }).evaluate((input) => input === document.activeElement)).toBe(true);

function scene(): void {
  const { daemon } = at;
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded", prompt_preview: "You look after the parser.", model: "opus" });
  daemon.addAgent("ops", { vault: "default", note_id: "d2", mode: "single-threaded" });
  Object.assign(daemon.tabs, {
    names: { default: ["GH_TOKEN", "SENTRY_DSN"], channels: { eng: ["DATABASE_URL", "GH_TOKEN"], ops: ["NOT_SHOWN"] } },
    claude: { defaultSet: true, channels: [] },
    env: {
      env: [
        { name: "ANTHROPIC_BASE_URL", source: "shield" },
        { name: "LANG", source: "daemon" },
        { name: "JIRA_TOKEN", source: "grant:jira" },
        { name: "SENTRY_DSN", source: "configuration", overridden: true },
      ],
      refused: ["NODE_OPTIONS"],
    },
  });
}

/** Nothing of the page has it: not the markup, the address, the storage, or an input. */
async function isNowhere(secret: string): Promise<void> {
  const kept = await at.page.evaluate(() => [document.documentElement.outerHTML, location.href, JSON.stringify({ ...localStorage, ...sessionStorage })].join(" "));
  const values = await at.page.locator("input, textarea").evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value));
  expect(kept + values.join(" ")).not.toContain(secret);
}

describe("secrets", () => {
  it("are shown by name, with whom they are for and which count", async () => {
    scene();
    await at.enter("#/agent/eng");
    const { page } = at;
    await page.getByRole("navigation", { name: "Parts of eng" }).getByRole("link", { name: "Secrets" }).click();
    await stored().getByRole("listitem", { name: "DATABASE_URL for eng" }).waitFor();
    await stored().getByRole("listitem", { name: "GH_TOKEN for all agents" }).getByText("its own counts instead").waitFor();
    await expect.poll(() => panel().getByText("NOT_SHOWN").count()).toBe(0);
    const row = (name: RegExp) => effective().getByRole("row", { name });
    await expect.poll(() => row(/^JIRA_TOKEN/).innerText()).toMatch(/the connection jira\s+Yes/);
    await expect.poll(() => row(/^GH_TOKEN stored for all/).innerText()).toContain("the one stored for this agent does");
    await effective().getByText(/given to no turn/).waitFor();
    await signIn().getByText("The token of all agents", { exact: true }).first().waitFor();
    await at.shootAll("secrets");
  });

  it("of an agent whose turns are somebody else's are said to reach nobody", async () => {
    scene();
    const { daemon } = at;
    Object.assign(daemon.agents[0] ?? {}, { backend: "attached" });
    await at.enter("#/agent/eng/secrets");
    await panel().getByText("What is stored here does not reach that session.").waitFor();
  });

  it("that stay outside of a turn are marked, and what that means is said", async () => {
    scene();
    const { daemon } = at;
    daemon.tabs.claude.defaultSet = false;
    daemon.tabs.env = { env: [{ name: "ANTHROPIC_API_KEY", source: "configuration", shielded: true }] };
    await at.enter("#/agent/eng/secrets");
    await expect.poll(() => effective().getByRole("row", { name: /^ANTHROPIC_API_KEY/ }).innerText()).toContain("Stays outside");
    await effective().getByText(/cannot take them along/).waitFor();
    await signIn().getByText("ANTHROPIC_API_KEY of the configuration").waitFor();
    await at.shootAll("secrets-shielded");
  });

  it("are added; what the page and the daemon refuse is said at its field, and what was typed stays", async () => {
    scene();
    await at.enter("#/agent/eng/secrets");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Add a variable…" }).click();
    const form = panel().getByRole("form", { name: "Add a variable" });
    const name = form.getByLabel("Name");
    const value = form.getByLabel("Value");
    await hasFocus("Name");
    await expect.poll(() => value.evaluate((input: HTMLInputElement) => [input.type, input.autocomplete])).toEqual(["password", "off"]);
    await value.fill(SECRET);
    await name.fill("NODE_OPTIONS");
    await form.getByText(/change what a turn runs/).waitFor();
    await name.fill("9LIVES");
    await name.press("Enter");
    await form.getByText(/begins with a letter/).waitFor();
    expect(daemon.tabs.sent).toEqual([]);
    await at.shootAll("secrets-name");
    // What only the daemon knows.
    await name.fill("LOCKED_BY_DAEMON");
    await name.press("Enter");
    await form.getByText(/LOCKED_BY_DAEMON cannot be set here/).waitFor();
    await form.getByText("What you typed is still there.").waitFor();
    await hasFocus("Name");
    await expect.poll(() => name.getAttribute("aria-invalid")).toBe("true");
    await expect.poll(() => value.inputValue()).toBe(SECRET);
    await at.shootAll("secrets-refused");
    await name.fill("NPM_TOKEN");
    await name.press("Enter");
    await stored().getByRole("listitem", { name: "NPM_TOKEN for eng" }).waitFor();
    await stored().getByText("NPM_TOKEN is stored").waitFor();
    expect(daemon.tabs.sent.at(-1)).toEqual({ call: "POST /api/credentials/env", body: { channel: "eng", name: "NPM_TOKEN", value: SECRET } });
    await isNowhere(SECRET);
  });

  it("are replaced for all agents too, also with a key of several lines", async () => {
    scene();
    await at.enter("#/agent/eng/secrets");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Replace SENTRY_DSN for all agents…" }).press("Enter");
    const form = panel().getByRole("form", { name: "Replace SENTRY_DSN" });
    await hasFocus("New value");
    await form.getByText("This is stored already").waitFor();
    await expect.poll(() => form.getByLabel("all agents").isChecked()).toBe(true);
    const key = "-----BEGIN-----\nabc\n-----END-----\n";
    await form.getByLabel("New value").evaluate((input, text) => {
      const data = new DataTransfer();
      data.setData("text/plain", text);
      input.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }, key);
    await expect.poll(() => form.getByLabel("New value").inputValue()).toBe(key);
    await at.shootAll("secrets-lines");
    await form.getByRole("button", { name: "Replace it" }).click();
    await stored().getByText("SENTRY_DSN is stored").waitFor();
    expect(daemon.tabs.sent.at(-1)?.body).toEqual({ name: "SENTRY_DSN", value: key });
    await isNowhere("BEGIN");
  });

  it("are removed after one more question", async () => {
    scene();
    await at.enter("#/agent/eng/secrets");
    const { daemon } = at;
    const own = stored().getByRole("listitem", { name: "DATABASE_URL for eng" });
    await own.getByRole("button", { name: "Remove…" }).press("Enter");
    await at.shootAll("secrets-remove");
    await at.page.keyboard.press("Escape");
    expect(daemon.tabs.sent).toEqual([]);
    await own.getByRole("button", { name: "Remove…" }).click();
    await own.getByRole("button", { name: "Remove it" }).click();
    await own.waitFor({ state: "detached" });
    // Who works by keyboard is not sent back to the beginning of the page.
    await stored().getByText("DATABASE_URL is removed.").waitFor();
    await expect.poll(() => stored().getByRole("button", { name: "Add a variable…" }).evaluate((button) => button === document.activeElement)).toBe(true);
    expect(daemon.tabs.sent).toEqual([{ call: "DELETE /api/credentials/env", body: { channel: "eng", name: "DATABASE_URL" } }]);
    const all = stored().getByRole("listitem", { name: "SENTRY_DSN for all agents" });
    await all.getByRole("button", { name: "Remove…" }).click();
    await all.getByText("Remove SENTRY_DSN for all 2 agents?").waitFor();
    daemon.tabs.refusal = [503, { error: "credentials_unavailable", message: "The file could not be written.", next_step: "Nothing was changed." }];
    await all.getByRole("button", { name: "Remove it" }).click();
    await all.getByRole("alert").getByText("The file could not be written.").waitFor();
  });

  it("need the PIN where there is one; who does not show it loses nothing", async () => {
    scene();
    const { daemon } = at;
    daemon.pin = "1234";
    await at.enter("#/agent/eng/secrets");
    const { page } = at;
    await page.getByRole("button", { name: "Add a variable…" }).click();
    const form = panel().getByRole("form", { name: "Add a variable" });
    await form.getByLabel("Name").fill("NPM_TOKEN");
    await form.getByLabel("Value").fill(SECRET);
    await form.getByRole("button", { name: "Store it" }).click();
    const dialog = page.getByRole("dialog", { name: "Your PIN, please" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await form.getByRole("alert").getByText("This needs the PIN.").waitFor();
    await expect.poll(() => form.getByLabel("Value").inputValue()).toBe(SECRET);
    await form.getByRole("button", { name: "Store it" }).click();
    await dialog.getByLabel("PIN").fill("1234");
    await page.keyboard.press("Enter");
    await stored().getByText("NPM_TOKEN is stored").waitFor();
  });

  it("sign Claude Code in: set for the agent, refused, replaced and removed", async () => {
    scene();
    await at.enter("#/agent/eng/secrets");
    const { page, daemon } = at;
    const token = "sk-ant-oat01-secret";
    await page.getByRole("button", { name: "Set the token of eng…" }).click();
    const form = panel().getByRole("form", { name: "Set the token of eng" });
    await hasFocus("Token");
    await form.getByRole("button", { name: "Cancel" }).click();
    const set = page.getByRole("button", { name: "Set the token of eng…" });
    await expect.poll(() => set.evaluate((button) => button === document.activeElement)).toBe(true);
    await set.click();
    // What was typed and left is gone.
    await expect.poll(() => form.getByLabel("Token").inputValue()).toBe("");
    await form.getByLabel("Token").fill("two words");
    await form.getByLabel("Token").press("Enter");
    await form.getByText("that is no credential of Claude Code").waitFor();
    await expect.poll(() => form.getByLabel("Token").inputValue()).toBe("two words");
    await at.shootAll("secrets-sign-in");
    await form.getByLabel("Token").fill(token);
    await form.getByLabel("Token").press("Enter");
    const own = signIn().getByRole("listitem", { name: "Its own token" });
    await own.getByText("set, counts").waitFor();
    await signIn().getByText("set, another one counts").waitFor();
    expect(daemon.tabs.sent.at(-1)).toEqual({ call: "POST /api/credentials/claude/eng", body: { token } });
    await isNowhere(token);
    await own.getByRole("button", { name: "Remove…" }).click();
    await own.getByRole("button", { name: "Remove it" }).click();
    await own.getByText("not set").waitFor();
    const all = signIn().getByRole("listitem", { name: "The token of all agents" });
    await all.getByRole("button", { name: "Remove…" }).click();
    await all.getByRole("button", { name: "Remove it" }).click();
    await signIn().getByText("Nothing: its turns fail").waitFor();
    await signIn().getByText("Run claude setup-token").waitFor();
    await at.shootAll("secrets-signed-out");
    expect(daemon.tabs.sent.map(({ call }) => call).slice(-2)).toEqual(["DELETE /api/credentials/claude/eng", "DELETE /api/credentials/claude"]);
  });

  it("of which one part cannot be read leave the others, and are read again", async () => {
    scene();
    const { daemon } = at;
    daemon.tabs.broken.add("names");
    daemon.tabs.env.note = 'There is no agent "eng"; this is what one of that name would have.';
    await at.enter("#/agent/eng/secrets");
    await stored().getByRole("alert").getByText("The file of credentials is damaged.").waitFor();
    await effective().getByText("There is no agent").waitFor();
    await effective().getByRole("row", { name: /^JIRA_TOKEN/ }).waitFor();
    await at.shootAll("secrets-broken");
    // They are read now and then by themselves, too: not before the click.
    const go = await at.hold("**/api/credentials/env");
    await stored().getByRole("button", { name: "Try again" }).click();
    daemon.tabs.broken.clear();
    go();
    await stored().getByRole("listitem", { name: "DATABASE_URL for eng" }).waitFor();
    daemon.tabs.env.env = [];
    await effective().getByRole("button", { name: "Refresh" }).click();
    await effective().getByRole("row", { name: /^JIRA_TOKEN/ }).waitFor({ state: "detached" });
  });

  it("are for everybody: axe-core finds nothing serious, in both colours", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    await at.enter("#/agent/eng/secrets");
    const { page, daemon } = at;
    await stored().getByRole("listitem", { name: "DATABASE_URL for eng" }).waitFor();
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((one) => `${what}, ${colorScheme}: ${one}`));
      }
    };
    await look("names");
    await page.getByRole("button", { name: "Add a variable…" }).click();
    await panel().getByLabel("Name").fill("PATH");
    await page.getByRole("button", { name: "Set the token of eng…" }).click();
    await look("forms");
    daemon.tabs.names = { default: [], channels: {} };
    await page.reload();
    await stored().getByText("Nothing is stored.").waitFor();
    await look("empty");
    await at.shootAll("secrets-empty");
    expect(found).toEqual([]);
  });
});
