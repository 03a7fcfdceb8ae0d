/** The part of the double that is behind the tabs of one agent: its secrets, its sandbox, what the daemon says of a definition, and its end. */
import type { Agent, Note, Problem } from "../app/api";
import type { Sandbox } from "../app/sandbox";
import type { ClaudeState, EffectiveEnv, StoredNames } from "../app/secrets";
import type { Reply } from "./mock";
import { settingProblems } from "./mock-shaping";

const ok = (body: unknown): Reply => [200, body];
const refuse = (status: number, error: string, message: string, next_step?: string): Reply => [status, { error, message, next_step }];

interface Daemon {
  agents: Agent[];
  shaping: { notes: ReadonlyMap<string, Note> };
}

export class MockAgentTabs {
  names: StoredNames = { default: [], channels: {} };
  claude: ClaudeState = { defaultSet: false, channels: [] };
  /** What turns get besides what is stored. */
  env: EffectiveEnv = { env: [] };
  sandboxes = new Map<string, Sandbox>();
  /** Calls that changed something, with what was sent. */
  sent: { call: string; body: unknown }[] = [];
  /** The next change is refused with this. */
  refusal: Reply | undefined;
  /** Parts that do not answer now. */
  broken = new Set<"names" | "claude" | "env" | "sandbox">();
  /** Whether it is an older daemon that does not check what is not written. */
  validates = false;
  /** Definitions that were to be checked. */
  checked: { name: string; metadata: Record<string, unknown>; content: string; note_id?: string }[] = [];
  /** What the answer about a definition waits for. */
  hold: (check: { content: string }) => Promise<void> | undefined = () => undefined;

  constructor(private readonly daemon: Daemon) {}

  /** Whether it needs the PIN. */
  isDangerous(method: string, path: string): boolean {
    return method !== "GET" && (path.startsWith("/api/credentials/") || /^\/api\/agents\/[^/]+\/trust$/.test(path));
  }

  async answer(method: string, path: string, body: Record<string, unknown>): Promise<Reply | undefined> {
    const [root, kind, id = "", act, ...rest] = path.split("/").slice(1).map(decodeURIComponent);
    if (root !== "api" || rest.length > 0) return undefined;
    if (kind === "credentials") return method === "GET" ? this.stored(id) : this.change(method, path, id, act, body);
    if (kind !== "agents" || !id) return undefined;
    if (id === "validate" && method === "POST") return this.validate(body as unknown as MockAgentTabs["checked"][number]);
    if (act === "env") return this.broken.has("env") ? refuse(500, "internal", "The variables could not be read.") : ok(this.effective(id));
    if (act === "sandbox") return this.sandbox(id);
    if (method === "GET" || (act !== "reset" && act !== "trust" && !(method === "DELETE" && act === undefined))) return undefined;
    return this.changed(method, path, body) ?? this.agent(id, act);
  }

  /** The refusal that was asked for, once. */
  private changed(method: string, path: string, body: unknown): Reply | undefined {
    this.sent.push({ call: `${method} ${path}`, body });
    const { refusal } = this;
    this.refusal = undefined;
    return refusal;
  }

  private stored(id: string): Reply {
    if (id === "env") return this.broken.has("names") ? refuse(500, "credentials_damaged", "The file of credentials is damaged.") : ok(this.names);
    return this.broken.has("claude") ? refuse(500, "credentials_damaged", "The file of credentials is damaged.") : ok(this.claude);
  }

  private change(method: string, path: string, id: string, act: string | undefined, body: Record<string, unknown>): Reply {
    const refused = this.changed(method, path, body);
    if (refused) return refused;
    const channel = id === "env" ? (body.channel as string | undefined) : act;
    if (method === "POST" && channel && this.daemon.agents.some(({ name, withheld = [] }) => name === channel && withheld.length > 0)) {
      return refuse(409, "name_withheld", `What was given to the name ${channel} before was for another note.`, "Nothing was stored.");
    }
    return id === "env" ? this.setEnv(method, channel, body) : this.setClaude(method, channel, String(body.token ?? ""));
  }

