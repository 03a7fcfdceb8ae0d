import { isStopping, live } from "../conversation";
import { between, cost, duration, elapsed, fullTime, time } from "../format";
import { isEnded, type Turn } from "../fold/live";
import type { Row } from "../fold/rows";
import { now } from "../store";
import { Files } from "./Files";
import { SendAgain, Undelivered } from "./MessageRow";
import { Steps } from "./Steps";
import { Sentence, Text } from "./Text";
import { TurnId } from "./Steps";
import { past } from "../past";
import { usageDetail, usageWords, WhatItDid } from "./turn/TurnFacts";
import { CopyButton } from "./CopyButton";

/** A turn that the page watched: its steps, and how it ended. */
export function TurnRow({ row, agent, connected }: { row: Extract<Row, { kind: "turn" }>; agent: string; connected: boolean }) {
  const { turn } = row;
  const ended = isEnded(turn);
  return (
    <article class={`row outbound turn ${ended ? "" : "running"}`} aria-label={`${agent}, ${ended ? "ended" : "working"}`} aria-busy={!ended}>
      <header class="by">
        <bdi class="who">{agent}</bdi>
        {turn.model ? <span>{turn.model}</span> : null}
        {turn.startedAt ? (
          <time dateTime={turn.startedAt} title={fullTime(turn.startedAt)}>
            {time(turn.startedAt, now.value)}
          </time>
        ) : null}
        {ended && turn.reply ? <CopyButton text={turn.reply} label="Copy reply" /> : null}
      </header>
      <div class="bubble">
        <TurnId.Provider value={turn.id}>
          <Steps steps={row.steps} running={!ended} />
        </TurnId.Provider>
        {row.reply === undefined ? null : <Text text={row.reply} />}
        {ended ? null : <Working turn={turn} connected={connected} />}
        <Failed turn={turn} agent={agent} />
      </div>
      <Files files={row.files ?? []} />
      {turn.undelivered ? <Undelivered /> : null}
      {ended ? <Ending turn={turn} agent={agent} /> : null}
    </article>
  );
}

function Working({ turn, connected }: { turn: Turn; connected: boolean }) {
  const what = isStopping(turn.id) ? "Stopping…" : connected ? "Working" : "Working when last heard of";
  return (
    <p class="working">
      <span class="pulse" aria-hidden="true" />
      {what}
      <span class="quiet">{elapsed(between(turn.startedAt, now.value))}</span>
    </p>
  );
}

function Failed({ turn, agent }: { turn: Turn; agent: string }) {
  const { failure } = turn;
  if (!failure) return null;
  return (
    <section class="failure-card" aria-label="Failure">
      <p class="failure-title">This turn failed</p>
      <p>
        <Sentence text={failure.message} />
      </p>
      {failure.nextStep ? (
        <p>
          <strong>What to do:</strong> <Sentence text={failure.nextStep} />
        </p>
      ) : null}
      <p class="failure-foot">
        <code>{failure.code}</code>
        <SendAgain agent={agent} turn={turn.id} />
      </p>
    </section>
  );
}

function Ending({ turn, agent }: { turn: Turn; agent: string }) {
  const { usage } = turn;
  const facts = [
    turn.startedAt && turn.endedAt ? duration(between(turn.startedAt, turn.endedAt)) : undefined,
    turn.costUsd === undefined ? undefined : cost(turn.costUsd),
    usage ? usageWords(usage) : undefined,
  ].filter((fact) => fact !== undefined);
  const cut = turn.state === "cancelled" ? "Stopped" : turn.state === "interrupted" ? "Interrupted" : undefined;
  return (
    <p class="state quiet" title={usage ? usageDetail(usage) : undefined}>
      <span>{[cut, ...facts].filter(Boolean).join(" · ")}</span>
      {cut ? <SendAgain agent={agent} turn={turn.id} /> : null}
      {past.value.has(turn.id) && !live.value.turns.some(({ id }) => id === turn.id) ? <WhatItDid turn={turn.id} message={turn.message} /> : null}
    </p>
  );
}
