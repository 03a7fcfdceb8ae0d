/** The conversation that is open: its messages, its live turns, and what a person does in it. */
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { api, type ApiError, type Message, type TurnEvent } from "./api";
import { inTray, loadLine, noteQueued, noteStarted, openLine } from "./line";
import { leavePast, openNewest, openQuietly, past } from "./past";
import { sendError } from "./sending";
import { type TurnBrief, turnsApi } from "./turns";
import { fold, forget, isEnded, type Live, NOTHING, reconcile } from "./fold/live";
import { type Loaded, withNewest, withOlder } from "./fold/pages";
import { rowsOf } from "./fold/rows";
import { follow } from "./events";
import { failure, refreshAgents, selected, selectedAgent, session } from "./store";
import { ofThread, openThread } from "./thread";

export { connection } from "./events";

const loaded = signal<Loaded | undefined>(undefined);
/** `undefined` until first loaded. */
export const messages = computed<readonly Message[] | undefined>(() => loaded.value?.messages);
/** Whether there are messages before those that are loaded. */
export const hasOlder = computed(() => Boolean(loaded.value?.older));
export const loadingOlder = signal(false);
/** What is known of turns that the page has not watched, by turn. */
export const turnFacts = signal<ReadonlyMap<string, TurnBrief>>(new Map());
export const live = signal<Live>(NOTHING);
export const loadError = signal<ApiError | undefined>(undefined);
/** What a screen reader is told. */
export const announcement = signal("");
/** The turn that was asked to stop. */
export const stopping = signal<string | undefined>(undefined);
export const stopError = signal<ApiError | undefined>(undefined);
/** The waiting turn that is being cancelled. */
export const cancelling = signal<string | undefined>(undefined);

/** Turns of the conversation that is open alone; as a text, so that a live turn makes no new set with every frame. */
const liveTurns = computed(() => live.value.turns.flatMap(({ id, thread }) => (thread !== undefined && thread === openThread.value ? [id] : [])).join(" "));
const threadTurns = computed(() => {
  const known = [...turnFacts.value.values()].flatMap(({ turn, thread }) => (thread === openThread.value ? [turn] : []));
  return new Set([...known, ...liveTurns.value.split(" ")]);
});
const shown = computed(() => {
  const thread = openThread.value;
  return thread === undefined || !messages.value ? messages.value : ofThread(messages.value, thread, threadTurns.value);
});

/** The turns whose steps are shown: those that were watched, and older ones that a person has opened. */
const shownTurns = computed<Live>(() => {
  const { boot, turns } = live.value;
  const read = past.value;
  if (read.size === 0) return live.value;
  const watched = new Set(turns.map(({ id }) => id));
  const opened = [...read.values()].filter(({ id }) => !watched.has(id));
  // Of a turn whose end was missed the daemon knows more.
  return { boot, turns: [...opened, ...turns.map((turn) => (isEnded(turn) ? (read.get(turn.id) ?? turn) : turn))] };
});

/** What waits is in the tray, and not here as well. */
export const rows = computed(() => {
  if (!shown.value) return [];
  const { boot, turns } = shownTurns.value;
  const own = openThread.value === undefined ? shownTurns.value : { boot, turns: turns.filter(({ id }) => threadTurns.value.has(id)) };
  const all = rowsOf(shown.value, own);
  const hidden = inTray.value;
  return hidden.size > 0 ? all.filter((row) => !(row.kind === "message" && row.state === "waiting" && row.message.turn && hidden.has(row.message.turn))) : all;
});

/** Id of the turn that runs now. */
export const runningTurn = computed(
  () => live.value.turns.find((turn) => turn.state === "working")?.id ?? selectedAgent.value?.running?.turn,
);

/** The same, where one conversation alone is shown: only a turn of that one. */
export const runningHere = computed(() => {
  if (openThread.value === undefined) return runningTurn.value;
  const own = live.value.turns.find((turn) => turn.state === "working" && threadTurns.value.has(turn.id))?.id;
  const told = selectedAgent.value?.running?.turn;
  return own ?? (told !== undefined && threadTurns.value.has(told) && !live.value.turns.some(({ id }) => id === told) ? told : undefined);
});

/** Turns seen of conversations that were left, so that coming back shows them again. */
const kept = new Map<string, Live>();

/** Follows the route: one conversation at a time. */
export function startConversations(): void {
  effect(() => {
    const name = selected.value;
    // Another conversation of the same agent is read anew.
    void openThread.value;
    if (!name || session.value !== "in") return;
    // Only these choose the conversation; what opening it reads must not open it again.
    const close = untracked(() => openConversation(name));
    return () => {
      kept.set(name, live.peek());
      close();
    };
  });
}

function openConversation(name: string): () => void {
  batch(() => {
    loaded.value = undefined;
    turnFacts.value = new Map();
    live.value = kept.get(name) ?? NOTHING;
    loadError.value = undefined;
    sendError.value = undefined;
    stopError.value = undefined;
    announcement.value = "";
  });
  leavePast();
  void loadMessages(name).then(() => openNewest(name));
  openLine(name);
  const queue = eventQueue(name);
  const close = follow(name, {
    event: queue.push,
    opened: () => void loadMessages(name),
    resync: () => {
      queue.drop();
      live.value = forget(live.value);
    },
  });
  return () => {
    close();
    queue.flush();
  };
}

