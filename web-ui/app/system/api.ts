/** What the System room asks the daemon: vaults, what is undelivered, bridges, tokens, the doctor and figures. */
import { request, segment, type StepUpState } from "../api";
import type { components } from "../api/schema";

type Schemas = components["schemas"];

export type Token = Schemas["Token"];
export type NewToken = Schemas["NewToken"];
/** The one time that the text of a token is told. */
export type TokenMade = Schemas["TokenMade"];
export type AgentVault = Schemas["AgentVault"];
export type NewAgentVault = Schemas["NewAgentVault"];
export type Backup = Schemas["Backup"];
export type Undelivered = Schemas["UndeliveredEffect"];
export type UndeliveredList = Schemas["UndeliveredList"];

export type Bridge = Schemas["Bridge"];
/** What a bridge has not delivered. */
export type BridgeMessage = Schemas["UndeliveredMessage"];
export type BridgeMessages = Schemas["UndeliveredMessages"];

export type Check = Schemas["Check"];
export type DoctorReport = Schemas["DoctorReport"];
/** The figures of one day of the zone that was asked for. */
export type DayFigures = Schemas["DayStatistics"];
export type Outcome = keyof Schemas["TurnCounts"];
export type Statistics = Schemas["Statistics"];

export const systemApi = {
  agentVaults: () => request<Schemas["AgentVaultList"]>("GET", "api/agent-vaults"),
  addVault: (vault: NewAgentVault) => request<Schemas["AgentVaultAdded"]>("POST", "api/agent-vaults", vault),
  removeVault: (name: string) => request<Schemas["AgentVaultRemoved"]>("DELETE", `api/agent-vaults/${segment(name)}`),
  backUp: (name: string, directory: string) => request<Backup>("POST", `api/vaults/${segment(name)}/backup`, { directory }),
  undelivered: (cursor?: number) => request<UndeliveredList>("GET", `api/undelivered${cursor === undefined ? "" : `?cursor=${cursor}`}`),
  retry: (turn?: string) => request<Schemas["Retried"]>("POST", "api/undelivered/retry", turn === undefined ? {} : { turn }),
  bridges: () => request<Schemas["BridgeList"]>("GET", "api/bridges"),
  bridgeUndelivered: (bridge: string, cursor?: number) =>
    request<BridgeMessages>("GET", `api/bridges/${segment(bridge)}/undelivered${cursor === undefined ? "" : `?cursor=${cursor}`}`),
  redrive: (bridge: string, id?: string) => request<Schemas["RedrivenMessages"]>("POST", `api/bridges/${segment(bridge)}/redrive`, id === undefined ? {} : { id }),
  removeBridge: (name: string) => request<Schemas["BridgeRemoved"]>("DELETE", `api/channels/${segment(name)}`),
  tokens: () => request<Schemas["TokenList"]>("GET", "api/tokens"),
  makeToken: (token: NewToken) => request<TokenMade>("POST", "api/tokens", token),
  revokeToken: (id: string) => request<unknown>("DELETE", `api/tokens/${segment(id)}`),
  signInLink: () => request<Schemas["SignInLink"]>("POST", "api/sign-in-links"),
  signOutEverywhere: () => request<unknown>("DELETE", "api/session?everywhere=true"),
  pin: () => request<StepUpState>("GET", "api/step-up"),
  doctor: () => request<DoctorReport>("GET", "api/doctor"),
  statistics: (days: number, zone: string, agent: string) =>
    request<Statistics>("GET", `api/statistics?days=${days}&zone=${segment(zone)}${agent ? `&agent=${segment(agent)}` : ""}`),
};
