import { useRef } from "preact/hooks";
import { announcement, connection, loadError, loadMessages, messages, rows } from "../conversation";
import { cost } from "../format";
import { hashOf } from "../route";
import { orphans, selectedAgent } from "../store";
import { Composer } from "./Composer";
import { ErrorNote } from "./ErrorNote";
import { MessageRow } from "./MessageRow";
import { Status } from "./Sidebar";
import { TurnRow } from "./TurnRow";
import { usePinnedScroll } from "./usePinnedScroll";

export function Conversation({ name }: { name: string }) {
  const agent = selectedAgent.value;
  return (
    <main class="conversation">
      <header class="bar">
        <a class="back" href={hashOf({ view: "home" })} aria-label="All agents">
          ‹
        </a>
        <div class="bar-text">
          <h1>
            <bdi>{name}</bdi>
          </h1>
          {agent ? (
            <p class="quiet">
              <Status agent={agent} />
            </p>
          ) : null}
        </div>
        {agent?.model ? <span class="quiet bar-extra">{agent.model}</span> : null}
        {agent && agent.cost_usd > 0 ? (
          <span class="quiet bar-extra" title="Cost of all its turns">
            {cost(agent.cost_usd)}
          </span>
        ) : null}
      </header>
      <Transcript name={name} />
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement.value}
      </div>
      {agent ? <Composer name={name} /> : <NoAgent name={name} />}
    </main>
  );
}

function Transcript({ name }: { name: string }) {
  const box = useRef<HTMLDivElement>(null);
  const scroll = usePinnedScroll(box, [rows.value, loadError.value]);
  return (
    <div class="transcript-frame">
      <div class="transcript" ref={box} role="log" aria-live="off" aria-label={`Conversation with ${name}`} tabIndex={0}>
        <div class="column">
          {loadError.value ? (
            <ErrorNote error={loadError.value}>
              <button type="button" onClick={() => void loadMessages(name)}>
                Try again
              </button>
            </ErrorNote>
          ) : null}
          {messages.value === undefined && !loadError.value ? <p class="quiet center">Loading messages…</p> : null}
          {messages.value?.length === 0 && rows.value.length === 0 ? (
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
