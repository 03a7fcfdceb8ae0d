/** A double of the daemon: the page's API over real HTTP and SSE, with turns that the test scripts event by event. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { Agent, Health, Message, TurnEvent, VaultHealth } from "../app/api";
import { MockAgentTabs } from "./mock-agents";
import { objections, settingProblems, Shaping } from "./mock-shaping";
import { MockNotes } from "./mock-notes";
import { MockSystem } from "./mock-system";
import { MockThreads } from "./mock-threads";
import { MockTurns } from "./mock-turns";
import { late } from "./slow";

const DIST = fileURLToPath(new URL("../../target/ui/dist", import.meta.url));
const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json" };

export type Body = TurnEvent extends infer E ? (E extends TurnEvent ? Omit<E, "seq" | "channel" | "turn" | "message" | "at"> : never) : never;
export type Reply = [status: number, body: unknown, headers?: Record<string, string>];

/** The policy that the crate tells the daemon to send. */
function policy(): string {
  const source = readFileSync(new URL("../src/lib.rs", import.meta.url), "utf8");
  const value = /CONTENT_SECURITY_POLICY: &str = "([^"]+)"/.exec(source)?.[1];
  if (!value) throw new Error("no CONTENT_SECURITY_POLICY in src/lib.rs");
  return value.replace(/\\\n\s*/g, "");
}

/** Below those that a system gives to connections: one that was given up for a while is not taken by the next connection. */
const freePort = (): number => 20_000 + Math.floor(Math.random() * 12_000);

const refuse = (status: number, error: string, message: string, next_step?: string): Reply => [status, { error, message, next_step }];

export class MockDaemon {
  agents: Agent[] = [];
  readonly shaping = new Shaping(() => this.agents);
  readonly turns = new MockTurns(this);
  readonly tabs = new MockAgentTabs(this);
  readonly system = new MockSystem();
  readonly notes = new MockNotes();
  readonly threads = new MockThreads(this);
  messages = new Map<string, Message[]>();
  codes = new Set(["first-code"]);
  confined = true;
  /** What signs agents in that have nothing of their own. */
  credential: Health["credential"];
  /** Answers each message by itself with this script; off when undefined. */
  answer: ((text: string) => Body[]) | undefined;
  /** Whether the answer begins in the same moment in which the message is there. */
  atOnce = false;
  /** What happens to a waiting message in the moment in which it is to be cancelled. */
  overtake: ((message: Message) => void) | undefined;
  /** The next send is refused with this. */
  refusal: Reply | undefined;
  /** What is dangerous needs it, where it is set. */
  pin: string | undefined;
  pinAnswer: "token" | "setup" = "token";
  /** PINs that were shown, right or wrong. */
  pins: string[] = [];
  stops: string[] = [];
  cancels: string[] = [];
  sends: string[] = [];
  limits = { upload_bytes: 5_000_000, message_bytes: 1_000_000 };
  /** Tokens that let in, and what the hub says of who asks it for one; no hub when undefined. */
  tokens = new Set<string>();
  hub: { origin?: string; answer: Reply } | undefined;
  /** Tickets that were given out, and those that were used. */
  tickets: string[] = [];
  usedTickets: string[] = [];
  /** `here` or `everywhere`. */
  signOuts: string[] = [];
  /** How often `/health` was asked for. */
  looks = 0;
  /** How long ago what is told now has happened, in milliseconds. */
  behind = 0;
  /** Live event streams. */
  open = 0;

  private boot = "boot-1";
  private seq = 0;
  private log: { id: string; event: TurnEvent }[] = [];
  private streams = new Set<ServerResponse>();
  private server: Server | undefined;
  private port = 0;
  private sessions = new Set<string>();
  private readonly csp = policy();

