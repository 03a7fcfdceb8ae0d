/** Joins a channel's messages and its live turns to the rows of the transcript, in an order that does not jump. */
import type { Message, TurnState } from "../api";
import { isEnded, type Live, type Step, type Turn } from "./live";

export type Row =
  | {
      kind: "message";
      key: string;
      message: Message;
      /** What became of an inbound message, when no row after it says so. */
      state?: TurnState;
    }
  | {
      kind: "turn";
      key: string;
      turn: Turn;
      /** What to show of the turn's steps. */
      steps: readonly Step[];
      /** The reply as delivered, when the steps do not already show it. */
      reply?: string;
      /** What it took along. */
      files?: NonNullable<Message["attachments"]>;
    };

/**
 * Each message is followed by the turn that answers it. A turn whose steps are known is shown by them, and its reply note
 * only when the note says something else; other turns are shown by their notes.
 */
export function rowsOf(messages: readonly Message[], live: Live): Row[] {
  const all = withUnloaded(messages, live);
  const turnOf = new Map(live.turns.map((turn) => [turn.message, turn]));
  const { answers, answering } = grouped(all);
  return all.filter((message) => !answering.has(message)).flatMap((message) => {
    const turn = message.direction === "inbound" ? turnOf.get(message.id) : undefined;
    const replies = answers.get(message.id) ?? kept(message);
    if (turn && turn.state !== "waiting" && shows(turn)) return [messageRow(message), ...turnRows(turn, replies)];
    const failed = replies.some((reply) => reply.kind === "failure");
    return [messageRow(message, failed ? null : (turn?.state ?? message.state)), ...replies.map((reply) => messageRow(reply))];
  });
}

/** What the daemon keeps of an answer until the vault takes it, as the message that it will be. */
function kept({ id, turn, undelivered, reply, error, ended_at, at }: Message): Message[] {
  if (!undelivered || (!reply && !error)) return [];
  const next = error?.next_step ? `\n\n${error.next_step}` : "";
  const text = error ? `${error.message}${next}` : (reply ?? "");
  const common = { id: `${id} kept`, direction: "outbound", in_reply_to: id, at: ended_at ?? at, undelivered } as const;
  return [{ ...common, text, ...(turn ? { turn } : {}), ...(error ? { kind: "failure" } : {}) }];
}

/** What is as it was is the same row, which is not drawn again. */
const drawn = new WeakMap<Message, Extract<Row, { kind: "message" }>>();

function messageRow(message: Message, state?: TurnState | null): Row {
  const before = drawn.get(message);
  if (before && before.state === (state ?? undefined)) return before;
  const row: Row = { kind: "message", key: message.id, message, ...(state ? { state } : {}) };
  drawn.set(message, row);
  return row;
}

/** Whether the page saw enough of the turn to show it: a turn that ended unseen may have nothing but its state. */
function shows(turn: Turn): boolean {
  return !isEnded(turn) || turn.steps.length > 0 || turn.reply !== undefined || turn.failure !== undefined;
}

function turnRows(turn: Turn, replies: readonly Message[]): Row[] {
  const failure = replies.find((reply) => reply.kind === "failure");
  const note = replies.find((reply) => reply !== failure);
  const others = replies.filter((reply) => reply !== note && !(reply === failure && turn.failure));
  const reply = note?.text ?? turn.reply;
  const told = turn.steps.flatMap((step) => (step.kind === "text" ? [step.text] : []));
  // A reply may be the last of what was said, or all of it.
  const same = reply === undefined || !isEnded(turn) || squeeze(told.join("\n")).endsWith(squeeze(reply));
  const row: Row = {
    kind: "turn",
    key: `turn ${turn.id}`,
    turn,
    steps: same ? turn.steps : turn.steps.filter((step) => step.kind !== "text"),
    ...(same ? {} : { reply }),
    ...(note?.attachments?.length ? { files: note.attachments } : {}),
  };
  return [row, ...others.map((other) => messageRow(other))];
}

const squeeze = (text: string): string => text.replace(/\s+/g, "");

/** Messages that arrived since the last load, known from their `queued` event, go to the end. */
function withUnloaded(messages: readonly Message[], live: Live): readonly Message[] {
  const known = new Set(messages.map((message) => message.id));
  const unloaded = live.turns.flatMap(({ id, message, state, inbound }): Message[] =>
    inbound && !known.has(message)
      ? [{ id: message, direction: "inbound", turn: id, state, ...inbound }]
      : [],
  );
  return unloaded.length > 0 ? [...messages, ...unloaded] : messages;
}

/** The same list is grouped once: a live turn makes new rows with every frame. */
const groups = new WeakMap<readonly Message[], { answers: Map<string, Message[]>; answering: Set<Message> }>();

function grouped(messages: readonly Message[]) {
  const before = groups.get(messages);
  if (before) return before;
  const answers = groupAnswers(messages);
  const made = { answers, answering: new Set([...answers.values()].flat()) };
  groups.set(messages, made);
  return made;
}

/** Outbound messages by the inbound message that they answer, as far as that one is here. */
function groupAnswers(messages: readonly Message[]): Map<string, Message[]> {
  const inbound = messages.filter((message) => message.direction === "inbound");
  const ids = new Set(inbound.map((message) => message.id));
  const byTurn = new Map(inbound.flatMap((message) => (message.turn ? [[message.turn, message.id] as const] : [])));
  const groups = new Map<string, Message[]>();
  for (const message of messages) {
    if (message.direction !== "outbound") continue;
    const direct = message.in_reply_to && ids.has(message.in_reply_to) ? message.in_reply_to : undefined;
    const id = direct ?? (message.turn ? byTurn.get(message.turn) : undefined);
    if (id) groups.set(id, [...(groups.get(id) ?? []), message]);
  }
  return groups;
}
