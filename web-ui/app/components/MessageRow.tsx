import { computed, useSignal } from "@preact/signals";
import type { Message, TurnState } from "../api";
import { cancel, cancelling, turnFacts } from "../conversation";
import { fullTime, time } from "../format";
import type { Row } from "../fold/rows";
import { chainOf, notes } from "../notes";
import { hashOf } from "../route";
import { resend, sending } from "../sending";
import { now, selectedAgent } from "../store";
import { CopyButton } from "./CopyButton";
import { Chain } from "./delegation/Chain";
import { Files } from "./Files";
import { Sentence, Text } from "./Text";
import { Rewrite } from "./turn/Rewrite";
import { TurnFacts } from "./turn/TurnFacts";
import { askedMessage } from "./useShownMessage";

const STATES: Partial<Record<TurnState, { label: string; tone: string }>> = {
  waiting: { label: "Waiting", tone: "waiting" },
  working: { label: "Working", tone: "waiting" },
  joined: { label: "Part of the turn that runs", tone: "waiting" },
  error: { label: "Failed", tone: "bad" },
  cancelled: { label: "Stopped", tone: "quiet" },
  interrupted: { label: "Interrupted: the daemon was stopped while it worked on this", tone: "bad" },
};

/** Times are told by the day, so that rows are not drawn again each second. */
const today = computed(() => new Date(now.value).setHours(12, 0, 0, 0));

export function MessageRow({ row, agent }: { row: Extract<Row, { kind: "message" }>; agent: string }) {
  const { message } = row;
  const own = message.direction === "inbound";
  const failed = message.kind === "failure";
  const asked = askedMessage() === message.id;
  const said = own ? message.sender || "You" : agent;
  const writing = useSignal(false);
  const again = own && message.turn && message.state && !["waiting", "working", "joined"].includes(message.state) ? message.turn : undefined;
  return (
    <article
      class={`row ${own ? "inbound" : "outbound"} ${failed ? "failure" : ""} ${asked ? "asked" : ""}`}
      data-message={message.id}
      tabIndex={asked ? -1 : undefined}
      aria-label={`${said}, ${time(message.at, today.value)}`}
    >
      <header class="by">
        <Sender name={said} linked={own} />
        {message.subject ? <span class="subject" title="The conversation that it belongs to">{message.subject}</span> : null}
        <time dateTime={message.at} title={fullTime(message.at)}>
          {time(message.at, today.value)}
        </time>
        <CopyButton text={message.text} label="Copy message" />
        {again ? (
          <button type="button" class="link copy-link at-hand" onClick={() => (writing.value = true)}>
            Edit and resend
          </button>
        ) : null}
      </header>
      {failed ? <FailureNote message={message} agent={agent} /> : <div class="bubble"><Text text={message.text} /></div>}
      {own ? <Files vault={selectedAgent.value?.vault} files={notes.value.get(message.id)?.attachments ?? []} /> : null}
      {!own && message.undelivered ? <Undelivered /> : null}
      {again && writing.value ? <Rewrite agent={agent} turn={again} text={message.text} done={() => (writing.value = false)} /> : null}
      {own ? <Standing row={row} agent={agent} /> : message.turn ? <TurnFacts turn={message.turn} /> : null}
    </article>
  );
}

/** Who wrote it; another agent is a link to its own conversation. */
function Sender({ name, linked }: { name: string; linked: boolean }) {
  const [, kind, other] = (linked && /^(agent|callback):([\w-]+)$/.exec(name)) || [];
  if (!other) return <bdi class="who">{name}</bdi>;
  return (
    <span class="who">
      {kind === "callback" ? "Report of " : "From "}
      <a href={hashOf({ view: "agent", name: other })}>{other}</a>
    </span>
  );
}

/** How the turn of a message stands, and what can be done about it. */
function Standing({ row, agent }: { row: Extract<Row, { kind: "message" }>; agent: string }) {
  const { message } = row;
  const state = row.state ? STATES[row.state] : undefined;
  const unhappy = row.state === "error" || row.state === "interrupted" || row.state === "cancelled";
  const chain = chainOf(message.id);
  const { turn } = message;
  return (
    <>
      <p class={`state ${state?.tone ?? "quiet"}`}>
        {state ? <span>{state.label}</span> : null}
        {message.reply_to ? (
          <span>
            Outcome goes to <a href={hashOf({ view: "agent", name: message.reply_to })}>{message.reply_to}</a>
          </span>
        ) : null}
        {row.state === "waiting" && turn ? <Cancel agent={agent} turn={turn} /> : null}
        {unhappy && turn ? <SendAgain agent={agent} turn={turn} /> : null}
      </p>
      {chain ? <Chain chain={chain} vault={selectedAgent.value?.vault} here={message.id} /> : null}
    </>
  );
}

/** Why a turn has no reply, as its note has it. */
function FailureNote({ message, agent }: { message: Message; agent: string }) {
  const { turn, next_step: next } = message;
  const told = next ? message.text.replace(next, "").trim() : message.text;
  const facts = turn ? turnFacts.value.get(turn) : undefined;
  const writing = useSignal(false);
  return (
    <section class="failure-card" aria-label="Failure">
      <p class="failure-title">This turn failed</p>
      <Text text={told} />
      {next ? (
        <p>
          <strong>What to do:</strong> <Sentence text={next} />
        </p>
      ) : null}
      <div class="failure-foot">
        <code>{message.code ?? ""}</code>
        {turn && !writing.value ? (
          <span>
            <SendAgain agent={agent} turn={turn} />
            {facts?.text ? (
              <button type="button" class="link" onClick={() => (writing.value = true)}>
                Edit and resend
              </button>
            ) : null}
          </span>
        ) : null}
      </div>
      {turn && writing.value ? <Rewrite agent={agent} turn={turn} text={facts?.text ?? ""} done={() => (writing.value = false)} /> : null}
    </section>
  );
}

/** Takes a message out of the line. */
function Cancel({ agent, turn }: { agent: string; turn: string }) {
  return (
    <button type="button" class="link" disabled={cancelling.value === turn} onClick={() => void cancel(agent, turn)}>
      Cancel
    </button>
  );
}

/** Beside an answer that only the daemon has so far. */
export function Undelivered() {
  return (
    <p class="state waiting">
      Kept, not delivered yet: <code>reveille undelivered list</code> says why.
    </p>
  );
}

/** Hands the message of a turn in once more, as a new message. */
export function SendAgain({ agent, turn }: { agent: string; turn: string }) {
  return (
    <button type="button" class="link" disabled={sending.value !== undefined} onClick={() => void resend(agent, turn)}>
      Send again
    </button>
  );
}
