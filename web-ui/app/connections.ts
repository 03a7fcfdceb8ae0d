/** What agents want to reach outside their vault: the shapes and calls of `/api/connections`, and words for them. */
import { type Connection, type Part, request } from "./api";
import type { components } from "./api/schema";

type Schemas = components["schemas"];
export type Grant = Connection & Partial<Schemas["HeldConnection"]> & Pick<Schemas["HeldConnection"], "holder">;

export interface Grants {
  connections: readonly Grant[];
  /** Who decides: `local` is this daemon, `hub` is elsewhere. */
  backend: "local" | "hub" | (string & {});
}

export type Approval = Part<Schemas["ApproveRequest"], "holder" | "key">;

export const connectionsApi = {
  list: () => request<Grants>("GET", "api/connections"),
  approve: (approval: Approval) => request<Schemas["ConnectionDecision"]>("POST", "api/connections/approve", approval),
  revoke: (holder: string, key: string) => request<Schemas["ConnectionDecision"]>("POST", "api/connections/revoke", { holder, key }),
};

/** What can be asked for, as a person chooses it. */
export const WANTABLE = [
  { kind: "mcp-url", label: "An MCP server, by its address", target: "Address", example: "https://example.org/mcp" },
  { kind: "mcp", label: "The tools of a service", target: "Service", example: "linear" },
  { kind: "env", label: "The token of a service, as a variable", target: "Service", example: "github" },
  { kind: "vault", label: "Another vault", target: "Vault", example: "library" },
  { kind: "surface", label: "A surface", target: "Surface", example: "site" },
] as const;

export type Wantable = (typeof WANTABLE)[number]["kind"];

/** Whether it is asked for to be read, or to be written too. */
export function hasAccess(kind: Wantable): boolean {
  return kind === "vault" || kind === "surface";
}

/** As it is written in `wants` of a definition. */
export function wantOf(kind: Wantable, target: string, access: "read" | "write"): string {
  const name = target.trim();
  if (hasAccess(kind)) return `${kind}:${name}:${access}`;
  return `${kind === "mcp-url" ? "mcp" : kind}:${name}`;
}

/** Why that cannot be asked for; what passes here the daemon may still refuse. `wanted` is what the definition asks for already. */
export function wantProblem(kind: Wantable, target: string, access: "read" | "write", wanted: readonly string[]): string | undefined {
  const name = target.trim();
  if (name === "") return "Write what it is to reach.";
  if (kind === "mcp-url" && !/^https?:$/.test(protocolOf(name))) return "An address begins with https:// or http://.";
  if (kind !== "mcp-url" && !/^[\w.-]+$/.test(name)) return "A name has letters, digits, `.`, `-` and `_`.";
  return wanted.includes(wantOf(kind, name, access)) ? "It asks for that already." : undefined;
}

function protocolOf(address: string): string {
  return URL.canParse(address) ? new URL(address).protocol : "";
}

/** Holders that are no agents, each with what it wants. */
export function rolesOf(grants: readonly Grant[] | undefined): Map<string, Grant[]> {
  const roles = new Map<string, Grant[]>();
  for (const grant of grants ?? []) {
    if (!grant.agent) roles.set(grant.holder, [...(roles.get(grant.holder) ?? []), grant]);
  }
  return roles;
}

/** Whether it waits for a person. */
export function waits({ status }: Connection): boolean {
  return status === "pending" || status === "needs_consent";
}

/** The connections of an agent: as they are kept, and those that it wants and that are not kept yet. */
export function connectionsOf(agent: string, grants: readonly Grant[], wanted: readonly Connection[]): Grant[] {
  const kept = grants.filter((grant) => grant.agent === agent);
  const keys = new Set(kept.map(({ key }) => key));
  return [...kept, ...wanted.filter(({ key }) => !keys.has(key)).map((connection) => ({ ...connection, holder: "" }))];
}

const KINDS: Record<string, string> = { vault: "Vault", service: "Service", surface: "Surface", mcp: "MCP server" };

export function kindText(kind: string): string {
  return KINDS[kind] ?? kind;
}

/** What the agent gets by it. */
export function givesText({ kind, access, tags, inject, env }: Grant): string {
  const only = tags && tags.length > 0 ? `, only notes with ${tags.join(" or ")}` : "";
  if (kind === "vault" || kind === "surface") {
    return access === "write" ? `To read and write${only}` : access === "read" ? `To read${only}` : "";
  }
  if (kind === "mcp") return "Its tools";
  const ways = (inject ?? []).map((way) => (way === "env" ? `its token as ${env ?? "a variable"}` : way === "mcp" ? "its tools" : way));
  const text = ways.join(", and ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const STATUSES: Record<string, { label: string; tone: "good" | "waiting" | "bad" | "quiet" }> = {
  pending: { label: "Waits to be approved", tone: "waiting" },
  needs_consent: { label: "Waits for consent", tone: "waiting" },
  approved: { label: "Approved", tone: "good" },
  revoked: { label: "Revoked", tone: "quiet" },
  error: { label: "Failed", tone: "bad" },
};

export function statusOf({ status }: Connection): { label: string; tone: string } {
  return STATUSES[status] ?? { label: status, tone: "quiet" };
}

/** What a person gives when they approve it. */
export interface Asked {
  token: "required" | "optional";
  url?: "required" | "optional";
  /** What the address is one of. */
  urlHelp?: string;
  /** What may be left out, and when. */
  help?: string;
}

export function askedFor(kind: string): Asked {
  switch (kind) {
    case "vault":
      return {
        token: "optional",
        url: "optional",
        urlHelp: "Of its MCP door, such as https://example.org/vault/library/mcp.",
        help: "A vault of this daemon needs neither. For one elsewhere, give its address and a token.",
      };
    case "surface":
      return { token: "required", url: "required", urlHelp: "Of its repository, such as https://example.org/site.git." };
    case "mcp":
      return { token: "optional", help: "Without one the server is asked without a token." };
    default:
      return { token: "required" };
  }
}
