/** The page's one live connection: `/api/events` feeds the list of agents and the conversation that is open. */
import { effect, signal, untracked } from "@preact/signals";
import { way } from "./access";
import { type AgentEvent, api, type TurnEvent, url } from "./api";
import { Backlog } from "./backlog";
import { agentChanged, checkSession, failure, refreshAgents, refreshAll, refreshHealth, session } from "./store";
import { type Connection, openStream, type Told } from "./stream";

export const connection = signal<Connection>("connecting");

export interface Follower {
  event(boot: string, event: TurnEvent): void;
  /** Connected, for the first time or again: what was missed is to be loaded. */
  opened(): void;
  /** What was seen of running turns is void; they are told again from their start. */
  resync(): void;
}

const backlog = new Backlog();
const followers = new Map<string, Set<Follower>>();
let close: (() => void) | undefined;

/** One stream for as long as somebody is signed in. */
export function startEvents(): void {
  effect(() => {
    if (session.value !== "in") return;
    untracked(connect);
    return () => {
      close?.();
      close = undefined;
      backlog.clear();
    };
  });
}

/** Opens the stream anew at once, without waiting for the next try. */
export function reconnect(): void {
  if (close) connect();
  void refreshAgents();
}

/** Tells of one agent's turns, those that run now from their start; returns what ends that. */
export function follow(channel: string, follower: Follower): () => void {
  const own = followers.get(channel) ?? new Set();
  followers.set(channel, own.add(follower));
  for (const [boot, event] of backlog.of(channel)) follower.event(boot, event);
  return () => {
    own.delete(follower);
    if (own.size === 0) followers.delete(channel);
  };
}

const listeners = new Map<Told, Set<() => void>>();

/** Calls `read` when something of that kind is not as it was; returns what ends that. */
export function onTold(kind: Told, read: () => void): () => void {
  const own = listeners.get(kind) ?? new Set();
  listeners.set(kind, own.add(read));
  return () => void own.delete(read);
}

function everyone(tell: (follower: Follower) => void): void {
  for (const own of followers.values()) for (const follower of own) tell(follower);
}

const PATH = "api/events";

/** An EventSource shows no token: where there is no cookie, it shows a ticket, which is good once. */
async function ticketed(): Promise<string> {
  try {
    const { ticket } = await api.ticket(`/${PATH}`);
    return url(`${PATH}?ticket=${encodeURIComponent(ticket)}`);
  } catch (error) {
    throw failure(error);
  }
}

function connect(): void {
  close?.();
  close = openStream(way.peek().kind === "cookie" ? url(PATH) : ticketed, {
    event(boot, event) {
      backlog.add(boot, event);
      for (const follower of followers.get(event.channel) ?? []) follower.event(boot, event);
      if (changesAgent(event)) agentChanged(event.channel);
    },
    agent: ({ channel, kind }: AgentEvent) => agentChanged(channel, { grants: true, list: kind === "removed" }),
    told(kind) {
      if (kind === "health") void refreshHealth();
      for (const read of listeners.get(kind) ?? []) read();
    },
    opened() {
      void refreshAll();
      everyone((follower) => follower.opened());
    },
    resync() {
      backlog.clear();
      everyone((follower) => follower.resync());
    },
    connection(state) {
      // The end of the stream is how a restart goes on.
      if (connection.value === "restarting" && state === "reconnecting") return;
      connection.value = state;
    },
    refused: () => void checkSession(),
  });
}

function changesAgent({ kind }: TurnEvent): boolean {
  return kind === "queued" || kind === "waiting" || kind === "started" || kind === "done" || kind === "error" || kind === "stopped";
}
