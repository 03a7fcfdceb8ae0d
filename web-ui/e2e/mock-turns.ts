/** The double's side of turns, lines, notes of messages and files. */
import type { IncomingMessage } from "node:http";
import type { Message } from "../app/api";
import type { Attached, StepDetail, TurnSteps } from "../app/conversation-api";
import type { StoredFile, TurnBrief } from "../app/turns";
import type { MockDaemon, Reply } from "./mock";

const refuse = (status: number, error: string, message: string, next_step?: string): Reply => [status, { error, message, next_step }];
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC",
  "base64",
);

const USAGE = { input_tokens: 812, output_tokens: 1_431, cache_read_tokens: 24_310, cache_write_tokens: 1_204 };
const NO_USAGE = { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };

export class MockTurns {
  /** Messages that are held back, by turn. */
  held = new Set<string>();
  /** Order of the waiting turns by channel; those that are not named come last. */
  order = new Map<string, string[]>();
  /** What happened in turns that have ended, by turn; what is not here is not kept. */
  steps = new Map<string, Pick<TurnSteps, "events"> & Partial<TurnSteps>>();
  /** Tool calls with all that went in and came out, by their id. */
  details = new Map<string, StepDetail>();
  /** How often steps were asked for. */
  asked: string[] = [];
  /** Where a turn is not in the conversation that its number of places says. */
  threads = new Map<string, string>();
  stored: { name: string; bytes: number }[] = [];
  /** What was asked for: `move t1 first` and the like. */
  acts: string[] = [];
  /** Messages of a page. */
  page = Infinity;
  keys: string[] = [];
  /** Files that were sent, also those that were refused. */
  uploads = 0;
  private files = new Map<string, Buffer>();

  constructor(private readonly daemon: MockDaemon) {}

  answer(method: string, path: string, query: URLSearchParams, body: Record<string, unknown>): Reply | undefined {
    const line = /^\/api\/channels\/([^/]+)\/queue$/.exec(path)?.[1];
    if (line) return this.line(decodeURIComponent(line));
    if (path === "/api/turns") return [200, { turns: query.get("chain") ? this.chain(query.get("chain") ?? "") : this.turns(query.get("channel") ?? ""), next_cursor: null }];
    const steps = /^\/api\/turns\/([^/]+)\/steps(?:\/([^/]+))?$/.exec(path);
    if (steps?.[1]) return this.told(decodeURIComponent(steps[1]), steps[2]);
    const act = /^\/api\/turns\/([^/]+)(?:\/(hold|release|move|resend))?$/.exec(path);
    if (act?.[1]) return this.act(method, decodeURIComponent(act[1]), act[2], body);
    const page = /^\/api\/channels\/([^/]+)\/messages$/.exec(path)?.[1];
    if (page && Number.isFinite(this.page)) return this.messages(decodeURIComponent(page), query.get("cursor"));
    return undefined;
  }

