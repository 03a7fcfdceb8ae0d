/** How the daemon and what it needs are, line by line, and what is wrong with it. Pure. */
import type { Health } from "../api";
import { plural } from "../format";
import { vaultTroubles } from "../vaults";
import { bridgeTitle } from "./words";

export const PARTS = ["health", "vaults", "undelivered", "bridges", "tokens", "doctor", "figures"] as const;
export type Part = (typeof PARTS)[number];

/** `look`: it works, and somebody may want to know. */
export type Standing = "good" | "look" | "bad";

export interface HealthLine {
  name: string;
  standing: Standing;
  text: string;
  /** What to do; commands in backquotes. */
  mend?: string;
  /** The part of the room that tells more. */
  part?: Part;
}

export function healthLines(health: Health): HealthLine[] {
  const lines = [daemon(health), ...claude(health), ...signIn(health), ...sandbox(health), ...vaults(health), ...undelivered(health), ...bridges(health), ...deliveries(health)];
  // It knows of something that this page does not.
  if (health.status !== "ok" && lines.every(({ standing }) => standing !== "bad")) {
    lines[0] = { name: "Daemon", standing: "bad", text: "It says that not all is well.", mend: "The doctor may say what; or type `reveille doctor`.", part: "doctor" };
  }
  return lines;
}

/** What is wrong, the worst first as far as one can tell: what stops all turns comes before what delays some. */
export function troubles(health: Health | undefined): HealthLine[] {
  return health?.status ? healthLines(health).filter(({ standing }) => standing === "bad") : [];
}

/** Where the first trouble is told. */
export function troublePart(found: readonly HealthLine[]): Part {
  return found[0]?.part ?? "health";
}

function daemon({ version }: Health): HealthLine {
  return { name: "Daemon", standing: "good", text: version ? `Version ${version} serves.` : "It serves." };
}

function claude({ dependencies }: Health): HealthLine[] {
  if (!dependencies) return [];
  const name = "Claude Code";
  if (!dependencies.missing.includes("claude")) return [{ name, standing: "good", text: "It is installed." }];
  return [{ name, standing: "bad", text: "It was not found, so no turn can run. What was accepted waits.", mend: "Type `npm install -g @anthropic-ai/claude-code`, or set `[claude] program` to its path." }];
}

const SOURCES: Record<string, string> = {
  stored: "A credential is stored for all agents.",
  configuration: "The credential is in the configuration.",
  environment: "The credential comes from the daemon's environment.",
  login: "The login of the user's own Claude Code is used.",
  not_needed: "None is needed: the stand-in answers.",
};

function signIn({ credential }: Health): HealthLine[] {
  if (!credential) return [];
  const name = "Sign-in at Claude";
  const { problem, source, variable, agents } = credential;
  if (problem) return [{ name, standing: "bad", text: `What is stored cannot be read, so turns fail: ${sentence(problem)}`, mend: "Type `reveille doctor`; it says what to do." }];
  const own = agents.length > 0 ? ` ${agents.join(", ")} ${agents.length === 1 ? "has one of its own" : "have their own"}.` : "";
  const known = SOURCES[source];
  if (!known) return [{ name, standing: "look", text: `The daemon sees no login and no key; it may still be signed in.${own}`, mend: "If turns fail, type `claude setup-token` and then `reveille secret set --claude`." }];
  return [{ name, standing: "good", text: `${variable ? known.replace(/\.$/, ` (${variable}).`) : known}${own}` }];
}

