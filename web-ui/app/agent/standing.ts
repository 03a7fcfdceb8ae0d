/** How an agent's definition and connections stand, in words. Pure. */
import type { Agent, AgentDetail, Connection } from "../api";
import { waits } from "../connections";
import { plural } from "../format";
import { textOf } from "./draft";

/** Whether its definition cannot be used as it is. */
export function isBroken(agent: Agent): boolean {
  return (agent.problems?.length ?? 0) > 0;
}

/** Whether it goes on as its definition was before: the daemon keeps the last one that worked. */
export function goesOn(agent: Agent): boolean {
  return isBroken(agent) && agent.mode !== undefined;
}

/** What the daemon wrote of it, where that is not what its problems and warnings say anyway. */
export function remark(agent: Agent): string | undefined {
  const { status_detail: detail, warnings = [] } = agent;
  if (!detail || isBroken(agent)) return undefined;
  const told = warnings.length > 0 && warnings.every(({ message }) => detail.includes(message));
  return told && toApprove(agent).length === 0 ? undefined : detail;
}

/** The agent that a name means: the one that holds it, before notes that only claim it. */
export function holderOf(agents: readonly Agent[] | undefined, name: string | undefined): Agent | undefined {
  const named = agents?.filter((agent) => agent.name === name) ?? [];
  return named.find((agent) => !isBroken(agent) && agent.status !== "error") ?? named.find((agent) => !isBroken(agent)) ?? named[0];
}

/** What waits for a person. */
export function toApprove(agent: Agent): readonly Connection[] {
  return (agent.connections ?? []).filter(waits);
}

/** What stands in place of the state of an agent whose definition cannot be used. */
export function attention(agent: Agent): string | undefined {
  const problems = agent.problems?.length ?? 0;
  return problems > 0 ? `Its definition has ${plural(problems, "problem")}` : undefined;
}

export interface SettingRow {
  key: string;
  /** As it can be written in a note; blank when nothing is set. */
  value: string;
  from: string;
}

const ORDER = ["thread", "definition", "configuration", "default"];

/** The settings that count, those that were chosen nearest to the agent first. */
export function settingRows(settings: AgentDetail["settings"]): SettingRow[] {
  const rank = (from: string): number => (ORDER.includes(from) ? ORDER.indexOf(from) : ORDER.length);
  return Object.entries(settings ?? {})
    .map(([key, { value, from }]) => ({ key, value: textOf(value), from }))
    .sort((a, b) => rank(a.from) - rank(b.from));
}
