import type { TurnState } from "../api";
import { cancel, cancelling, send, sending } from "../conversation";
import { fullTime, time } from "../format";
import type { Row } from "../fold/rows";
import { now } from "../store";
import { Text } from "./Text";
import { askedMessage } from "./useShownMessage";

const STATES: Partial<Record<TurnState, { label: string; tone: string }>> = {
  waiting: { label: "Waiting", tone: "waiting" },
  working: { label: "Working", tone: "waiting" },
  joined: { label: "Part of the turn that runs", tone: "waiting" },
  error: { label: "Failed", tone: "bad" },
  cancelled: { label: "Stopped", tone: "quiet" },
  interrupted: { label: "Interrupted: the daemon was stopped while it worked on this", tone: "bad" },
};

export function MessageRow({ row, agent }: { row: Extract<Row, { kind: "message" }>; agent: string }) {
  const { message } = row;
  const own = message.direction === "inbound";
  const state = row.state ? STATES[row.state] : undefined;
  const failed = message.kind === "failure";
  const sender = own ? message.sender || "You" : agent;
  const again = own && (row.state === "error" || row.state === "interrupted" || row.state === "cancelled");
  return (
    <article
      class={`row ${own ? "inbound" : "outbound"} ${failed ? "failure" : ""} ${askedMessage() === message.id ? "asked" : ""}`}
      data-message={message.id}
      tabIndex={askedMessage() === message.id ? -1 : undefined}
      aria-label={`${sender}, ${time(message.at, now.value)}`}
    >
      <header class="by">
        <bdi class="who">{sender}</bdi>
        <time dateTime={message.at} title={fullTime(message.at)}>
          {time(message.at, now.value)}
        </time>
      </header>
      <div class="bubble">
        {failed ? <p class="failure-title">This turn failed</p> : null}
        <Text text={message.text} />
      </div>
      {!own && message.undelivered ? <Undelivered /> : null}
      {state ? (
        <p class={`state ${state.tone}`}>
          {state.label}
          {own && row.state === "waiting" && message.turn ? <Cancel agent={agent} turn={message.turn} /> : null}
          {again ? <SendAgain agent={agent} text={message.text} /> : null}
        </p>
      ) : null}
    </article>
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

/** Hands the same text in once more, as a new message. */
export function SendAgain({ agent, text }: { agent: string; text: string }) {
  return (
    <button type="button" class="link" disabled={sending.value !== undefined} onClick={() => void send(agent, text)}>
      Send again
    </button>
  );
}
