/** What Home shows of the agents: in which order, and which of them. Pure. */
import { isBroken } from "./agent/standing";
import type { Agent } from "./api";
import type { Job } from "./jobs/api";
import type { SortKey } from "./settings";

/** `attention` is whatever waits for a person. */
export type StateFilter = "all" | "working" | "waiting" | "paused" | "attention";

export interface HomeRow {
  agent: Agent;
  /** When the newest of its turns began or ended. */
  activeAt?: string;
  next?: Job;
}

/** `agent-9` comes before `agent-10`. */
const NAMES = new Intl.Collator(undefined, { numeric: true });

/** What needs a person first, then what happens now. */
const RANK: Readonly<Record<Agent["status"], number>> = { error: 0, pending: 1, working: 2, queued: 3, paused: 4, idle: 5 };

export function homeRows(agents: readonly Agent[], jobs: readonly Job[]): HomeRow[] {
  const next = nextJobs(jobs);
  return agents.map((agent) => {
    const activeAt = agent.running?.since_at ?? agent.last_turn?.ended_at;
    const job = next.get(agent.name);
    return { agent, ...(activeAt ? { activeAt } : {}), ...(job ? { next: job } : {}) };
  });
}

/** Of each agent the job that comes first. */
export function nextJobs(jobs: readonly Job[]): Map<string, Job> {
  const first = new Map<string, Job>();
  for (const job of jobs) {
    if (!job.enabled || job.status === "error" || !job.nextRunAt) continue;
    const known = first.get(job.channel)?.nextRunAt;
    if (!known || at(job.nextRunAt) < at(known)) first.set(job.channel, job);
  }
  return first;
}

export function arranged(rows: readonly HomeRow[], sort: SortKey, text: string, state: StateFilter): HomeRow[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = ({ agent }: HomeRow): boolean => {
    const told = `${agent.name} ${agent.prompt_preview} ${agent.status_detail ?? ""} ${agent.model ?? ""}`.toLowerCase();
    return inState(agent, state) && words.every((word) => told.includes(word));
  };
  return rows.filter(matches).sort((a, b) => compare(a, b, sort) || NAMES.compare(a.agent.name, b.agent.name));
}

export function inState(agent: Agent, state: StateFilter): boolean {
  switch (state) {
    case "working":
      return agent.running != null || agent.status === "working";
    case "waiting":
      return agent.waiting > 0;
    case "paused":
      return agent.status === "paused";
    case "attention":
      return isBroken(agent) || agent.status === "error" || agent.status === "pending";
    default:
      return true;
  }
}

function compare(a: HomeRow, b: HomeRow, sort: SortKey): number {
  switch (sort) {
    case "name":
      return 0;
    case "activity":
      return at(b.activeAt, 0) - at(a.activeAt, 0);
    case "next":
      return at(a.next?.nextRunAt, LAST) - at(b.next?.nextRunAt, LAST);
    case "cost":
      return today(b.agent) - today(a.agent) || b.agent.cost_usd - a.agent.cost_usd;
    default:
      return rank(a.agent) - rank(b.agent);
  }
}

const LAST = Number.MAX_SAFE_INTEGER;
const rank = (agent: Agent): number => (isBroken(agent) ? 0 : RANK[agent.status]);
const today = (agent: Agent): number => agent.cost_today_usd ?? 0;

function at(time: string | null | undefined, missing = LAST): number {
  const ms = time ? new Date(time).getTime() : NaN;
  return Number.isNaN(ms) ? missing : ms;
}

export interface Totals {
  working: number;
  waiting: number;
  attention: number;
  costToday: number;
}

export function totals(agents: readonly Agent[]): Totals {
  const sum = (of: (agent: Agent) => number): number => agents.reduce((all, agent) => all + of(agent), 0);
  return {
    working: agents.filter((agent) => inState(agent, "working")).length,
    waiting: sum((agent) => agent.waiting),
    attention: agents.filter((agent) => inState(agent, "attention")).length,
    costToday: sum(today),
  };
}
