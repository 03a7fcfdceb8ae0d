/** The part of the double that is about the daemon itself: vaults, what is undelivered, tokens, the doctor, figures; and what it makes of a job. */
import type { Health, VaultHealth } from "../app/api";
import type { NewJob } from "../app/jobs/api";
import { nextRuns } from "../app/jobs/next";
import { wallClock } from "../app/jobs/when";
import type { AgentVault, Bridge, BridgeMessage, DoctorReport, NewAgentVault, NewToken, Statistics, Token, Undelivered } from "../app/system/api";
import type { Reply } from "./mock";
import { scheduleProblems } from "./mock-shaping";

const refuse = (status: number, error: string, message: string, next_step?: string): Reply => [status, { error, message, next_step }];
const NONE = refuse(404, "not_found", "There is nothing at this address.");
export const TOKEN_TEXT = "rvl_0123456789abcdefghijklmnopqrstuv";

export class MockSystem {
  /** What `/health` tells to who may read, beyond what is always there. */
  health: Partial<Health> = {};
  /** All that are open, wherever they are: `/health` tells of them. */
  vaults: VaultHealth[] = [];
  /** Those elsewhere. */
  agentVaults: AgentVault[] = [];
  undelivered: Undelivered[] = [];
  /** Effects of a page. */
  page = 100;
  bridges: Bridge[] = [];
  /** What each has given up, by its name. */
  givenUp: Record<string, BridgeMessage[]> = {};
  tokens: Token[] = [];
  pin = { configured: false, required: false };
  /** Without it, the daemon knows no such route. */
  report: DoctorReport | undefined;
  statistics: ((days: number, agent: string) => Statistics) | undefined;
  /** Whether it says what a job would be. */
  validates = false;
  /** What was asked for: `POST /api/tokens` and what was sent. */
  sent: { call: string; body: unknown }[] = [];
  /** Queries of the figures. */
  asked: string[] = [];
  examined = 0;
  /** The next change is refused with this. */
  refusal: Reply | undefined;

