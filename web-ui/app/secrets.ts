/** Secrets of agents: the calls, and words for what they answer. Nothing reads a value back, so this page never has one but while it is typed. */
import { type Health, request, segment } from "./api";
import type { components } from "./api/schema";

type Schemas = components["schemas"];
/** Names of what is stored. */
export type StoredNames = Schemas["EnvNames"];
export type EffectiveEnv = Schemas["EffectiveEnv"];
export type EnvEntry = Schemas["EnvEntry"];
export type ClaudeState = Schemas["ClaudeCredentials"];
type Changed = Schemas["CredentialChanged"];

/** Whose turns have it: those of one agent, or of all. */
export type Layer = "agent" | "all";

const body = (channel: string | undefined): { channel?: string } => (channel === undefined ? {} : { channel });
const claudeAt = (channel: string | undefined): string => `api/credentials/claude${channel === undefined ? "" : `/${segment(channel)}`}`;

/** Without a channel it is what all agents have. */
export const secretsApi = {
  names: () => request<StoredNames>("GET", "api/credentials/env"),
  set: (channel: string | undefined, name: string, value: string) => request<Changed>("POST", "api/credentials/env", { ...body(channel), name, value }),
  remove: (channel: string | undefined, name: string) => request<Changed>("DELETE", "api/credentials/env", { ...body(channel), name }),
  claude: () => request<ClaudeState>("GET", "api/credentials/claude"),
  setClaude: (channel: string | undefined, token: string) => request<Changed>("POST", claudeAt(channel), { token }),
  removeClaude: (channel: string | undefined) => request<Changed>("DELETE", claudeAt(channel)),
  effective: (agent: string) => request<EffectiveEnv>("GET", `api/agents/${segment(agent)}/env`),
};

export interface StoredRow {
  name: string;
  layer: Layer;
  /** The agent has one of its own that counts instead. */
  shadowed: boolean;
}

/** What is stored for an agent and for all, by name; of one name the agent's own first. */
export function storedRows(names: StoredNames, agent: string): StoredRow[] {
  const own = names.channels[agent] ?? [];
  const rows = [
    ...own.map((name): StoredRow => ({ name, layer: "agent", shadowed: false })),
    ...names.default.map((name): StoredRow => ({ name, layer: "all", shadowed: own.includes(name) })),
  ];
  return rows.sort((a, b) => compare(a.name, b.name) || Number(a.shadowed) - Number(b.shadowed));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const CREDENTIALS = ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_API_KEY"];
const PREFIXES = ["ANTHROPIC_", "CLAUDE_", "REVEILLE_", "LD_", "DYLD_", "XDG_", "GIT_", "BASH_FUNC_"];
const ALLOWED = ["GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_NAME"];
const RESERVED = [
  "BASHOPTS", "BASH_ENV", "BROWSER", "CDPATH", "CLAUDECODE", "EDITOR", "ENV", "HOME", "IFS", "LOGNAME", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS",
  "NODE_PATH", "PAGER", "PATH", "PERL5LIB", "PERL5OPT", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "RUBYLIB", "RUBYOPT", "SHELL", "SHELLOPTS",
  "SSL_CERT_DIR", "SSL_CERT_FILE", "TEMP", "TMP", "TMPDIR", "USER", "CURL_CA_BUNDLE", "JAVA_TOOL_OPTIONS", "NODE_TLS_REJECT_UNAUTHORIZED",
  "PROMPT_COMMAND", "REQUESTS_CA_BUNDLE", "ZDOTDIR",
];
const NAME_MAX = 256;

/** Why a variable cannot have this name, before the daemon is asked; what passes here it may still refuse. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "Write the name of the variable.";
  if (/^\d/.test(name)) return "A name begins with a letter or `_`.";
  if (!/^[A-Za-z0-9_]+$/.test(name)) return "A name has letters, digits and `_`, and nothing else.";
  if (name.length > NAME_MAX) return `A name has at most ${NAME_MAX} letters.`;
  const upper = name.toUpperCase();
  if (CREDENTIALS.includes(upper)) return "This signs Claude Code in: set it above, as the sign-in.";
  const reserved = RESERVED.includes(upper) || upper.endsWith("_PROXY") || PREFIXES.some((prefix) => upper.startsWith(prefix));
  if (!reserved || ALLOWED.includes(upper)) return undefined;
  return "It would change what a turn runs, loads or talks to. What all turns are to have of these is for `[claude.env]` in the configuration.";
}

/** Whether it is one of the variables that sign Claude Code in. */
export function isCredential(name: string): boolean {
  return CREDENTIALS.includes(name);
}

/** Where a variable comes from, in words. */
export function sourceText(source: string): string {
  if (source.startsWith("grant:")) return `the connection ${source.slice("grant:".length)}`;
  return SOURCES[source] ?? source;
}

const SOURCES: Readonly<Record<string, string>> = {
  channel: "stored for this agent",
  default: "stored for all agents",
  configuration: "the configuration",
  daemon: "the daemon's own environment",
  shield: "the daemon, in the place of the API",
};

export interface SignIn {
  /** What counts now. */
  text: string;
  tone: "good" | "waiting" | "bad";
  /** What a person should know, or do. */
  more?: string;
  /** Which of the two that can be set here counts. */
  counts?: Layer;
}

/** What signs the turns of an agent in. What stands in no variable, `/health` knows. */
export function signInOf(env: EffectiveEnv | undefined, claude: ClaudeState | undefined, health: Health["credential"], agent: string): SignIn | undefined {
  const entry = env?.env.find(({ name, overridden }) => isCredential(name) && !overridden);
  const outside = entry?.shielded ? "It stays outside of the turns: they have a placeholder, and the daemon adds it to their requests." : undefined;
  const told = outside ? { more: outside } : {};
  if (health?.problem) return { text: "What is stored cannot be read, so no turn begins", tone: "bad", more: health.problem };
  switch (entry?.source) {
    case "channel":
      return { text: "Its own token", tone: "good", counts: "agent", ...told };
    case "default":
      return { text: "The token of all agents", tone: "good", counts: "all", ...told };
    case "configuration":
      return { text: `${entry.name} of the configuration`, tone: "good", ...told };
    case "daemon":
      return { text: `${entry.name} of the daemon's own environment`, tone: "good", ...told };
  }
  if (!env || !claude) return undefined;
  if (claude.channels.includes(agent)) return { text: "Its own token is kept back, and there is no other one", tone: "bad", more: "See above for what is kept back from this agent." };
  if (health?.source === "login") {
    return { text: "The login of the daemon's own user", tone: "waiting", more: "It works for some hours, until that `claude` renews it. A token that is set here lasts a year." };
  }
  if (health?.source === "not_needed") return { text: "None is needed: turns are run by the stand-in", tone: "good" };
  return { text: "Nothing: its turns fail", tone: "bad", more: "Run `claude setup-token`, and set what it prints here." };
}
