/** What an agent may reach, what it does not get, and how a host that was refused is allowed. */
import { describe, expect, it } from "vitest";
import type { Sandbox } from "../app/sandbox";
import { serious } from "./axe";
import { stage } from "./stage";

const at = stage();
const panel = () => at.page.getByRole("region", { name: "Sandbox", exact: true });
const part = (name: string) => panel().getByRole("region", { name });
const hosts = () => part("What its last turns tried to reach").getByRole("list", { name: "Hosts" });

const SANDBOX: Sandbox = {
  mode: "bubblewrap", confined: true,
  filesystem: { value: "workspace", from: "default" }, network: { value: "restricted", from: "definition" },
  workspace: "/home/me/src/parser", mounts: [{ path: "/srv/data", mode: "ro" }], egress: ["api.example.com"], read: ["/opt/tools"],
  shield: { value: false, from: "default" },
  lowered: [{ key: "workspace", asked: "/home/me", got: "/home/me/src/parser", reason: "it is not below what may be a workspace (the operator decides: `workspaces` under `[sandbox]`)" }],
  limits: { memory: 8 * 2 ** 30, processes: 4096, cpu_weight: 50, open_files: 65536, group: "/sys/fs/cgroup/reveille", missing: null },
  turns: [
    {
      turn: "turn-2", since_at: "2026-01-05T10:00:00Z",
      connections: [
        { host: "api.anthropic.com", port: 443, decision: "allowed", count: 12 },
        { host: "pypi.org", port: 443, decision: "refused", count: 2 },
        { host: "slow.example.com", port: 8443, decision: "failed", count: 1 },
      ],
    },
    {
      turn: "turn-1", since_at: "2026-01-05T09:00:00Z",
      connections: [
        { host: "pypi.org", port: 443, decision: "refused", count: 1 },
        { host: "intranet", port: 5432, decision: "refused_address", count: 3 },
      ],
    },
  ],
};

function scene(more: Partial<Sandbox> = {}): void {
  const { daemon } = at;
  daemon.addAgent("eng", { vault: "default", note_id: "d1", mode: "single-threaded", prompt_preview: "You look after the parser.", lowered: [...SANDBOX.lowered] });
  daemon.shaping.notes.set("d1", { id: "d1", updatedAt: "2026-01-05T10:00:00Z", content: "You look after the parser.", metadata: { name: "eng", network: "restricted", egress: ["api.example.com"] } });
  daemon.tabs.sandboxes.set("eng", { ...SANDBOX, ...more });
  const message = daemon.addMessage("eng", { text: "Install the requirements", state: "ok" });
  message.turn = "turn-2";
}

