import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { cost, fullTime, plural, time } from "../../format";
import { hashOf } from "../../route";
import { agents, minute } from "../../store";
import { narrows, previewOf, stateWords, THREAD_STATES, titleOf } from "../../threads";
import { ALL_THREADS, type Thread, type ThreadFilter } from "../../threads-api";
import "../../styles/threads.css";
import { ErrorNote } from "../ErrorNote";
import { LoadMore } from "../LoadMore";
import { useKeptScroll } from "../useKeptScroll";
import { useListKeys } from "../useListKeys";
import { archive, forgetActions, lastDone, lastFailure } from "./actions";
import { backTo } from "./back";
import { Rename } from "./Rename";
import { type ThreadList, useThreads } from "./useThreads";

/** All conversations of all agents. */
export function Threads() {
  const list = useThreads();
  return (
    <main class="threads-page" id="main" tabIndex={-1}>
      <header class="home-head">
        <div>
          <h1>Threads</h1>
          <p class="quiet">The conversations of all agents, the last active first.</p>
        </div>
      </header>
      <List list={list} />
    </main>
  );
}

/** Those of one agent, as a part of its page. */
export function AgentThreads({ agent }: { agent: string }) {
  const list = useThreads(agent);
  return (
    <section class="panel threads-panel" aria-label="Threads">
      <List list={list} agent={agent} />
    </section>
  );
}

