/** Words of the System room for what the daemon calls by codes. Pure. */
import type { VaultHealth } from "../api";
import type { Check, Token } from "./api";

const KINDS: Record<string, string> = { thread: "Record of a turn", failure: "Failure note", reply: "Reply", file: "File of a reply", callback: "Answer to another agent", bridge: "Answer for a bridge", webhook: "End of a turn, for webhooks", outbound: "Reply" };

/** What was to be written. */
export function effectWord(kind: string): string {
  return KINDS[kind] ?? (kind === "unknown" ? "Something of another version" : kind);
}

const BRIDGES: Record<string, string> = { telegram: "Telegram", "http-ui": "Pages", webhook: "Webhook" };

/** What a bridge bridges to. */
export function bridgeKind(kind: string): string {
  return BRIDGES[kind] ?? kind;
}

/** What a bridge is called: one that is no more, and a webhook, have their kind in their name. */
export function bridgeTitle({ name, kind }: { name: string; kind: string }): string {
  const own = name.startsWith(`${kind}/`) ? name.slice(kind.length + 1) : name;
  return `${kind === "webhook" ? "Webhook" : "Bridge"} ${own}`;
}

/** How it does, in words, and how they are shown. */
export function bridgeState(state: string): readonly [word: string, tone: string] {
  const known: Record<string, readonly [string, string]> = {
    up: ["Works", "good"], starting: ["Starting", "waiting"], retrying: ["Tries again", "bad"], refused: ["Waits for you", "bad"], stopped: ["Stopped", "quiet"], removed: ["Removed", "waiting"],
  };
  return known[state] ?? [state, "quiet"];
}

export type DaemonVerb = "read" | "send" | "write" | "admin";

/** What a token may do with the daemon. */
export const DAEMON_SCOPES: readonly { verb: DaemonVerb; label: string; means: string; includes?: readonly DaemonVerb[] }[] = [
  { verb: "read", label: "Read", means: "See agents, messages, turns and schedules. Change nothing." },
  { verb: "send", label: "Send", means: "Write messages to agents, which cost money and act for you, and nothing else." },
  { verb: "write", label: "Write", means: "Read and send; also stop and move turns, pause agents, and change schedules.", includes: ["read", "send"] },
  { verb: "admin", label: "Everything", means: "Also definitions, tokens, secrets, connections and vaults: nearly as good as your own sign-in.", includes: ["read", "send", "write"] },
];

export const VAULT_SCOPES: readonly { verb: "" | "read" | "write" | "admin"; label: string }[] = [
  { verb: "", label: "No access" },
  { verb: "read", label: "Read notes and files" },
  { verb: "write", label: "Read and write them; a message it writes wakes an agent" },
  { verb: "admin", label: "Also tags, triggers and tokens of the vault" },
];

export function scopeWords(scope: string): string {
  const daemon = /^reveille:(read|send|write|admin)$/.exec(scope)?.[1];
  if (daemon) return { read: "Reads the daemon", send: "Sends messages", write: "Reads, sends and changes", admin: "Everything" }[daemon as DaemonVerb];
  const vault = /^vault:(.+):(read|write|admin)$/.exec(scope);
  if (!vault?.[1]) return scope;
  return `${{ read: "Reads", write: "Reads and writes", admin: "Manages" }[vault[2] as "read" | "write" | "admin"]} the vault ${vault[1]}`;
}

/** Whether a token does not work any more by itself. */
export function isOver({ expires_at: end }: Token, now: number): boolean {
  return Boolean(end) && new Date(end ?? "").getTime() <= now;
}

export interface TokenDraft {
  label: string;
  /** Of the daemon; none for a token of vaults alone. */
  daemon: readonly DaemonVerb[];
  /** By vault. */
  vaults: Readonly<Record<string, string>>;
  /** With commas. */
  tags: string;
  /** Days; empty: it does not end by itself. */
  days: string;
}

export const NO_TOKEN: TokenDraft = { label: "", daemon: [], vaults: {}, tags: "", days: "30" };

/** Whether another choice includes it. */
export function isIncluded(verb: DaemonVerb, daemon: readonly DaemonVerb[]): boolean {
  return DAEMON_SCOPES.some(({ verb: other, includes }) => daemon.includes(other) && includes?.includes(verb));
}

export function scopesOf({ daemon, vaults }: TokenDraft): string[] {
  return [...daemon.filter((verb) => !isIncluded(verb, daemon)).map((verb) => `reveille:${verb}`), ...Object.entries(vaults).flatMap(([name, verb]) => (verb ? [`vault:${name}:${verb}`] : []))];
}

export function newTokenOf(draft: TokenDraft, now: number) {
  const label = draft.label.trim();
  const tags = draft.daemon.length === 0 ? draft.tags.split(",").map((tag) => tag.trim()).filter(Boolean) : [];
  return {
    scopes: scopesOf(draft),
    ...(label ? { label } : {}),
    ...(tags.length > 0 ? { tags } : {}),
    ...(draft.days ? { expires_at: new Date(now + Number(draft.days) * 86_400_000).toISOString() } : {}),
  };
}

type Capability = keyof NonNullable<VaultHealth["capabilities"]>;

const CAPABILITIES: readonly (readonly [Capability, string])[] = [
  ["search", "Full-text search"],
  ["operators", "Listings narrowed by metadata and dates"],
  ["order_by", "Listings in other orders"],
  ["links", "Links between notes"],
  ["triggers", "Webhooks on writes"],
  ["atomic_batches", "Several notes written all or none"],
  ["remove_metadata", "Metadata can be taken away"],
  ["tag_parents", "Tags below tags"],
  ["tag_schemas", "Tags with descriptions"],
  ["without_path", "Notes without a path"],
];

/** What a vault can and cannot do. */
export function capabilityWords(capabilities: VaultHealth["capabilities"]): { can: string[]; cannot: string[] } {
  const of = (wanted: boolean): string[] => CAPABILITIES.flatMap(([key, word]) => (capabilities && capabilities[key] === wanted ? [word] : []));
  return { can: of(true), cannot: of(false) };
}

/** Why deliveries to a vault rest, or go through. */
export function breakerWords(state: string): string {
  switch (state) {
    case "closed":
      return "Deliveries go through.";
    case "probing":
      return "One delivery is being tried, to see whether it takes them again.";
    default:
      return "Deliveries rest after failures; one is tried when the pause ends.";
  }
}

const LEVELS: readonly { level: Check["level"]; title: string }[] = [
  { level: "error", title: "Failed" },
  { level: "warning", title: "Warnings" },
  { level: "ok", title: "In order" },
];

/** Checks by how they went, what failed first. */
export function checksByLevel(checks: readonly Check[]): { level: string; title: string; checks: Check[] }[] {
  const known = new Set(LEVELS.map(({ level }) => level));
  const groups = LEVELS.map(({ level, title }) => ({ level, title, checks: checks.filter((check) => check.level === level) }));
  const others = checks.filter(({ level }) => !known.has(level));
  return [...groups, { level: "other", title: "Left out", checks: others }].filter((group) => group.checks.length > 0);
}

/** The checks as text, to be shown to somebody. */
export function reportText(checks: readonly Check[]): string {
  return checks.map(({ check, level, detail, mend }) => `${level}  ${check}: ${detail}${mend && level !== "ok" ? `\n    ${mend}` : ""}`).join("\n");
}