function sandbox({ sandbox: summary, dependencies }: Health): HealthLine[] {
  if (!summary) return [];
  const name = "Sandbox";
  if (dependencies?.missing.includes("bwrap")) {
    return [{ name, standing: "bad", text: "Bubblewrap was not found, so no turn can be confined, and none runs. What was accepted waits.", mend: "Type `sudo apt install bubblewrap`, or `sudo dnf install bubblewrap`." }];
  }
  const tried = dependencies?.sandbox;
  if (tried && !tried.ok) return [{ name, standing: "bad", text: sentence(tried.problem ?? "It was tried out and failed, so no turn runs"), part: "doctor" }];
  const text = capital(sentence(summary.detail ?? ""));
  if (!summary.confined) return [{ name, standing: "look", text: text || "Agents are not confined.", mend: "Take `mode = \"none\"` out of `[sandbox]` of the configuration." }];
  const lowered = summary.lowered?.length ? ` ${summary.lowered.join(", ")} ${summary.lowered.length === 1 ? "gets" : "get"} less than asked for.` : "";
  const lines: HealthLine[] = [{ name, standing: "good", text: `${text}${lowered}` }];
  const missing = summary.limits?.missing;
  if (missing) lines.push({ name: "Limits of turns", standing: "look", text: capital(sentence(missing)) });
  if (summary.idle_tables?.length) {
    lines.push({ name: "Sandbox tables", standing: "look", text: `There are tables for agents that are not there: ${summary.idle_tables.join(", ")}.`, mend: "Correct the names under `[sandbox.agents]`." });
  }
  return lines;
}

function vaults(health: Health): HealthLine[] {
  const found = vaultTroubles(health);
  const all = health.vaults ?? [];
  if (found.length > 0) {
    return found.map(({ name, title, reason, kept }) => ({ name: `Vault ${name}`, standing: "bad", text: `${[sentence(title), reason, kept].filter(Boolean).join(" ")}`, part: "vaults" }));
  }
  return all.length === 0 ? [] : [{ name: "Vaults", standing: "good", text: `${plural(all.length, "vault")}, all ready.`, part: "vaults" }];
}

function undelivered({ undelivered: many }: Health): HealthLine[] {
  if (many === undefined) return [];
  const name = "Deliveries";
  if (many === null) return [{ name, standing: "bad", text: "The daemon cannot read its queue, so nothing goes out.", part: "doctor" }];
  if (many === 0) return [{ name, standing: "good", text: "Everything is delivered.", part: "undelivered" }];
  return [{ name, standing: "bad", text: `${many === 1 ? "One reply or note is" : `${many} replies and notes are`} not in the vault yet. ${many === 1 ? "It is" : "They are"} kept and tried again.`, part: "undelivered" }];
}

function bridges({ bridges: all }: Health): HealthLine[] {
  const part = "bridges";
  const lines = (all ?? []).flatMap((one): HealthLine[] => {
    const name = bridgeTitle(one);
    const error = sentence(one.error ?? "");
    if (one.state === "refused") return [{ name, standing: "bad", text: `It waits for somebody: ${error || "it was refused."}`, part }];
    // A receiver that is away for a while is its own affair.
    if (one.state === "retrying") return [{ name, standing: one.kind === "webhook" ? "look" : "bad", text: `It does not work now, and tries again by itself: ${error || "it gave no reason."}`, part }];
    const left = one.undelivered ?? 0;
    if (one.state === "removed") return [{ name, standing: "look", text: `It is removed, and ${plural(left + (one.waiting ?? 0), "message")} that it did not deliver ${left + (one.waiting ?? 0) === 1 ? "is" : "are"} kept.`, part }];
    if (left > 0) return [{ name, standing: "look", text: `It has given up ${plural(left, "message")}, which ${left === 1 ? "is" : "are"} kept.`, part }];
    return [];
  });
  if (lines.length > 0 || !all || all.length === 0) return lines;
  return [{ name: "Bridges", standing: "good", text: `${plural(all.length, "bridge")}, all at work.`, part }];
}

function deliveries({ dead_deliveries: many }: Health): HealthLine[] {
  if (!many) return [];
  return [{ name: "Webhooks", standing: "look", text: `${plural(many, "delivery").replace("deliverys", "deliveries")} of triggers given up.`, mend: "Type `reveille trigger list`; `reveille trigger redrive NAME` sends them again." }];
}

/** With a full stop. */
function sentence(text: string): string {
  const line = text.trim();
  return line === "" || /[.!?]$/.test(line) ? line : `${line}.`;
}

/** A sentence of the daemon's own, which begins with no name. */
const capital = (text: string): string => text.replace(/^[a-z]/, (first) => first.toUpperCase());
