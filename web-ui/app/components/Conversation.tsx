import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { goesOn, isBroken } from "../agent/standing";
import { hasOlder, loadError, loadingOlder, loadMessages, loadOlder, messages, rows } from "../conversation";
import { hashOf } from "../route";
import { orphans, selectedAgent } from "../store";
import { openThread, slotOf } from "../thread";
import { markRead, markUnread } from "../unread";
import { Composer } from "./Composer";
import { ErrorNote } from "./ErrorNote";
import { Lazy } from "./Lazy";
import { Tray } from "./queue/Tray";
import { Rows } from "./Rows";
import { usePinnedScroll } from "./usePinnedScroll";
import { askedMessage, useShownMessage } from "./useShownMessage";

/** What was said to and by an agent, and where more is written. */
export function Conversation({ name }: { name: string }) {
  const agent = selectedAgent.value;
  const broken = agent !== undefined && isBroken(agent) && !goesOn(agent);
  const thread = openThread.value;
  const slot = slotOf(name, thread);
  return (
    <>
      {thread === undefined ? null : <ThreadHead key={slot} agent={name} thread={thread} />}
      <Transcript key={slot} name={name} broken={broken} />
      {agent ? <Tray name={name} /> : null}
      {broken ? (
        <Broken name={name} />
      ) : !agent ? (
        <NoAgent name={name} />
      ) : thread === undefined ? (
        <Composer name={name} />
      ) : (
        <ThreadComposer key={slot} name={name} thread={thread} />
      )}
    </>
  );
}

const ThreadHead = Lazy("the conversation's name", () => import("./threads/ThreadHead").then((part) => part.ThreadHead));
const ThreadComposer = Lazy("the place to write", () => import("./threads/ThreadHead").then((part) => part.ThreadComposer));

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
  const last = rows.value.at(-1);
  const content = {
    all: rows.value,
    end: last?.kind === "turn" ? `${last.key} ${last.turn.seq}` : last?.key,
    start: messages.value?.[0]?.id,
  };
  const scroll = usePinnedScroll(box, content, askedMessage() === undefined);
  const missing = useShownMessage(box);
  useReading(slotOf(name, openThread.peek()), !scroll.below);
  // Of a definition that never worked the daemon knows no conversation.
  const error = broken && loadError.value?.status === 404 ? undefined : loadError.value;
  return (
    <div class="transcript-frame">
      <div class="transcript" ref={box} role="log" aria-live="off" aria-label={`Conversation with ${name}`} tabIndex={0}>
        <div class="column">
          {missing ? <p class="note">The message that you came for is not in this conversation.</p> : null}
          {hasOlder.value ? <Older name={name} box={box} /> : null}
          {messages.value === undefined && !loadError.value ? <p class="quiet center">Loading messages…</p> : null}
          {messages.value && !hasOlder.value && rows.value.length === 0 && !broken ? (
            <p class="quiet center">{openThread.value === undefined ? "No messages yet. Write the first one below." : "Nothing is kept of this conversation."}</p>
          ) : null}
          <Rows rows={rows.value} agent={name} box={box} />
          {error ? (
            <ErrorNote error={error}>
              <button type="button" onClick={() => void loadMessages(name)}>
                Try again
              </button>
            </ErrorNote>
          ) : null}
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

/** Loads what stands before when the reader comes near it; a button, for those who do not scroll. */
function Older({ name, box }: { name: string; box: RefObject<HTMLElement | null> }) {
  const own = useRef<HTMLButtonElement>(null);
  const first = messages.value?.[0]?.id;
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => entry?.isIntersecting && void loadOlder(name), {
      root: box.current,
      rootMargin: "800px 0px 0px",
    });
    if (own.current) watch.observe(own.current);
    return () => watch.disconnect();
    // A page that did not fill the view is followed by the next one.
  }, [first]);
  return (
    <button ref={own} type="button" class="older" disabled={loadingOlder.value} onClick={() => void loadOlder(name)}>
      {loadingOlder.value ? "Loading earlier messages…" : "Earlier messages"}
    </button>
  );
}

/** Remembers how far was read, and marks what has come while nobody looked. */
function useReading(name: string, atEnd: boolean): void {
  const known = messages.value;
  const marked = useRef(false);
  useEffect(() => {
    if (!known) return;
    if (!marked.current) markUnread(name, known);
    marked.current = true;
    if (atEnd && !document.hidden) markRead(name, known);
  }, [known, atEnd]);
  useEffect(() => {
    const look = (): void => {
      if (!document.hidden) markUnread(name, messages.peek() ?? []);
    };
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
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