describe("the sandbox of an agent", () => {
  it("is told in a sentence, with who decided and what was not given", async () => {
    scene();
    await at.enter("#/agent/eng");
    const { page } = at;
    const tab = page.getByRole("navigation", { name: "Parts of eng" }).getByRole("link", { name: /Sandbox/ });
    await expect.poll(() => tab.getByTitle("Asked for and not given").innerText()).toBe("1");
    await tab.click();
    await part("What it can reach").getByText("Works in /home/me/src/parser, reads the programs of the system, reads /srv/data, and reaches the model's API and api.example.com.").waitFor();
    await part("What it can reach").getByText("It cannot see any other file of this machine, nor reach any other host.").waitFor();
    await part("Asked for, and not given").getByText("the operator decides: workspaces under [sandbox]").waitFor();
    await expect.poll(() => part("Who decided").getByRole("row", { name: /^Network/ }).innerText()).toMatch(/Only hosts that are named\s+the definition/);
    await expect.poll(() => part("Who decided").getByRole("row", { name: /^Files/ }).innerText()).toContain("the default");
    await part("What one turn may take of the machine").getByText("All are kept").waitFor();
    await part("Credential of Claude Code").getByText("In its environment").waitFor();
    await at.shootAll("sandbox");
    await part("What one turn may take of the machine").scrollIntoViewIfNeeded();
    await at.shootAll("sandbox-below");
  });

  it("shows what was refused first, and where", async () => {
    scene();
    await at.enter("#/agent/eng/sandbox");
    const { page, daemon } = at;
    const rows = hosts().getByRole("listitem");
    await expect.poll(() => rows.count()).toBe(4);
    const labels = await rows.evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
    expect(labels).toEqual(["pypi.org:443, refused", "intranet:5432, refused", "slow.example.com:8443, no answer", "api.anthropic.com:443, reached"]);
    await rows.nth(0).getByText("3 times").waitFor();
    // What no definition can allow has no button, and says who can.
    await expect.poll(() => hosts().getByRole("button").count()).toBe(1);
    await rows.nth(1).getByText(/Only the operator can allow that/).waitFor();
    // A link leads to what was said in that turn, also when only the daemon knows which message that was.
    daemon.turns.answer = () => undefined;
    await rows.nth(0).getByRole("link").first().click();
    await page.waitForURL(/#\/agent\/eng\/message\/eng-m1$/);
    await page.getByRole("log").getByText("Install the requirements").waitFor();
  });

  it("lets a host be allowed in the form of the definition, where nothing is saved by itself", async () => {
    scene();
    await at.enter("#/agent/eng/sandbox");
    const { page, daemon } = at;
    await page.getByRole("button", { name: "Allow this host, pypi.org:443…" }).press("Enter");
    const form = page.getByRole("region", { name: "Definition" });
    const egress = form.getByLabel("Hosts that it may reach");
    await expect.poll(() => egress.inputValue()).toBe("api.example.com pypi.org");
    expect(page.url()).toContain("#/agent/eng/definition");
    expect(daemon.shaping.sent).toEqual([]);
    await at.shootAll("sandbox-allow");
    await form.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit" }).waitFor();
    expect(daemon.shaping.sent).toEqual([
      { call: "PATCH /api/agents/eng", body: { metadata: { egress: ["api.example.com", "pypi.org"] }, if_updated_at: "2026-01-05T10:00:00Z" } },
    ]);
    daemon.tabs.sandboxes.set("eng", { ...SANDBOX, egress: ["api.example.com", "pypi.org"] });
    await page.goto(`${daemon.url}#/agent/eng/sandbox`);
    await hosts().getByText("Allowed since").waitFor();
  });

  it("that confines nothing is said loudly, and limits that nobody keeps are marked", async () => {
    scene({
      mode: "none", confined: false, lowered: [], turns: [], network: { value: "open", from: "default" },
      limits: { memory: null, processes: null, cpu_weight: null, open_files: 65536, group: null, missing: "Memory, processes and processors have no limit: there is no control group. Start the daemon with `Delegate=yes`." },
    });
    await at.enter("#/agent/eng/sandbox");
    await panel().getByRole("alert").getByText("Nothing confines this agent").waitFor();
    await panel().getByText("No turn of it has run since the daemon was started.").waitFor();
    const limits = part("What one turn may take of the machine");
    await limits.getByText("3 limits not kept").waitFor();
    await limits.getByText("Start the daemon with Delegate=yes.").waitFor();
    await at.shootAll("sandbox-none");
  });

  it("tells why turns are refused, and what it cannot tell of a definition that never worked", async () => {
    scene({ shield: { value: true, from: "configuration", problem: "There is no credential that can stay outside. Run `claude setup-token`." } });
    const { daemon } = at;
    daemon.addAgent("ops", { vault: "default", note_id: "d2", status: "error", problems: [{ key: "mode", message: "is not known" }] });
    await at.enter("#/agent/eng/sandbox");
    await part("Credential of Claude Code").getByRole("alert").getByText("Its turns are refused now.").waitFor();
    await part("Credential of Claude Code").getByText("Decided by the configuration").waitFor();
    const { page } = at;
    await page.goto(`${daemon.url}#/agent/ops/sandbox`);
    await panel().getByRole("alert").getByText("does not hold together").waitFor();
    await at.shootAll("sandbox-no-definition");
    await panel().getByRole("link", { name: "See what is wrong with it" }).click();
    await page.getByRole("region", { name: "Problems" }).waitFor();
    daemon.tabs.broken.add("sandbox");
    await page.goto(`${daemon.url}#/agent/eng/sandbox`);
    await panel().getByRole("alert").getByText("could not be looked up").waitFor();
    // It is looked up now and then by itself, too: not before the click.
    const go = await at.hold("**/api/agents/eng/sandbox");
    await panel().getByRole("button", { name: "Try again" }).click();
    daemon.tabs.broken.clear();
    go();
    await hosts().getByRole("listitem").first().waitFor();
  });

  it("is for everybody: axe-core finds nothing serious, in both colours", async () => {
    await at.reopen({ bypassCSP: true });
    scene();
    await at.enter("#/agent/eng/sandbox");
    const { page, daemon } = at;
    await hosts().waitFor();
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await serious(page)).map((one) => `${what}, ${colorScheme}: ${one}`));
      }
    };
    await look("confined");
    daemon.tabs.sandboxes.set("eng", { ...SANDBOX, confined: false, mode: "none", limits: { ...SANDBOX.limits, memory: null } });
    await page.reload();
    await panel().getByText("Nothing confines this agent").waitFor();
    await look("unconfined");
    expect(found).toEqual([]);
  });
});
