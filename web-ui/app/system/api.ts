/** What the System room asks the daemon: vaults, what is undelivered, tokens, the doctor and figures. */
import { request, segment, type StepUpState } from "../api";
import type { components } from "../api/schema";

type Schemas = components["schemas"];

export type Token = Pick<Schemas["Token"], "id" | "scopes" | "created_at"> & Partial<Schemas["Token"]>;
export type NewToken = Schemas["NewToken"];
/** The one time that the text of a token is told. */
export type TokenMade = Token & { token: string };
export type AgentVault = Schemas["AgentVault"];
export type NewAgentVault = Schemas["NewAgentVault"];
export type Backup = Schemas["Backup"];
export type Undelivered = Schemas["UndeliveredEffect"];
export type UndeliveredList = Schemas["UndeliveredList"];

/** One check of the doctor. To be replaced by the schema's when the daemon's document has it, as all below. */
export interface Check {
  /** A name, which may come more than once. */
  check: string;
  level: "ok" | "warning" | "error" | (string & {});
  detail: string;
  mend?: string | null;
}

export interface DoctorReport {
  checks: readonly Check[];
  ran_at: string;
}

export interface Percentiles {
  p50: number;
  p95: number;
}

/** The figures of one day of the zone that was asked for. */
export interface DayFigures {
  /** `2026-11-26` */
  day: string;
  turns: Readonly<Record<Outcome, number>>;
  failures: number;
  duration_ms: Percentiles | null;
  wait_ms: Percentiles | null;
  cost_usd: number;
  input_tokens: number;
  output_tokens: number;
}

export type Outcome = "ok" | "error" | "cancelled" | "interrupted";

export interface Statistics {
  zone: string;
  days: readonly DayFigures[];
  agents: readonly { agent: string; turns: number; failures: number; cost_usd: number }[];
}

export const systemApi = {
  agentVaults: () => request<{ vaults: AgentVault[] }>("GET", "api/agent-vaults"),
  addVault: (vault: NewAgentVault) => request<{ vault: AgentVault }>("POST", "api/agent-vaults", vault),
  removeVault: (name: string) => request<{ removed: boolean; running: number }>("DELETE", `api/agent-vaults/${segment(name)}`),
  backUp: (name: string, directory: string) => request<Backup>("POST", `api/vaults/${segment(name)}/backup`, { directory }),
  undelivered: (cursor?: number) => request<UndeliveredList>("GET", `api/undelivered${cursor === undefined ? "" : `?cursor=${cursor}`}`),
  retry: (turn?: string) => request<{ retried: number }>("POST", "api/undelivered/retry", turn === undefined ? {} : { turn }),
  tokens: () => request<{ tokens: Token[] }>("GET", "api/tokens"),
  makeToken: (token: NewToken) => request<TokenMade>("POST", "api/tokens", token),
  revokeToken: (id: string) => request<unknown>("DELETE", `api/tokens/${segment(id)}`),
  signInLink: () => request<{ url: string }>("POST", "api/sign-in-links"),
  signOutEverywhere: () => request<unknown>("DELETE", "api/session?everywhere=true"),
  pin: () => request<StepUpState>("GET", "api/step-up"),
  doctor: () => request<DoctorReport>("GET", "api/doctor"),
  statistics: (days: number, zone: string, agent: string) =>
    request<Statistics>("GET", `api/statistics?days=${days}&zone=${segment(zone)}${agent ? `&agent=${segment(agent)}` : ""}`),
};
