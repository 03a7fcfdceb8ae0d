/** The conversation that is open: its messages, its live turns, and what a person does in it. */
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { api, type ApiError, type Message, type TurnEvent } from "./api";
import { fold, forget, isEnded, type Live, NOTHING, reconcile } from "./fold/live";
import { rowsOf } from "./fold/rows";
import { agents, failure, refreshAgents, selected, selectedAgent, session } from "./store";
import { type Connection, openStream } from "./stream";

/** `undefined` until first loaded. */
export const messages = signal<readonly Message[] | undefined>(undefined);
export const live = signal<Live>(NOTHING);
export const loadError = signal<ApiError | undefined>(undefined);
export const connection = signal<Connection>("connecting");
/** What a screen reader is told. */
export const announcement = signal("");
/** Unsent texts by agent: a failed send, another agent or a new sign-in loses none. */
export const drafts = signal<Readonly<Record<string, string>>>({});
export const sending = signal<string | undefined>(undefined);
export const sendError = signal<ApiError | undefined>(undefined);
/** The turn that was asked to stop. */
export const stopping = signal<string | undefined>(undefined);
export const stopError = signal<ApiError | undefined>(undefined);
/** The waiting turn that is being cancelled. */
export const cancelling = signal<string | undefined>(undefined);

export const rows = computed(() => (messages.value ? rowsOf(messages.value, live.value) : []));

/** Id of the turn that runs now. */
export const runningTurn = computed(
  () => live.value.turns.find((turn) => turn.state === "working")?.id ?? selectedAgent.value?.running?.turn,
);

/** Turns seen of conversations that were left, so that coming back shows them again. */
const kept = new Map<string, Live>();

/** Only an agent has live turns; `undefined` until the list is loaded. */
const hasAgent = computed(() => agents.value?.some((agent) => agent.name === selected.value));

/** Follows the route: one conversation, and so one stream, at a time. */
export function startConversations(): void {
  effect(() => {
    const name = selected.value;
    const withStream = hasAgent.value;
    if (!name || session.value !== "in" || withStream === undefined) return;
    // Only these three choose the conversation; what opening it reads must not open it again.
    const close = untracked(() => openConversation(name, withStream));
    return () => {
      kept.set(name, live.peek());
      close();
    };
  });
}

function openConversation(name: string, withStream: boolean): () => void {
  batch(() => {
    messages.value = undefined;
    live.value = kept.get(name) ?? NOTHING;
    loadError.value = undefined;
    sendError.value = undefined;
    stopError.value = undefined;
    announcement.value = "";
    connection.value = "connecting";
  });
  void loadMessages(name);
  if (!withStream) return () => {};
  const queue = eventQueue(name);
  const close = openStream(api.turnEvents(name), {
    event: queue.push,
    opened: () => void loadMessages(name),
    resync: () => {
      queue.drop();
      live.value = forget(live.value);
    },
    connection: (state) => {
      // The end of the stream is how a restart goes on.
      if (connection.value === "restarting" && state === "reconnecting") return;
      connection.value = state;
    },
    refused: () => void refreshAgents(),
  });
  return () => {
    close();
    queue.flush();
  };
}

/** Takes events in by the handful: a fast stream would else redraw for each word. */
function eventQueue(name: string) {
  const SHORT_MS = 33;
  const LONG_MS = 200;
  /** Above this length of the growing text, drawing it again costs more than a frame. */
  const LONG_TEXT = 15_000;
  let waiting: (readonly [string, TurnEvent])[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const taken = waiting;
    waiting = [];
    if (taken.length > 0) takeIn(name, taken);
  };
  return {
    push(boot: string, event: TurnEvent): void {
      waiting.push([boot, event]);
      timer ??= setTimeout(flush, longestStream(live.peek()) > LONG_TEXT ? LONG_MS : SHORT_MS);
    },
    flush,
    drop(): void {
      waiting = [];
    },
  };
}

function longestStream(state: Live): number {
  const steps = state.turns.flatMap((turn) => turn.steps);
  return Math.max(0, ...steps.map((step) => (step.kind === "text" && step.streaming ? step.text.length : 0)));
}

