import { useRef } from "preact/hooks";
import { goesOn, isBroken } from "../agent/standing";
import { connection, loadError, loadMessages, messages, rows } from "../conversation";
import { hashOf } from "../route";
import { orphans, selectedAgent } from "../store";
import { Composer } from "./Composer";
import { ErrorNote } from "./ErrorNote";
import { MessageRow } from "./MessageRow";
import { TurnRow } from "./TurnRow";
import { usePinnedScroll } from "./usePinnedScroll";
import { askedMessage, useShownMessage } from "./useShownMessage";

/** What was said to and by an agent, and where more is written. */
export function Conversation({ name }: { name: string }) {
  const agent = selectedAgent.value;
  const broken = agent !== undefined && isBroken(agent) && !goesOn(agent);
  return (
    <>
      <Transcript name={name} broken={broken} />
      {broken ? <Broken name={name} /> : agent ? <Composer name={name} /> : <NoAgent name={name} />}
    </>
  );
}

/** Why nobody can be written to; what is in line already waits. */
function Broken({ name }: { name: string }) {
  return (
    <div class="no-agent" role="note">
      <p>
        The definition of <bdi>{name}</bdi> has problems. Until they are corrected nothing can be sent, and what is in line waits.
      </p>
      <a class="button primary" href={hashOf({ view: "agent", name, tab: "definition" })}>
        See what to correct
      </a>
    </div>
  );
}

function Transcript({ name, broken }: { name: string; broken: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const scroll = usePinnedScroll(box, [rows.value, loadError.value], askedMessage() === undefined);
  const missing = useShownMessage(box);
  // Of a definition that never worked the daemon knows no conversation.
  const error = broken && loadError.value?.status === 404 ? undefined : loadError.value;
  return (
    <div class="transcript-frame">
      <div class="transcript" ref={box} role="log" aria-live="off" aria-label={`Conversation with ${name}`} tabIndex={0}>
        <div class="column">
          {missing ? <p class="note">The message that you came for is not among the last ones, which are shown here.</p> : null}
          {error ? (
            <ErrorNote error={error}>
              <button type="button" onClick={() => void loadMessages(name)}>
                Try again
              </button>
            </ErrorNote>
          ) : null}
          {messages.value === undefined && !loadError.value ? <p class="quiet center">Loading messages…</p> : null}
          {messages.value?.length === 0 && rows.value.length === 0 && !broken ? (
            <p class="quiet center">No messages yet. Write the first one below.</p>
          ) : null}
          {rows.value.map((row) =>
            row.kind === "message" ? (
              <MessageRow key={row.key} row={row} agent={name} />
            ) : (
              <TurnRow key={row.key} row={row} agent={name} connected={connection.value === "open"} />
            ),
          )}
        </div>
      </div>
      {scroll.below ? (
        <button type="button" class="to-end" onClick={scroll.toEnd}>
          {scroll.unseen ? "New messages ↓" : "To the end ↓"}
        </button>
      ) : null}
    </div>
  );
}

function NoAgent({ name }: { name: string }) {
  const waits = orphans.value.some((orphan) => orphan.channel === name);
  return (
    <div class="no-agent">
      <p>
        There is no agent named <bdi>{name}</bdi>. {waits ? "The messages wait until there is one." : ""}
      </p>
      <a class="button primary" href={hashOf({ view: "new", name })}>
        Create it
      </a>
    </div>
  );
}