  private setEnv(method: string, channel: string | undefined, { name: given, value }: Record<string, unknown>): Reply {
    const name = String(given);
    if (method === "POST" && name.startsWith("LOCKED_")) return refuse(400, "invalid_body", `${name} cannot be set here: it would change what a turn runs.`, "Nothing was stored or removed.");
    if (method === "POST" && value === "too long") return refuse(400, "invalid_body", `the value of ${name} is longer than 65536 bytes`, "Nothing was stored or removed.");
    const before = (channel ? this.names.channels[channel] : this.names.default) ?? [];
    const after = [...before.filter((one) => one !== name), ...(method === "POST" ? [name] : [])].sort();
    if (channel) this.names.channels[channel] = after;
    else this.names.default = after;
    return ok({ ok: true, scope: channel ? "channel" : "default", name, ...(channel ? { channel } : {}) });
  }

  private setClaude(method: string, channel: string | undefined, token: string): Reply {
    if (method === "POST" && token.includes(" ")) return refuse(400, "invalid_body", "that is no credential of Claude Code: it holds blanks", "Nothing was stored or removed.");
    if (!channel) this.claude.defaultSet = method === "POST";
    else this.claude.channels = [...this.claude.channels.filter((one) => one !== channel), ...(method === "POST" ? [channel] : [])];
    return ok({ ok: true, scope: channel ? "channel" : "default" });
  }

  private effective(agent: string): EffectiveEnv {
    const own = this.names.channels[agent] ?? [];
    const stored = [
      ...own.map((name) => ({ name, source: "channel" })),
      ...this.names.default.map((name) => ({ name, source: "default", ...(own.includes(name) ? { overridden: true } : {}) })),
    ];
    const [ownToken, anyToken] = [this.claude.channels.includes(agent), this.claude.defaultSet];
    const tokens = [
      ...(ownToken ? [{ name: "CLAUDE_CODE_OAUTH_TOKEN", source: "channel" }] : []),
      ...(anyToken ? [{ name: "CLAUDE_CODE_OAUTH_TOKEN", source: "default", ...(ownToken ? { overridden: true } : {}) }] : []),
    ];
    const env = [...stored, ...tokens, ...this.env.env].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    return { ...this.env, env };
  }

  private sandbox(name: string): Reply {
    if (this.broken.has("sandbox")) return refuse(500, "internal", "What the agent may reach could not be looked up.");
    const found = this.sandboxes.get(name);
    return found ? ok(found) : refuse(409, "no_definition", `The definition of ${name} does not hold together, so nothing counts for it.`, "Mend the note.");
  }

  private async validate(definition: MockAgentTabs["checked"][number]): Promise<Reply> {
    if (!this.validates) return refuse(405, "method_not_allowed", "This address takes GET, PATCH and DELETE.");
    this.checked.push(definition);
    await this.hold(definition);
    const { name, content, note_id: id = "" } = definition;
    const all = { ...this.daemon.shaping.notes.get(id)?.metadata, ...definition.metadata };
    const metadata = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
    const problems: Problem[] = [...settingProblems(metadata)];
    if (!/^[\w-]+$/.test(name)) problems.push({ key: "name", message: `"${name}" will not do; letters, digits, - and _` });
    if (content.includes("nothing at all")) problems.push({ key: "prompt", message: "says nothing at all" });
    const warnings = "modle" in metadata ? [{ key: "modle", message: "is not read; did you mean `model`?" }] : [];
    const lowered = metadata.network === "open" ? [{ key: "network", asked: "open", got: "proxied", reason: "the most is proxied (the operator decides: `network` under `[sandbox]`)" }] : [];
    return ok({ ok: problems.length === 0, problems, warnings, lowered, settings: {} });
  }

  private agent(name: string, act: string | undefined): Reply {
    const agent = this.daemon.agents.find((one) => one.name === name);
    if (!agent) return refuse(404, "unknown_agent", `There is no agent ${name}.`);
    if (act === "reset") return ok({ reset: true, conversations: 2 });
    if (act === "trust") {
      agent.withheld = [];
      return ok(agent);
    }
    this.daemon.agents.splice(this.daemon.agents.indexOf(agent), 1);
    return ok({ removed: true, waiting: agent.waiting });
  }
}