function List({ list, agent }: { list: ThreadList; agent?: string }) {
  const box = useRef<HTMLDivElement>(null);
  useListKeys(box);
  useEffect(() => {
    backTo.value = agent === undefined ? hashOf({ view: "threads" }) : hashOf({ view: "agent", name: agent, tab: "threads" });
    return forgetActions;
  }, []);
  const { items, error } = list;
  const { value: all } = items;
  useKeptScroll(box, `threads ${agent ?? ""}`, all !== undefined);
  return (
    <div ref={box}>
      <Tools list={list} agent={agent} />
      <p class="visually-hidden" role="status">
        {all && narrows({ ...list.filter.value, agent: "" }) ? `${plural(all.length, "conversation")}${list.more.value ? " and more" : ""} found.` : ""}
      </p>
      <Told />
      {error.value ? (
        <ErrorNote error={error.value}>
          <button type="button" onClick={() => void list.load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {list.unsearched.value.map(({ vault, reason }) => (
        <p key={vault} class="note warn" role="status">
          The messages of the vault <bdi>{vault}</bdi> could not be searched: {reason}
        </p>
      ))}
      {all === undefined && !error.value ? <p class="quiet center">Loading conversations…</p> : null}
      {all?.length === 0 ? <Empty list={list} agent={agent} /> : null}
      {all && all.length > 0 ? (
        <table class="threads-table">
          <thead>
            <tr>
              <th scope="col">Conversation</th>
              {agent === undefined ? <th scope="col" class="of-agent">Agent</th> : null}
              <th scope="col" class="of-state">State</th>
              <th scope="col" class="of-number">Turns</th>
              <th scope="col" class="of-number of-cost">Cost</th>
              <th scope="col" class="of-time">Last active</th>
            </tr>
          </thead>
          <tbody>
            {all.map((thread) => (
              <Row key={thread.thread} thread={thread} list={list} ofAgent={agent !== undefined} />
            ))}
          </tbody>
        </table>
      ) : null}
      {list.more.value ? <LoadMore label="More conversations" busy={list.busy.value} shown={all?.length ?? 0} load={() => void list.loadMore()} /> : null}
    </div>
  );
}

function Tools({ list, agent }: { list: ThreadList; agent: string | undefined }) {
  const { filter, narrow } = list;
  const { text, agent: of, state, archived } = filter.value;
  return (
    <div class="home-tools threads-tools" role="search">
      <input
        type="search" data-search aria-label="Search in all messages and replies" placeholder="Search in messages and replies" value={text}
        onInput={(event) => narrow({ text: event.currentTarget.value })}
      />
      {agent === undefined ? (
        <select aria-label="Agent" value={of} onChange={(event) => narrow({ agent: event.currentTarget.value })}>
          <option value="">All agents</option>
          {[...new Set([...(agents.value ?? []).map(({ name }) => name), ...(of ? [of] : [])])].map((name) => (
            <option key={name} value={name}>{name}</option>
          ))}
        </select>
      ) : null}
      <select aria-label="State" value={state} onChange={(event) => narrow({ state: event.currentTarget.value as ThreadFilter["state"] })}>
        <option value="">All states</option>
        {THREAD_STATES.map(({ state: own, label }) => (
          <option key={own} value={own}>{label}</option>
        ))}
      </select>
      <select aria-label="Archived" value={archived} onChange={(event) => narrow({ archived: event.currentTarget.value as ThreadFilter["archived"] })}>
        <option value="false">Not archived</option>
        <option value="true">Archived</option>
        <option value="all">Archived or not</option>
      </select>
    </div>
  );
}

/** What was done, and how to take it back; what did not work, and how to try it again. */
function Told() {
  const done = lastDone.value;
  const failed = lastFailure.value;
  return (
    <>
      <div role="status" class="told">
        {done ? (
          <p class="note">
            {done.words}{" "}
            <button type="button" class="link" onClick={() => void done.undo()}>
              Undo
            </button>
            <button type="button" class="link" onClick={forgetActions}>
              Close
            </button>
          </p>
        ) : null}
      </div>
      {failed ? (
        <ErrorNote error={failed.error}>
          <p>{failed.words}</p>
          <button type="button" onClick={() => void failed.again()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
    </>
  );
}

function Empty({ list, agent }: { list: ThreadList; agent: string | undefined }) {
  const filter = list.filter.value;
  if (narrows({ ...filter, agent: agent === undefined ? filter.agent : "" })) {
    return (
      <div class="empty">
        <p>
          <strong>{filter.text.trim() ? `No conversation has “${filter.text.trim()}” in it.` : "No conversation is like that."}</strong>
        </p>
        <p>Search for other words, or look at all of them.</p>
        <button type="button" onClick={() => list.narrow({ ...ALL_THREADS, agent: agent ?? "" })}>
          Show all
        </button>
      </div>
    );
  }
  const first = agent ?? agents.value?.[0]?.name;
  return (
    <div class="empty">
      <p>
        <strong>No conversations yet.</strong>
      </p>
      <p>The first message to an agent begins one.</p>
      {first === undefined ? null : (
        <a class="button primary" href={hashOf({ view: "agent", name: first })}>
          Write to {first}
        </a>
      )}
    </div>
  );
}

function Row({ thread, list, ofAgent }: { thread: Thread; list: ThreadList; ofAgent: boolean }) {
  const renaming = useSignal(false);
  const link = useRef<HTMLAnchorElement>(null);
  const title = titleOf(thread);
  const close = (now?: Thread): void => {
    renaming.value = false;
    if (now) list.put(now);
  };
  const named = useRef(false);
  useLayoutEffect(() => {
    if (!renaming.value && named.current) link.current?.focus();
    named.current = renaming.value;
  }, [renaming.value]);
  const put = (): void => void archive(thread, !thread.archived, (now) => {
    list.put(now);
    void list.load();
  });
  const keyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "r") renaming.value = true;
    else if (event.key === "e") put();
    else return;
    event.preventDefault();
  };
  return (
    <tr class={thread.archived ? "archived" : undefined}>
      <th scope="row">
        {renaming.value ? (
          <Rename thread={thread} done={close} />
        ) : (
          <div class="thread-name">
            <span class={`dot ${thread.state}`} aria-hidden="true" />
            <div class="thread-text">
              <a ref={link} data-entry href={hashOf({ view: "agent", name: thread.channel, thread: thread.thread })} onKeyDown={keyDown}>
                <bdi>{title}</bdi>
              </a>
              {thread.archived ? <span class="tag-mark">Archived</span> : null}
              <Words thread={thread} />
            </div>
            <span class="thread-acts">
              <button type="button" class="small" title="Rename (r)" aria-label={`Rename ${title}`} onClick={() => (renaming.value = true)}>
                Rename
              </button>
              <button type="button" class="small" title={thread.archived ? "Bring back (e)" : "Archive (e)"} aria-label={`${thread.archived ? "Bring back" : "Archive"} ${title}`} onClick={put}>
                {thread.archived ? "Bring back" : "Archive"}
              </button>
            </span>
          </div>
        )}
      </th>
      {!ofAgent ? (
        <td class="of-agent">
          <a href={hashOf({ view: "agent", name: thread.channel })}>
            <bdi>{thread.channel}</bdi>
          </a>
        </td>
      ) : null}
      <td class="of-state" data-state={thread.state}>{stateWords(thread.state)}</td>
      <td class="of-number">
        {thread.turns}
        <span class="phone-words">{thread.turns === 1 ? " turn" : " turns"}</span>
      </td>
      <td class="of-number of-cost">{thread.cost_usd > 0 ? cost(thread.cost_usd) : ""}</td>
      <td class="of-time">
        {thread.last_at ? (
          <time dateTime={thread.last_at} title={fullTime(thread.last_at)}>
            {time(thread.last_at, minute.value)}
          </time>
        ) : null}
      </td>
    </tr>
  );
}

/** Where the search found its words, else the last words that were said. */
function Words({ thread }: { thread: Thread }) {
  const { match } = thread;
  if (!match) return <p class="thread-words">{previewOf(thread)}</p>;
  return (
    <p class="thread-words">
      {match.before}
      <mark>{match.hit}</mark>
      {match.after}
    </p>
  );
}
