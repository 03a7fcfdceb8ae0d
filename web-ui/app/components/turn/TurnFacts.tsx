import type { Message, Usage } from "../../api";
import { turnFacts } from "../../conversation";
import { between, cost, count, duration } from "../../format";
import { closeSteps, openSteps, past, reading } from "../../past";
import { ErrorNote } from "../ErrorNote";
import { Children } from "../delegation/Chain";

/** What a turn took that the page has not watched: time, cost and tokens. With the answer alone, though the message says the same. */
export function TurnFacts({ message, turn }: { message: Message; turn: string }) {
  const facts = turnFacts.value.get(turn);
  const settled = facts?.claimed_at && facts.settled_at ? between(facts.claimed_at, facts.settled_at) : undefined;
  const took = message.duration_ms ?? facts?.duration_ms ?? settled;
  const paid = message.cost_usd ?? facts?.cost_usd;
  const usage = message.usage ?? facts?.usage;
  const told = [took == null ? "" : duration(took), paid == null ? "" : cost(paid), usage ? usageWords(usage) : "", facts?.model ?? ""].filter(Boolean);
  return (
    <>
      {facts?.notices?.map((notice) => (
        <p key={notice} class="notice" role="note">
          {notice}
        </p>
      ))}
      <p class="state quiet" title={usage ? usageDetail(usage) : undefined}>
        {told.length > 0 ? <span>{told.join(" · ")}</span> : null}
        <WhatItDid turn={turn} message={message.in_reply_to ?? facts?.message ?? ""} />
      </p>
      <NotTold turn={turn} />
      <Children turns={facts?.children ?? []} />
    </>
  );
}

/** Shows the steps of a turn that has ended, and puts them away again. */
export function WhatItDid({ turn, message }: { turn: string; message: string }) {
  if (past.value.has(turn)) {
    return (
      <button type="button" class="link opener" aria-expanded={true} onClick={() => closeSteps(turn)}>
        Hide what it did
      </button>
    );
  }
  const state = reading.value.get(turn);
  if (!message || (state !== undefined && state !== "now" && state.status === 404)) return null;
  return (
    <button type="button" class="link opener" aria-expanded={false} disabled={state === "now"} onClick={() => void openSteps(turn, message)}>
      {state === "now" ? "Reading…" : state ? "Try again" : "What it did"}
    </button>
  );
}

/** Why the steps of a turn cannot be shown. */
export function NotTold({ turn }: { turn: string }) {
  const state = reading.value.get(turn);
  if (state === undefined || state === "now") return null;
  if (state.status === 404) return <p class="state quiet">What happened in this turn is not kept any more.</p>;
  return <ErrorNote error={state} />;
}

export function usageWords(usage: Usage): string {
  const taken = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
  const cached = usage.cache_read_tokens > 0 ? ` (${count(usage.cache_read_tokens)} from cache)` : "";
  return `${count(taken)} tokens in${cached}, ${count(usage.output_tokens)} out`;
}

export function usageDetail(usage: Usage): string {
  return `New input ${usage.input_tokens}, read from cache ${usage.cache_read_tokens}, written to cache ${usage.cache_write_tokens}, output ${usage.output_tokens}`;
}