function takeIn(name: string, events: readonly (readonly [string, TurnEvent])[]): void {
  let state = live.peek();
  const fresh: TurnEvent[] = [];
  for (const [boot, event] of events) {
    const next = fold(state, boot, event);
    // Late deliveries of turns that this page has not seen are in the messages.
    if (next !== state || event.kind === "delivered") fresh.push(event);
    state = next;
  }
  if (fresh.length === 0) return;
  batch(() => {
    live.value = state;
    for (const event of fresh) announce(name, event);
  });
  if (fresh.some(({ kind }) => ["waiting", "done", "error", "stopped", "delivered"].includes(kind))) void loadMessages(name);
  if (fresh.some(({ kind }) => ["queued", "started", "done", "error", "stopped"].includes(kind))) void refreshAgents();
}

function announce(name: string, event: TurnEvent): void {
  const spoken = ((): string | undefined => {
    switch (event.kind) {
      case "started":
        return `${name} is working.`;
      case "done":
        return `${name} replied: ${event.reply.slice(0, 500)}`;
      case "error":
        return `${name} failed: ${event.error}`;
      case "stopped":
        return `${name} was stopped.`;
      case "delivered":
        return `What ${name} had to say is delivered now.`;
      case "notice":
        return event.text;
      case "retry":
        return `Retrying, attempt ${event.attempt} of ${event.max}.`;
      default:
        return undefined;
    }
  })();
  if (spoken) announcement.value = spoken;
}

/** Each load has a number, so that a slow older answer does not replace a newer one. */
let loads = 0;
let shown = 0;

export async function loadMessages(name: string): Promise<void> {
  const load = ++loads;
  try {
    const answer = await api.messages(name);
    if (selected.peek() !== name || load < shown) return;
    shown = load;
    batch(() => {
      messages.value = answer.messages;
      live.value = reconcile(live.peek(), answer.messages);
      loadError.value = undefined;
    });
  } catch (error) {
    const problem = failure(error);
    if (selected.peek() === name) loadError.value = problem;
  }
}

export function setDraft(name: string, text: string): void {
  drafts.value = { ...drafts.value, [name]: text };
}

/** Sends the draft; it is cleared only when the daemon has taken it. */
export async function sendDraft(name: string): Promise<void> {
  const text = drafts.value[name] ?? "";
  if (text.trim() === "" || sending.value !== undefined) return;
  if (await send(name, text)) setDraft(name, "");
}

/** Sends a text, and says whether the daemon took it. */
export async function send(name: string, text: string): Promise<boolean> {
  sending.value = name;
  sendError.value = undefined;
  try {
    await api.send(name, text);
    await Promise.all([loadMessages(name), refreshAgents()]);
    return true;
  } catch (error) {
    const problem = failure(error);
    if (selected.peek() === name) sendError.value = problem;
    return false;
  } finally {
    sending.value = undefined;
  }
}

export async function stop(turn: string): Promise<void> {
  batch(() => {
    stopping.value = turn;
    stopError.value = undefined;
  });
  try {
    await api.stop(turn);
  } catch (error) {
    const problem = failure(error);
    batch(() => {
      stopping.value = undefined;
      // It ended by itself before the request came: what the person wanted.
      if (problem.code !== "not_running") stopError.value = problem;
    });
  }
}

/** Ends a message that waits. One that has begun meanwhile can be stopped. */
export async function cancel(name: string, turn: string): Promise<void> {
  batch(() => {
    cancelling.value = turn;
    stopError.value = undefined;
  });
  try {
    await api.cancel(turn);
  } catch (error) {
    const problem = failure(error);
    // Somebody else has ended it: what the person wanted.
    if (selected.peek() === name && problem.code !== "settled") stopError.value = problem;
  }
  await Promise.all([loadMessages(name), refreshAgents()]);
  cancelling.value = undefined;
}

/** Whether the turn still is being stopped. */
export function isStopping(turn: string): boolean {
  const known = live.value.turns.find((candidate) => candidate.id === turn);
  return stopping.value === turn && !(known && isEnded(known));
}