/** Takes events in once a frame: a fast stream would else redraw for each word. */
function eventQueue(name: string) {
  /** A page that is not seen draws no frames. */
  const UNSEEN_MS = 250;
  let waiting: (readonly [string, TurnEvent])[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let frame: number | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
    timer = frame = undefined;
    const taken = waiting;
    waiting = [];
    if (taken.length > 0) takeIn(name, taken);
  };
  return {
    push(boot: string, event: TurnEvent): void {
      waiting.push([boot, event]);
      timer ??= setTimeout(flush, UNSEEN_MS);
      frame ??= requestAnimationFrame(flush);
    },
    flush,
    drop(): void {
      waiting = [];
    },
  };
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
    for (const event of fresh) {
      announce(name, event);
      if (event.kind === "queued") noteQueued(name, event);
      if (event.kind === "started") noteStarted(name, event);
    }
  });
  if (fresh.some(({ kind }) => kind === "queued")) loadSoon(name);
  if (fresh.some(({ kind }) => ["waiting", "done", "error", "stopped", "delivered"].includes(kind))) void loadMessages(name);
  if (fresh.some(({ kind }) => ["queued", "waiting", "started", "done", "error", "stopped"].includes(kind))) void loadLine(name);
}

const SOON_MS = 200;
let soon: ReturnType<typeof setTimeout> | undefined;

/** What was told of messages that have come is their text; the rest, such as their files, is read for all of them together. */
function loadSoon(name: string): void {
  soon ??= setTimeout(() => {
    soon = undefined;
    void loadMessages(name);
  }, SOON_MS);
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
let newest = 0;

/** Whether what was asked for then is still what is open. */
function stillOpen(): (name: string) => boolean {
  const thread = openThread.peek();
  return (name) => selected.peek() === name && openThread.peek() === thread;
}

export async function loadMessages(name: string): Promise<void> {
  const load = ++loads;
  const open = stillOpen();
  const thread = openThread.peek();
  try {
    // Which messages are of one conversation is not always said by themselves.
    const [answer, facts] = await Promise.all([turnsApi.messages(name, undefined, thread), thread ? turnsApi.recent(name, thread) : undefined]);
    if (!open(name) || load < newest) return;
    newest = load;
    const before = live.peek();
    batch(() => {
      if (facts) turnFacts.value = factsOf(facts.turns);
      loaded.value = withNewest(loaded.peek(), answer.messages, answer.next_cursor);
      live.value = reconcile(before, answer.messages);
      loadError.value = undefined;
    });
    rereadMissed(before);
    void loadFacts(name, Boolean(facts));
  } catch (error) {
    const problem = failure(error);
    if (open(name)) loadError.value = problem;
  }
}

/** What happened in turns that ended while nobody was told, as in a gap of the connection. */
function rereadMissed(before: Live): void {
  const ran = new Set(before.turns.filter((turn) => !isEnded(turn)).map(({ id }) => id));
  for (const turn of live.peek().turns) if (ran.has(turn.id) && isEnded(turn)) void openQuietly(turn.id, turn.message);
}

const factsOf = (turns: readonly TurnBrief[]): Map<string, TurnBrief> => new Map(turns.map((turn) => [turn.turn, turn]));

/** Loads the page before the first message. One at a time; a failure is told where the newest would be told. */
export async function loadOlder(name: string): Promise<void> {
  const cursor = loaded.peek()?.older;
  if (!cursor || loadingOlder.peek()) return;
  loadingOlder.value = true;
  const open = stillOpen();
  try {
    const answer = await turnsApi.messages(name, cursor, openThread.peek());
    const now = loaded.peek();
    if (open(name) && now?.older === cursor) loaded.value = withOlder(now, answer.messages, answer.next_cursor);
  } catch (error) {
    const problem = failure(error);
    if (open(name)) loadError.value = problem;
  } finally {
    loadingOlder.value = false;
  }
}

let factLoads = 0;
let newestFacts = 0;

/** What turns took, and whom they asked: the transcript is whole without, so a failure is not in its way. */
async function loadFacts(name: string, known: boolean): Promise<void> {
  const own = ++factLoads;
  if (known) {
    newestFacts = own;
    return;
  }
  const open = stillOpen();
  try {
    const { turns } = await turnsApi.recent(name);
    if (!open(name) || own < newestFacts) return;
    newestFacts = own;
    turnFacts.value = factsOf(turns);
  } catch (error) {
    console.warn("what the turns took could not be loaded", failure(error).message);
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
  await Promise.all([loadMessages(name), loadLine(name), refreshAgents()]);
  cancelling.value = undefined;
}

/** Whether the turn still is being stopped. */
export function isStopping(turn: string): boolean {
  const known = live.value.turns.find((candidate) => candidate.id === turn);
  return stopping.value === turn && !(known && isEnded(known));
}
