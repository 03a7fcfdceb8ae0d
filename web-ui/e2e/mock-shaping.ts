/** The part of the double that shapes agents: definitions, connections and jobs. */
import type { Agent, AgentDetail, AgentEdit, Note, Problem } from "../app/api";
import type { Grant } from "../app/connections";
import type { Job, JobEdit, NewJob, Ran, Run } from "../app/jobs/api";
import type { Reply } from "./mock";

const ok = (body: unknown): Reply => [200, body];
const missing = (what: string): Reply => [404, { error: "not_found", message: `There is no ${what}.` }];

/** A refusal that names each key. */
export function objections(problems: readonly Problem[]): Reply {
  return [400, { error: "invalid", message: problems.map(({ key, message }) => `${key}: ${message}`).join("; "), next_step: "Nothing was written.", problems }];
}

export class Shaping {
  /** By agent. */
  details = new Map<string, Partial<AgentDetail>>();
  notes = new Map<string, Note>();
  grants: Grant[] = [];
  backend = "local";
  jobs: Job[] = [];
  runs = new Map<string, Run[]>();
  /** Bodies that were sent, with their addresses. */
  sent: { call: string; body: unknown }[] = [];
  /** The next change is refused with this. */
  refusal: Reply | undefined;
  /** What the answer to "run now" says beyond that it was done. */
  ran: Partial<Ran> = {};

  constructor(private readonly agents: () => Agent[]) {}

  answer(method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply | undefined {
    const parts = path.split("/").slice(1).map(decodeURIComponent);
    const known = this.route(method, parts, query, body);
    if (!known) return undefined;
    if (method === "GET") return known();
    this.sent.push({ call: `${method} ${path}`, body });
    const { refusal } = this;
    this.refusal = undefined;
    return refusal ?? known();
  }

  private route(method: string, parts: string[], query: URLSearchParams, body: Record<string, unknown>): (() => Reply) | undefined {
    const [root, kind, id = "", act] = parts;
    if (root === "vault" && parts[2] === "api") return () => this.note(parts.slice(4).join("/"));
    if (root !== "api") return undefined;
    if (kind === "agents" && id) return () => this.agent(method, id, act, body);
    if (kind === "connections") return () => this.connections(id, body);
    if (kind !== "jobs") return undefined;
    if (!id) return () => (method === "POST" ? this.addJob(body as unknown as NewJob) : ok({ jobs: this.jobs.filter((job) => !query.has("agent") || job.channel === query.get("agent")) }));
    return () => this.job(method, id, act, body);
  }

  private note(id: string): Reply {
    const note = this.notes.get(id);
    return note ? ok(note) : missing("note");
  }

  private agent(method: string, name: string, act: string | undefined, body: Record<string, unknown>): Reply {
    const agent = this.agents().find((one) => one.name === name);
    if (!agent) return missing("agent");
    if (act === "pause") Object.assign(agent, { status: "paused", pause: { code: "person", reason: body.reason ?? "" } });
    if (act === "resume") Object.assign(agent, { status: "idle", pause: null });
    if (method === "PATCH") return this.edit(agent, body);
    return ok({ ...agent, ...this.details.get(name) });
  }

  private edit(agent: Agent, { prompt, metadata = {}, if_updated_at: since }: AgentEdit): Reply {
    const problems = settingProblems(metadata);
    if (problems.length > 0) return objections(problems);
    const note = this.notes.get(agent.note_id ?? "");
    if (since && note && since !== note.updatedAt) return [409, { error: "conflict", message: "The definition has changed since it was read.", next_step: "Nothing was written." }];
    if (note) {
      const settings = Object.entries({ ...note.metadata, ...metadata }).filter(([, value]) => value !== null);
      Object.assign(note, { metadata: Object.fromEntries(settings), ...(prompt === undefined ? {} : { content: prompt }) });
    }
    Object.assign(agent, { problems: [], warnings: [], status: "idle", status_detail: null, mode: "single-threaded" });
    this.details.set(agent.name, { ...this.details.get(agent.name), ...(prompt === undefined ? {} : { prompt }) });
    if (metadata.name) agent.name = String(metadata.name);
    return ok(agent);
  }

  private connections(act: string, { holder, key, token }: Record<string, unknown>): Reply {
    if (!act) return ok({ connections: this.grants, backend: this.backend });
    const grant = this.grants.find((one) => one.holder === holder && one.key === key);
    if (!grant) return missing("connection");
    if (act === "approve" && token === "bad") return [400, { error: "invalid_token", message: "This token has spaces in it." }];
    grant.status = act === "approve" ? "approved" : "revoked";
    for (const { connections } of this.agents()) {
      for (const one of connections ?? []) if (one.key === key) one.status = grant.status;
    }
    return ok({ ok: true });
  }

  private addJob(job: NewJob): Reply {
    const problems = scheduleProblems(job);
    if (!/^[\w-]+$/.test(job.id)) problems.unshift({ key: "id", message: `"${job.id}" will not do; use letters, digits, - and _` });
    if (problems.length > 0) return objections(problems);
    const made: Job = {
      ...job, catch_up: job.catch_up ?? "once", overlap: job.overlap ?? "queue", noteId: `note-${job.id}`, vault: "default", enabled: true, status: "enabled", status_detail: "",
      problems: [], warnings: [], createdAt: new Date().toISOString(), nextRunAt: "2030-01-07T08:00:00Z",
    };
    this.jobs.push(made);
    return ok({ ok: true, job: made });
  }

  private job(method: string, id: string, act: string | undefined, body: JobEdit & Record<string, unknown>): Reply {
    const job = this.jobs.find((one) => one.noteId === id);
    if (!job) return method === "DELETE" ? ok({ removed: false }) : missing("job");
    if (act === "runs") return ok({ runs: this.runs.get(id) ?? [] });
    if (method === "DELETE") {
      this.jobs = this.jobs.filter((one) => one !== job);
      return ok({ ok: true, removed: true });
    }
    if (act === "pause" || act === "resume") Object.assign(job, act === "pause" ? { enabled: false, status: "paused", pause_reason: (body as { reason?: string }).reason ?? null } : { enabled: true, status: "enabled", pause_reason: null });
    if (act === "run") {
      Object.assign(job, { lastRunAt: new Date().toISOString(), lastStatus: "ok" });
      return ok({ ok: true, id: job.id, status: "ok", noteId: id, message_id: "m7", ...this.ran });
    }
    if (method === "PATCH") {
      const problems = body.schedule ? scheduleProblems(body as Pick<NewJob, "schedule">) : [];
      if (problems.length > 0) return objections(problems);
      Object.assign(job, body, { problems: [] });
      job.status = job.enabled ? "enabled" : "paused";
    }
    return ok({ ok: true, job });
  }
}

export function settingProblems({ max_turns: turns }: Readonly<Record<string, unknown>>): Problem[] {
  return turns === undefined || typeof turns === "number" ? [] : [{ key: "max_turns", message: `"${String(turns)}" will not do; a whole number from 1` }];
}

export function scheduleProblems({ schedule: { cron, tz } }: Pick<NewJob, "schedule">): Problem[] {
  const problems: Problem[] = [];
  if (cron && !cron.startsWith("@") && cron.split(/\s+/).length !== 5) problems.push({ key: "cron", message: "has not five fields; write it like `0 9 * * 1-5`" });
  if (tz === "Mars/Olympus") problems.push({ key: "tz", message: '"Mars/Olympus" is not known; use the name of a zone' });
  return problems;
}
