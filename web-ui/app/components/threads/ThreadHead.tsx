import { signal, useSignal } from "@preact/signals";
import { useCallback, useEffect } from "preact/hooks";
import type { ApiError } from "../../api";
import { cost, plural } from "../../format";
import { hashOf } from "../../route";
import { agents, failure, selectedAgent } from "../../store";
import { slotOf } from "../../thread";
import { stateWords, titleOf, writable } from "../../threads";
import { type Thread, threadsApi } from "../../threads-api";
import "../../styles/threads.css";
import { Composer } from "../Composer";
import { ErrorNote } from "../ErrorNote";
import { useEscape } from "../useListKeys";
import { archive, forgetActions, lastDone, lastFailure } from "./actions";
import { backTo } from "./back";
import { Rename } from "./Rename";

/** What is known of the conversation that is open. */
const open = signal<Thread | undefined>(undefined);
const openError = signal<ApiError | undefined>(undefined);
const missing = signal(false);

async function load(agent: string, id: string): Promise<void> {
  try {
    const { threads } = await threadsApi.of(agent);
    const found = threads.find(({ thread }) => thread === id);
    missing.value = found === undefined;
    if (found) open.value = { ...found, channel: agent };
    openError.value = undefined;
  } catch (error) {
    openError.value = failure(error);
  }
}

/** The name of the conversation that is shown alone, how it stands, and the way back. */
export function ThreadHead({ agent, thread: id }: { agent: string; thread: string }) {
  const renaming = useSignal(false);
  const list = backTo.value ?? hashOf({ view: "agent", name: agent, tab: "threads" });
  useEscape(useCallback(() => (location.hash = list), [list]));
  useEffect(() => {
    if (open.peek()?.thread !== id) open.value = undefined;
    missing.value = false;
    let told: string | undefined;
    const stop = agents.subscribe((list) => {
      // What happened to the agent may have happened here.
      const { status, waiting, running, last_turn: last, cost_usd: spent } = list?.find(({ name }) => name === agent) ?? {};
      const now = JSON.stringify([status, waiting, running?.turn, last?.turn, spent]);
      if (now === told && !openError.peek()) return;
      told = now;
      void load(agent, id);
    });
    return () => {
      stop();
      forgetActions();
    };
  }, []);
  const thread = open.value;
  const done = lastDone.value;
  const failed = lastFailure.value;
  return (
    <div class="thread-head">
      <div class="thread-line">
        <a class="button small" data-search-at href={list}>
          ‹ All threads
        </a>
        {thread && renaming.value ? (
          <Rename
            thread={thread}
            done={(now) => {
              renaming.value = false;
              if (now) open.value = { ...thread, ...now };
            }}
          />
        ) : (
          <h2>
            <bdi>{thread ? titleOf(thread) : missing.value ? "Unknown conversation" : "Conversation"}</bdi>
          </h2>
        )}
        {thread && !renaming.value ? (
          <>
            <span class="quiet thread-facts">
              {[thread.state === undefined ? "" : stateWords(thread.state), plural(thread.turns, "turn"), thread.cost_usd > 0 ? cost(thread.cost_usd) : "", thread.archived ? "archived" : ""].filter(Boolean).join(" · ")}
            </span>
            <button type="button" class="small" onClick={() => (renaming.value = true)}>
              Rename
            </button>
            <button type="button" class="small" onClick={() => void archive(thread, !thread.archived, (now) => (open.value = { ...thread, ...now }))}>
              {thread.archived ? "Bring back" : "Archive"}
            </button>
          </>
        ) : null}
      </div>
      <div role="status">
        {done ? (
          <p class="note">
            {done.words}{" "}
            <button type="button" class="link" onClick={() => void done.undo()}>
              Undo
            </button>
          </p>
        ) : null}
      </div>
      {missing.value ? (
        <p class="note">
          <bdi>{agent}</bdi> has no such conversation. It may have been removed, or belong to another agent.
        </p>
      ) : null}
      {failed ? (
        <ErrorNote error={failed.error}>
          <p>{failed.words}</p>
          <button type="button" onClick={() => void failed.again()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {openError.value && openError.value.status !== 0 ? (
        <ErrorNote error={openError.value}>
          <button type="button" onClick={() => void load(agent, id)}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
    </div>
  );
}

/** Writes into the conversation that is shown alone, where that can be. */
export function ThreadComposer({ name, thread: id }: { name: string; thread: string }) {
  const thread = open.value;
  if (!thread || thread.thread !== id) return null;
  const place = writable(thread, selectedAgent.value?.mode === "multi-threaded");
  if ("why" in place) {
    return (
      <div class="no-agent" role="note">
        <p>{place.why}</p>
        <a class="button primary" href={hashOf({ view: "agent", name })}>
          Write to {name}
        </a>
      </div>
    );
  }
  return <Composer name={name} slot={slotOf(name, id)} {...(place.subject === undefined ? {} : { subject: place.subject })} />;
}