  /** What `/health` tells of vaults: those that are added and removed here too. */
  get vaults(): VaultHealth[] {
    return this.system.vaults;
  }
  set vaults(vaults: VaultHealth[]) {
    this.system.vaults = vaults;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  get signInLink(): string {
    return `${this.url}#sign-in=${[...this.codes][0]}`;
  }

  /** At the same address as before, if there was one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.serve(request, response).catch((error: NodeJS.ErrnoException) => {
        // A page that is left or loaded again says no more.
        if (error.code !== "ECONNRESET") throw error;
      });
    });
    this.server = server;
    for (;;) {
      const port = this.port || freePort();
      try {
        await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
        this.port = port;
        return;
      } catch (error) {
        // Somebody else has it; its own one is nobody else's to have.
        if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || this.port) throw error;
      }
    }
  }

  /** Goes away at once, with all its connections; what is durable stays. */
  async stop(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    this.streams.clear();
    this.open = 0;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  /** Comes back as another run, which knows no events of the last one. */
  async restart(): Promise<void> {
    this.boot = `boot-${Number(this.boot.slice(5)) + 1}`;
    this.seq = 0;
    this.log = [];
    await this.start();
  }

  dropStreams(): void {
    for (const stream of this.streams) stream.destroy();
  }

  signOutAll(): void {
    this.sessions.clear();
    this.toStreams('event: unauthorized\ndata: {"reason":"signed out"}\n\n');
    this.dropStreams();
  }

  addAgent(name: string, more: Partial<Agent> = {}): Agent {
    const agent: Agent = { name, vault: "default", status: "idle", waiting: 0, cost_usd: 0, prompt_preview: "", ...more };
    this.agents.push(agent);
    this.messages.set(name, this.messages.get(name) ?? []);
    this.tell(name);
    return agent;
  }

  addMessage(channel: string, message: Partial<Message> & { text: string }): Message {
    const list = this.messages.get(channel) ?? [];
    const whole: Message = { id: `${channel}-m${list.length + 1}`, direction: "inbound", sender: "ann", at: new Date().toISOString(), ...message };
    this.messages.set(channel, [...list, whole]);
    return whole;
  }

  /** Writes events of the turn that answers `message`, in one piece: who hears of one hears of all. */
  emit(channel: string, message: Message, bodies: readonly Body[], turn = `turn-${message.id}`): void {
    let told = "";
    for (const body of bodies) {
      const thread = this.threads.of(message);
      const event = { ...body, ...(thread ? { thread } : {}), seq: ++this.seq, channel, turn, message: message.id, at: new Date(Date.now() - this.behind).toISOString() } as TurnEvent;
      this.apply(channel, message, event);
      this.log.push({ id: `${this.boot}-${event.seq}`, event });
      told += `id: ${this.boot}-${event.seq}\nevent: turn\ndata: ${JSON.stringify(event)}\n\n`;
    }
    this.toStreams(told);
  }

  /** Says that an agent is not as it was. */
  tell(channel: string, kind = "changed"): void {
    const event = { seq: ++this.seq, channel, at: new Date().toISOString(), kind };
    this.toStreams(`id: ${this.boot}-${event.seq}\nevent: agent\ndata: ${JSON.stringify(event)}\n\n`);
  }

  /** Says that something is to be read again. */
  hint(kind: string): void {
    this.toStreams(`event: ${kind}\ndata: {"kind":"${kind}"}\n\n`);
  }

  control(name: string): void {
    this.toStreams(`event: ${name}\ndata: {"reason":"test"}\n\n`);
  }

  private toStreams(text: string): void {
    for (const stream of this.streams) stream.write(text);
  }

  /** What the daemon records of an event. */
  private apply(channel: string, message: Message, event: TurnEvent): void {
    const agent = this.agents.find((candidate) => candidate.name === channel);
    message.turn = event.turn;
    if (event.kind === "started" && agent) {
      message.state = "working";
      Object.assign(agent, { status: "working", running: { turn: event.turn, since_at: event.at, message: message.id } });
    }
    const note = { direction: "outbound", sender: channel, in_reply_to: message.id, turn: event.turn } as const;
    if (event.kind === "delivered") {
      const { reply, error } = message;
      delete message.undelivered;
      this.addMessage(channel, error ? { ...note, kind: "failure", text: error.message } : { ...note, text: reply ?? "" });
    }
    const outcome = { done: "ok", error: "error", stopped: "cancelled" } as const;
    if (event.kind !== "done" && event.kind !== "error" && event.kind !== "stopped") return;
    message.state = outcome[event.kind];
    if (agent) {
      agent.status = event.kind === "error" ? "error" : "idle";
      agent.status_detail = event.kind === "error" ? event.error : null;
      agent.running = null;
      if (event.kind === "done") agent.cost_usd += event.cost_usd ?? 0;
    }
    if (event.kind !== "stopped" && event.undelivered) {
      const said = event.kind === "done" ? { reply: event.reply } : { error: { code: event.code, message: event.error } };
      Object.assign(message, { undelivered: true, ended_at: event.at, ...said });
      return;
    }
    if (event.kind === "done") this.addMessage(channel, { ...note, text: event.reply });
    if (event.kind === "error") this.addMessage(channel, { ...note, kind: "failure", text: event.error });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    const method = request.method ?? "GET";
    await late();
    // Who went away meanwhile, or was cut off, has asked for nothing.
    if (response.destroyed) return;
    if (method === "GET" && !/^\/(api|vaults?|auth|admin)\//.test(pathname) && pathname !== "/health") return this.file(pathname, response);
    if (pathname.startsWith("/admin/")) {
      const [status, body] = this.hub?.answer ?? refuse(404, "not_found", "There is no hub here.");
      return void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    }
    if (pathname === "/api/events" && (this.signedIn(request) || this.takes(searchParams.get("ticket")))) return this.stream(request, response);
    const file = this.signedIn(request) ? await this.turns.file(request, pathname) : undefined;
    if (file instanceof Buffer) return void response.writeHead(200, { "content-type": "image/png" }).end(file);
    if (file) return void response.writeHead(file[0], { "content-type": "application/json" }).end(JSON.stringify(file[1]));
    let text = "";
    for await (const chunk of request) text += chunk;
    const sent = text ? JSON.parse(text) : {};
    const signedIn = this.signedIn(request);
    const guarded = signedIn ? this.guard(method, pathname, sent, request) : undefined;
    const told = signedIn && !guarded ? this.system.answer(method, pathname, searchParams, sent) : undefined;
    const shaped =
      signedIn && !told
        ? (guarded ??
          this.notes.answer(method, pathname, searchParams, sent) ??
          this.threads.answer(method, pathname, searchParams, sent) ??
          this.turns.answer(method, pathname, searchParams, sent) ??
          (await this.tabs.answer(method, pathname, sent)) ??
          this.shaping.answer(method, pathname, searchParams, sent))
        : undefined;
    if (pathname.endsWith("/send")) this.turns.keys.push(String(request.headers["idempotency-key"] ?? ""));
    const [status, body, headers] = told ?? shaped ?? this.answerTo(method, pathname, sent, request);
    await late();
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    if (shaped && method !== "GET") for (const { name } of this.agents) this.tell(name);
  }

  /** The PIN, as the daemon asks for it before a connection is approved, say. */
  private guard(method: string, path: string, sent: Record<string, string>, request: IncomingMessage): Reply | undefined {
    if (this.pin === undefined) return undefined;
    if (method === "POST" && path === "/api/step-up") {
      this.pins.push(sent.pin ?? "");
      if (sent.pin !== this.pin) return refuse(403, "invalid_pin", "This is not the PIN.", "Try again.");
      return [200, { stepUpToken: "stepped-up", expires_at: new Date(Date.now() + 300_000).toISOString() }];
    }
    const dangerous = (method === "POST" && ["/api/connections/approve", "/api/tokens"].includes(path)) || (method === "DELETE" && /^\/api\/channels\/[^/]+$/.test(path)) || this.tabs.isDangerous(method, path);
    if (!dangerous || request.headers["x-step-up-token"] === "stepped-up") return undefined;
    return [403, { error: "step_up_required", message: "This needs the PIN.", reason: this.pinAnswer }];
  }

  private file(pathname: string, response: ServerResponse): void {
    const path = normalize(pathname === "/" ? "/index.html" : pathname);
    try {
      const bytes = readFileSync(join(DIST, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "content-security-policy": this.csp });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }

  /** A ticket opens one stream. */
  private takes(ticket: string | null): boolean {
    if (ticket === null || !this.tickets.includes(ticket) || this.usedTickets.includes(ticket)) return false;
    this.usedTickets.push(ticket);
    return true;
  }

  private signedIn(request: IncomingMessage): boolean {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (token !== undefined) return this.tokens.has(token);
    const cookie = /session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
    return cookie !== undefined && this.sessions.has(cookie);
  }

  private stream(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" }).write(": connected\n\nretry: 200\n\n");
    this.streams.add(response);
    this.open++;
    response.on("close", () => {
      if (this.streams.delete(response)) this.open--;
    });
    const last = request.headers["last-event-id"];
    const seen = this.log.findIndex(({ id }) => id === last);
    if (last !== undefined && seen < 0) response.write('event: resync\ndata: {"reason":"unknown_event"}\n\n');
    const running = new Set(this.agents.map((agent) => agent.running?.turn));
    const replayed = this.log.filter(({ event }, index) => (seen >= 0 ? index > seen : running.has(event.turn)));
    for (const { id, event } of replayed) response.write(`id: ${id}\nevent: turn\ndata: ${JSON.stringify(event)}\n\n`);
  }

  private answerTo(method: string, path: string, body: Record<string, string>, request: IncomingMessage): Reply {
    if (path === "/health") {
      this.looks++;
      const sandbox = { mode: "none", confined: this.confined, detail: "no sandbox in this build" };
      const health = { status: "ok", version: "0.1.0", agents: this.agents.length, sandbox, dependencies: { ok: true, missing: [] } };
        const credential = this.credential ? { credential: this.credential } : {};
        return [200, this.signedIn(request) ? { ...health, vaults: this.vaults, ...credential, ...this.system.health } : health];
    }
    if (path === "/auth/status") {
      const origin = this.hub?.origin ?? this.url;
      const hub = this.hub ? { origin, sign_in_url: `${origin}admin`, token_url: `${origin}admin/module-token/reveille` } : null;
      return [200, { initialized: true, auth_modes: [], vaults: [], hub }];
    }
    if (method === "POST" && path === "/api/session") {
      if (!this.codes.delete(body.code ?? "")) return refuse(401, "bad_code", "This sign-in code is not known: it may have been used, or be too old.", "Run `reveille open` for a fresh one.");
      const session = `s${this.sessions.size + 1}-${Date.now()}`;
      this.sessions.add(session);
      return [200, { signed_in: true }, { "set-cookie": `session=${session}; HttpOnly; SameSite=Strict; Path=/` }];
    }
    if (!this.signedIn(request)) return refuse(401, "unauthorized", "You are not signed in.", "Run `reveille open`.");
    if (path === "/api/session") {
      if (method === "DELETE") {
        this.sessions.clear();
        this.signOuts.push(request.url?.includes("everywhere=true") ? "everywhere" : "here");
      }
      return [200, { signed_in: method !== "DELETE", via: "link", limits: this.limits }];
    }
    if (method === "POST" && path === "/api/ui/sse-ticket") {
      if (!request.headers.authorization) return refuse(401, "unauthorized", "A ticket is for who sends a token in a header.");
      this.tickets.push(`ticket-${this.tickets.length + 1}`);
      return [200, { ticket: this.tickets.at(-1) }];
    }
    if (path === "/api/agents") return method === "POST" ? this.create(body) : [200, this.list()];
    const channel = /^\/api\/channels\/([^/]+)\/(messages|send)$/.exec(path);
    if (channel?.[1]) {
      const name = decodeURIComponent(channel[1]);
      return channel[2] === "send" ? this.send(name, body.text ?? "", body.attachments, body.subject) : [200, { messages: (this.messages.get(name) ?? []).map((message) => this.turns.whole(name, message)), next_cursor: null }];
    }
    const stop = /^\/api\/turns\/([^/]+)\/stop$/.exec(path);
    if (stop?.[1]) {
      this.stops.push(decodeURIComponent(stop[1]));
      return [200, { stopping: true }];
    }
    const cancel = /^\/api\/turns\/([^/]+)\/cancel$/.exec(path);
    if (cancel?.[1]) return this.cancel(decodeURIComponent(cancel[1]));
    return refuse(404, "unknown_path", "There is nothing here.");
  }

  private cancel(turn: string): Reply {
    this.cancels.push(turn);
    for (const [channel, messages] of this.messages) {
      const message = messages.find((candidate) => candidate.turn === turn);
      if (message) this.overtake?.(message);
      if (message?.state === "working") return refuse(409, "running", "The turn runs already; nothing was changed.", "Stop it.");
      if (message) this.emit(channel, message, [{ kind: "stopped" }]);
    }
    return [200, { turn, state: "cancelled" }];
  }

  private list(): unknown {
    const orphans = [...this.messages].filter(([name]) => !this.agents.some((agent) => agent.name === name));
    return { agents: this.agents, waiting: orphans.map(([channel, messages]) => ({ channel, messages: messages.length })) };
  }

  private create({ name = "", prompt = "", metadata }: Record<string, string>): Reply {
    const problems = settingProblems((metadata ?? {}) as unknown as Record<string, unknown>);
    if (problems.length > 0) return objections(problems);
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) return refuse(400, "invalid_definition", `"${name}" is no agent name.`, "Use small letters, digits and hyphens.");
    if (this.agents.some((agent) => agent.name === name)) return refuse(409, "agent_exists", `An agent named "${name}" exists already.`, "Choose another name.");
    return [201, this.addAgent(name, { prompt_preview: prompt.slice(0, 80) })];
  }

  private send(channel: string, text: string, attachments?: unknown, subject?: string): Reply {
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal) return refusal;
    this.sends.push(text);
    const message = this.addMessage(channel, { text, state: "waiting", sender: "web", ...(subject ? { subject } : {}) });
    this.threads.take(channel, message);
    this.turns.attach(message, attachments);
    const { answer, atOnce } = this;
    this.emit(channel, message, [{ kind: "queued", position: 1, text, sender: "web" }, ...(atOnce && answer ? answer(text) : [])]);
    if (answer && !atOnce) setImmediate(() => this.emit(channel, message, answer(text)));
    return [200, { ok: true, id: message.id, turn: message.turn ?? null }];
  }
}