  answer(method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply | undefined {
    if (path === "/api/jobs/validate") return this.validate(body as unknown as NewJob);
    if (path === "/api/session" && query.get("everywhere") === "true") this.sent.push({ call: "DELETE /api/session?everywhere=true", body });
    const known = this.route(method, path.split("/").slice(2).map(decodeURIComponent), query, body);
    if (!known) return undefined;
    if (method === "GET") return known();
    this.sent.push({ call: `${method} ${path}`, body });
    const { refusal } = this;
    this.refusal = undefined;
    return refusal ?? known();
  }

  private route(method: string, [kind, id, act]: string[], query: URLSearchParams, body: Record<string, unknown>): (() => Reply) | undefined {
    switch (kind) {
      case "doctor":
        return () => this.doctor();
      case "statistics":
        return () => this.figures(query);
      case "tokens":
        return () => (method === "POST" ? this.makeToken(body as unknown as NewToken) : method === "DELETE" ? this.revoke(id) : [200, { tokens: this.tokens }]);
      case "sign-in-links":
        return () => [200, { url: "http://127.0.0.1:1941/#sign-in=another-code" }];
      case "step-up":
        return method === "GET" ? () => [200, this.pin] : undefined;
      case "undelivered":
        return () => (id === "retry" ? this.retry(body.turn) : this.pageFrom(Number(query.get("cursor") ?? 0)));
      case "bridges":
        return () => (id === undefined ? [200, { bridges: this.bridges }] : act === "redrive" ? this.redrive(id, body.id) : this.givenUpBy(id, Number(query.get("cursor") ?? 0)));
      case "channels":
        return method === "DELETE" && id !== undefined && act === undefined ? () => this.removeBridge(id) : undefined;
      case "agent-vaults":
        return () => (method === "POST" ? this.addVault(body as unknown as NewAgentVault) : method === "DELETE" ? this.removeVault(id) : [200, { vaults: this.agentVaults }]);
      case "vaults":
        return act === "backup" ? () => [201, { vault: id, file: `${String(body.directory)}/${id}-20270105.sqlite`, notes: 1234, files: 7, bytes: 5_400_000 }] : undefined;
      default:
        return undefined;
    }
  }

  private doctor(): Reply {
    this.examined++;
    return this.report ? [200, this.report] : NONE;
  }

  private figures(query: URLSearchParams): Reply {
    this.asked.push(query.toString());
    return this.statistics ? [200, this.statistics(Number(query.get("days")), query.get("agent") ?? "")] : NONE;
  }

  private makeToken({ scopes, label, tags, expires_at }: NewToken): Reply {
    const token: Token = { id: `t_${this.tokens.length + 1}`, label: label ?? null, scopes, scoped_tags: tags ?? null, created_at: new Date().toISOString(), expires_at: expires_at ?? null, last_used_at: null, made_by: null };
    this.tokens.push(token);
    return [201, { ...token, token: TOKEN_TEXT }];
  }

  private revoke(id = ""): Reply {
    if (!this.tokens.some((token) => token.id === id)) return refuse(404, "unknown_token", "There is no such token.");
    this.tokens = this.tokens.filter((token) => token.id !== id && token.made_by !== id);
    return [200, { id, revoked: true }];
  }

  private pageFrom(from: number): Reply {
    const shown = this.undelivered.slice(from, from + this.page);
    const next = from + shown.length;
    return [200, { undelivered: shown, total: this.undelivered.length, next_cursor: next < this.undelivered.length ? next : null }];
  }

  private retry(turn: unknown): Reply {
    const tried = this.undelivered.filter((effect) => turn === undefined || effect.turn === turn);
    this.undelivered = this.undelivered.filter((effect) => !tried.includes(effect));
    if (this.health.undelivered) this.health.undelivered = this.undelivered.length;
    return [200, { retried: tried.length }];
  }

  private givenUpBy(name: string, from: number): Reply {
    const all = this.givenUp[name] ?? [];
    const next = from + this.page;
    return [200, { messages: all.slice(from, next), next_cursor: next < all.length ? next : null }];
  }

  private redrive(name: string, id: unknown): Reply {
    const all = this.givenUp[name] ?? [];
    const sent = all.filter((message) => id === undefined || message.id === id);
    this.givenUp[name] = all.filter((message) => !sent.includes(message));
    this.bridges = this.bridges.map((bridge) => (bridge.name === name ? { ...bridge, undelivered: this.givenUp[name]?.length ?? 0 } : bridge));
    return [200, { retried: sent.length }];
  }

  private removeBridge(name: string): Reply {
    this.bridges = this.bridges.filter((bridge) => bridge.name !== name);
    return [200, { ok: true, name, removed: true, waiting: 0, undelivered: 0, discarded: 0 }];
  }

  private addVault({ vault, url, token }: NewAgentVault): Reply {
    if (!/^[a-z0-9-]+$/.test(vault)) return [400, { error: "invalid", message: "vault: it will not do", problems: [{ key: "vault", message: `"${vault}" will not do; small letters, digits and hyphens` }] }];
    const added: AgentVault = { vault, url: url ?? "http://127.0.0.1:1940", tokenPresent: Boolean(token), from: "api", kind: "parachute" };
    this.agentVaults.push(added);
    this.vaults.push({ name: vault, kind: "parachute", state: "ready", default: false });
    return [201, { ok: true, vault: added }];
  }

  private removeVault(name = ""): Reply {
    this.agentVaults = this.agentVaults.filter(({ vault }) => vault !== name);
    this.vaults = this.vaults.filter((vault) => vault.name !== name);
    return [200, { ok: true, vault: name, removed: true, running: 1 }];
  }

  private validate(job: NewJob): Reply {
    if (!this.validates) return NONE;
    const problems = [...(job.message === "" ? [{ key: "message", message: "is empty" }] : []), ...scheduleProblems(job)];
    const { cron, at, tz } = job.schedule;
    const zone = tz ?? "UTC";
    const moments = problems.some(({ key }) => key !== "message") ? [] : cron ? nextRuns(cron, zone, Date.now(), 5) : at ? [at] : [];
    return [200, { ok: problems.length === 0, problems, warnings: [], tz: zone, next: moments.map((moment) => ({ at: moment, local: `${wallClock(moment, zone)}:00` })) }];
  }
}
