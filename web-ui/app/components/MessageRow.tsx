import { computed, useSignal } from "@preact/signals";
import type { Message, TurnState } from "../api";
import { cancel, cancelling, turnFacts } from "../conversation";
import { fullTime, time, unturned } from "../format";
import type { Row } from "../fold/rows";
import { hashOf } from "../route";
import { resend, sending } from "../sending";
import { now } from "../store";
import { CopyButton } from "./CopyButton";
import { Chain, Children } from "./delegation/Chain";
import { Files } from "./Files";
import { Sentence, Text } from "./Text";
import { Rewrite } from "./turn/Rewrite";
import { NotTold, TurnFacts, WhatItDid } from "./turn/TurnFacts";
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
        <Sender name={said} linked={own} by={message.delegated_by} />
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
      <Files files={message.attachments ?? []} />
      {!own && message.undelivered ? <Undelivered /> : null}
      {again && writing.value ? <Rewrite agent={agent} turn={again} text={message.text} done={() => (writing.value = false)} /> : null}
      {own ? <Standing row={row} agent={agent} /> : message.turn ? <TurnFacts message={message} turn={message.turn} /> : null}
    </article>
  );
}

const AGENT = /^(agent|callback):([\w-]+)$/;

/** Who wrote it; another agent is a link to the turn that did, or to its conversation. */
function Sender({ name, linked, by }: { name: string; linked: boolean; by: Message["delegated_by"] }) {
  const [, kind, other] = (linked && AGENT.exec(name)) || [];
  if (!other) return <bdi class="who">{unturned(name)}</bdi>;
  return (
    <span class="who">
      {kind === "callback" ? "Report of " : "From "}
      <a href={hashOf({ view: "agent", name: other, ...(by?.agent === other ? { message: by.message } : {}) })}>{other}</a>
    </span>
  );
}

/** How the turn of a message stands, who asked for it and whom it asked, and what can be done about it. */
function Standing({ row, agent }: { row: Extract<Row, { kind: "message" }>; agent: string }) {
  const { message } = row;
  const state = row.state ? STATES[row.state] : undefined;
  const unhappy = row.state === "error" || row.state === "interrupted" || row.state === "cancelled";
  const { turn, delegated_by: by } = message;
  // The name above says so already, and leads there.
  const told = AGENT.exec(message.sender ?? "")?.[2] === by?.agent;
  const facts = turn ? turnFacts.value.get(turn) : undefined;
  // One that was taken out of the line has done nothing.
  const began = unhappy && facts?.claimed_at !== null ? turn : undefined;
  const children = facts?.children ?? [];
  const chain = message.chain ?? facts?.chain;
  return (
    <>
      <p class={`state ${state?.tone ?? "quiet"}`}>
        {state ? <span>{state.label}</span> : null}
        {by && !told ? (
          <span>
            {message.callback ? "Reports a turn of " : "Asked for by "}
            <a href={hashOf({ view: "agent", name: by.agent, message: by.message })}>{by.agent}</a>
          </span>
        ) : null}
        {message.reply_to ? (
          <span>
            Outcome goes to <a href={hashOf({ view: "agent", name: message.reply_to })}>{message.reply_to}</a>
          </span>
        ) : null}
        {row.state === "waiting" && turn ? <Cancel agent={agent} turn={turn} /> : null}
        {unhappy && turn ? <SendAgain agent={agent} turn={turn} /> : null}
        {began ? <WhatItDid turn={began} message={message.id} /> : null}
      </p>
      {began ? <NotTold turn={began} /> : null}
      <Children turns={children} />
      {chain && (by || message.callback || children.length > 0) ? <Chain chain={chain} here={message.id} /> : null}
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
            <WhatItDid turn={turn} message={message.in_reply_to ?? ""} />
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