  /** Bytes go in and out of here. */
  async file(request: IncomingMessage, path: string): Promise<Reply | Buffer | undefined> {
    const stored = /^\/vault\/[^/]+\/api\/storage\/(.+)$/.exec(path)?.[1];
    if (!stored) return undefined;
    if (stored !== "upload") return this.files.get(decodeURIComponent(stored)) ?? PNG;
    this.uploads++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = Buffer.concat(chunks);
    const head = form.subarray(0, form.indexOf("\r\n\r\n")).toString();
    const filename = /filename="([^"]*)"/.exec(head)?.[1] ?? "file";
    const bytes = form.length - form.indexOf("\r\n\r\n") - 4 - form.length + form.lastIndexOf("\r\n--");
    if (bytes > 5_000_000) return refuse(413, "too_large", "The file is too large.", "Send less than 5 MB.");
    const file = { path: `day/${this.stored.length + 1}`, filename, mimeType: /content-type: (\S+)/i.exec(head)?.[1] ?? "", size: bytes };
    this.stored.push({ name: filename, bytes });
    this.files.set(file.path, form.subarray(form.indexOf("\r\n\r\n") + 4, form.lastIndexOf("\r\n--")));
    this.known.set(file.path, file);
    return [201, file];
  }

  private known = new Map<string, StoredFile>();

  /** A message was sent with these files. */
  attach(message: Message, paths: unknown): void {
    const files = (Array.isArray(paths) ? paths : []).flatMap((path) => this.known.get(String(path)) ?? []);
    if (files.length > 0) Object.assign(message, { attachments: files.map(attached) } satisfies Partial<Message>);
  }

  private told(turn: string, step: string | undefined): Reply {
    this.asked.push(step ? `${turn} ${step}` : turn);
    const detail = step ? this.details.get(decodeURIComponent(step)) : undefined;
    if (step) return detail ? [200, detail] : refuse(404, "steps_gone", "What happened in this turn is not kept any more.");
    const known = this.steps.get(turn);
    return known ? [200, { turn, complete: true, cut: false, ...known }] : refuse(404, "steps_gone", "What happened in this turn is not kept any more.");
  }

  private chain(chain: string): TurnBrief[] {
    const own = this.all().filter(([, message]) => message.direction === "inbound" && message.turn);
    return own.map(([channel, message]) => this.brief(channel, message)).filter((turn) => turn.chain === chain);
  }

  private children(turn: string): TurnBrief["children"] {
    const own = this.all().filter(([, { delegated_by: by, callback }]) => by?.turn === turn && !callback);
    return own.map(([agent, message]) => ({ agent, turn: message.turn ?? "", state: message.state ?? "waiting", cost_usd: message.state === "working" ? 0 : 0.0123 }));
  }

  private all(): [string, Message][] {
    return [...this.daemon.messages].flatMap(([channel, list]) => list.map((message): [string, Message] => [channel, message]));
  }

  private turns(channel: string): TurnBrief[] {
    const own = (this.daemon.messages.get(channel) ?? []).filter((message) => message.direction === "inbound" && message.turn);
    const order = this.order.get(channel) ?? [];
    const rank = (turn: string): number => (order.includes(turn) ? order.indexOf(turn) : order.length);
    return own.map((message) => this.brief(channel, message)).sort((a, b) => (a.state === "waiting" && b.state === "waiting" ? rank(a.turn) - rank(b.turn) : 0));
  }

  private brief(channel: string, message: Message): TurnBrief {
    const state = message.state ?? "ok";
    const turn = message.turn ?? "";
    const settled = ["waiting", "working"].includes(state) ? null : new Date(Date.parse(message.at) + 3_200).toISOString();
    return {
      turn, channel, vault: "default", message: message.id, text: message.text.slice(0, 500), sender: message.sender ?? null, thread: this.threads.get(turn) ?? this.daemon.threads.of(message) ?? "main", state,
      held: this.held.has(turn), chain: message.chain ?? message.id, delegation_depth: 0, delegated_by: message.delegated_by ?? null, children: this.children(turn) ?? [],
      accepted_at: message.at, claimed_at: state === "waiting" ? null : message.at, settled_at: settled, cost_usd: settled ? 0.0123 : 0,
      usage: settled ? USAGE : NO_USAGE, duration_ms: settled ? 3_200 : null, model: settled ? "claude-opus-4" : null,
    };
  }

  /** As the daemon tells it: what its turn took stands with the message and with its answer. */
  whole(channel: string, message: Message): Message {
    const turn = this.turns(channel).find((one) => one.turn === message.turn);
    const { usage = null, cost_usd = null, duration_ms = null } = turn?.settled_at ? turn : {};
    return { attachments: [], callback: false, chain: turn?.chain ?? null, delegated_by: null, usage, cost_usd, duration_ms, ...message };
  }

  private line(channel: string): Reply {
    const open = this.turns(channel).filter((turn) => turn.state === "working" || turn.state === "waiting");
    const turns = [...open.filter((turn) => turn.state === "working"), ...open.filter((turn) => turn.state === "waiting")];
    return [200, { channel, waiting: open.filter((turn) => turn.state === "waiting").length, pause: null, turns }];
  }

  private act(method: string, turn: string, action: string | undefined, body: Record<string, unknown>): Reply {
    const [channel, message] = this.all().find(([, candidate]) => candidate.turn === turn && candidate.direction === "inbound") ?? [];
    if (!channel || !message) return refuse(404, "unknown_turn", "There is no such turn.");
    if (method === "GET") {
      return [200, { ...this.brief(channel, message), text: message.text, models: ["claude-opus-4"] }];
    }
    this.acts.push([action ?? "edit", turn, ...Object.values(body).map((value) => (typeof value === "string" ? value : JSON.stringify(value)))].join(" "));
    if (action === "resend") {
      const again = this.daemon.addMessage(channel, { text: String(body.text ?? message.text), state: "waiting", sender: "web", turn: `again-${turn}` });
      return [200, { ok: true, id: again.id, turn: again.turn }];
    }
    if (message.state !== "waiting") return refuse(409, "running", "The turn runs already; nothing was changed.", "Stop it.");
    if (action === "hold") this.held.add(turn);
    if (action === "release") this.held.delete(turn);
    if (action === "move") this.move(channel, turn, body.to);
    if (!action) message.text = String(body.text);
    this.daemon.emit(channel, message, [{ kind: "waiting", position: 1, held: this.held.has(turn), text: message.text }], turn);
    return [200, this.brief(channel, message)];
  }

  private move(channel: string, turn: string, to: unknown): void {
    const waiting = this.turns(channel).filter((other) => other.state === "waiting" && other.turn !== turn).map((other) => other.turn);
    const before = typeof to === "object" && to !== null ? waiting.indexOf((to as { before: string }).before) : -1;
    const at = to === "first" ? 0 : to === "last" ? waiting.length : before;
    this.order.set(channel, waiting.toSpliced(at, 0, turn));
  }

  private messages(channel: string, cursor: string | null): Reply {
    const all = this.daemon.messages.get(channel) ?? [];
    const end = cursor === null ? all.length : Number(cursor);
    const start = Math.max(0, end - this.page);
    return [200, { messages: all.slice(start, end).map((message) => this.whole(channel, message)), next_cursor: start > 0 ? String(start) : null }];
  }
}

export function attached(file: StoredFile): Attached {
  return { id: file.path, name: file.filename, mime: file.mimeType, size_bytes: file.size ?? 0, url: `vault/default/api/storage/${encodeURIComponent(file.path)}` };
}
