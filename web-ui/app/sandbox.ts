/** What an agent may reach: the call of `/api/agents/{name}/sandbox`, and words for what it answers. Pure but for the call. */
import { request, segment } from "./api";
import type { components } from "./api/schema";
import { plural } from "./format";

type Schemas = components["schemas"];
export type Sandbox = Schemas["AgentSandbox"];
export type Lowered = Schemas["LoweredSetting"];
export type EgressCount = Schemas["EgressCount"];

export const sandboxApi = {
  of: (agent: string) => request<Sandbox>("GET", `api/agents/${segment(agent)}/sandbox`),
};

/** What its turns can do, as sentences. */
export function reachText(sandbox: Sandbox): { can: string; cannot: string } {
  const { filesystem, network, workspace, mounts, egress } = sandbox;
  const place = workspace ? `in ${workspace}` : "in a directory of its own for each conversation";
  const writes = mounts.filter(({ mode }) => mode === "rw").map(({ path }) => path);
  const reads = mounts.filter(({ mode }) => mode !== "rw").map(({ path }) => path);
  const files =
    filesystem.value === "full"
      ? ["reads all files that the daemon's user can"]
      : ["reads the programs of the system", ...(reads.length > 0 ? [`reads ${listed(reads)}`] : [])];
  const parts = [`Works ${place}`, ...(writes.length > 0 ? [`reads and writes ${listed(writes)}`] : []), ...files];
  const cannot =
    filesystem.value === "full"
      ? `It cannot write ${writes.length > 0 ? "anywhere else" : "outside of its own directory"}, and never sees what the daemon keeps`
      : "It cannot see any other file of this machine";
  return { can: `${parts.join(", ")}, and reaches ${netText(network.value, egress)}.`, cannot: `${cannot}${netLimit(network.value)}.` };
}

function netText(network: string, egress: readonly string[]): string {
  if (network === "open") return "the whole network, this machine's own services among it";
  const named = egress.length === 0 ? "" : ` and ${egress.length > 3 ? `${plural(egress.length, "host")} more` : listed(egress)}`;
  return network === "proxied" ? `every public address${named}` : `the model's API${named}`;
}

function netLimit(network: string): string {
  if (network === "open") return "";
  return network === "proxied" ? ", nor reach this machine's own services and networks" : ", nor reach any other host";
}

/** `a`, `a and b`, `a, b and c`; of many the first few. */
export function listed(all: readonly string[], most = 4): string {
  const shown = all.length > most ? [...all.slice(0, most - 1), `${all.length - most + 1} more`] : all;
  return shown.length < 2 ? (shown[0] ?? "") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

const FILES: Readonly<Record<string, string>> = { workspace: "Its own directory and the system", full: "All that the daemon's user can read" };
const NETWORKS: Readonly<Record<string, string>> = { open: "Everything", proxied: "Every public address", restricted: "Only hosts that are named" };

export const filesText = (value: string): string => FILES[value] ?? value;
export const networkText = (value: string): string => NETWORKS[value] ?? value;

const DECIDERS: Readonly<Record<string, string>> = { definition: "the definition", configuration: "the configuration", default: "the default" };
export const decidedBy = (from: string): string => DECIDERS[from] ?? from;

export interface LimitRow {
  label: string;
  value: string;
  holds: boolean;
}

export function limitRows({ memory, processes, cpu_weight: weight, open_files: files }: Sandbox["limits"]): LimitRow[] {
  const row = (label: string, value: string | undefined): LimitRow => ({ label, value: value ?? "No limit", holds: value !== undefined });
  return [
    row("Memory", memory === null ? undefined : gibibytes(memory)),
    row("Processes and threads", processes === null ? undefined : String(processes)),
    row("Processors, when all are busy", weight === null ? undefined : `a weight of ${weight}; what else runs has 100`),
    row("Open files of each process", String(files)),
  ];
}

/** As it is written in the configuration. */
export function gibibytes(bytes: number): string {
  for (const [unit, size] of [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))} ${unit}`;
  }
  return `${bytes} bytes`;
}

export interface EgressRow {
  host: string;
  port: number;
  decision: string;
  /** Over all turns. */
  count: number;
  /** Turns that tried, the latest first. */
  turns: readonly { turn: string; at: string; count: number }[];
  /** What a definition names to allow it; nothing where no definition can. */
  rule?: string;
}

const ORDER = ["refused", "refused_address", "failed", "allowed"];
const rank = (decision: string): number => (ORDER.includes(decision) ? ORDER.indexOf(decision) : ORDER.length);

/** What the last turns have tried to reach, by host and what became of it: what was refused first, then what was tried last. */
export function egressRows(turns: Sandbox["turns"]): EgressRow[] {
  const rows = new Map<string, EgressRow>();
  for (const { turn, since_at: at, connections } of turns) {
    for (const { host, port, decision, count } of connections) {
      const key = `${decision} ${port} ${host}`;
      const known = rows.get(key);
      const rule = decision === "refused" ? ruleOf(host, port) : undefined;
      rows.set(key, {
        host, port, decision,
        count: (known?.count ?? 0) + count,
        turns: [...(known?.turns ?? []), { turn, at, count }],
        ...(rule ? { rule } : {}),
      });
    }
  }
  const last = (row: EgressRow): string => row.turns[0]?.at ?? "";
  return [...rows.values()].sort((a, b) => rank(a.decision) - rank(b.decision) || compare(last(b), last(a)) || b.count - a.count || compare(a.host, b.host));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Without a port a rule is for 80 and 443. */
export function ruleOf(host: string, port: number): string | undefined {
  if (host === "*" || host === "") return undefined;
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return port === 443 || port === 80 ? name : `${name}:${port}`;
}

/** `egress` of a definition with one rule more; as it was when it has that already. */
export function withRule(egress: string, rule: string): string {
  const rules = egress.split(/[\s,]+/).filter(Boolean);
  return rules.includes(rule) ? egress : [...rules, rule].join(" ");
}

export interface Decision {
  label: string;
  tone: "good" | "bad" | "waiting" | "quiet";
  /** Why, where the word alone does not say it. */
  why?: string;
}

const DECISIONS: Readonly<Record<string, Decision>> = {
  allowed: { label: "Reached", tone: "good" },
  refused: { label: "Refused", tone: "bad" },
  refused_address: {
    label: "Refused", tone: "bad",
    why: "Its name leads to an address of this machine or its networks. Only the operator can allow that, by `egress` under `[sandbox]` in the configuration.",
  },
  failed: { label: "No answer", tone: "waiting", why: "It was allowed, and the host did not answer." },
};

export function decisionOf(decision: string): Decision {
  return DECISIONS[decision] ?? { label: decision, tone: "quiet" };
}
