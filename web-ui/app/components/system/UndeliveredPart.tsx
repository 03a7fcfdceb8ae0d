import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { onTold } from "../../events";
import { fullTime, plural, time } from "../../format";
import { fromNow } from "../../jobs/when";
import { useAction, useResource } from "../../resource";
import { hashOf } from "../../route";
import { now, refreshHealth } from "../../store";
import { systemApi, type Undelivered } from "../../system/api";
import { effectWord } from "../../system/words";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Failed } from "./Parts";

/** What turns have left to do, and the vaults have not taken. */
export function UndeliveredPart() {
  const list = useResource(() => systemApi.undelivered());
  const more = useSignal<readonly Undelivered[]>([]);
  const cursor = useSignal<number | null | undefined>(undefined);
  const action = useAction();
  const said = useSignal("");
  const first = list.value.value;
  useEffect(() => onTold("health", () => void list.load()), []);
  const retry = async (turn?: string): Promise<void> => {
    said.value = "";
    const done = await action.run(async () => {
      const { retried } = await systemApi.retry(turn);
      said.value = retried === 0 ? "Nothing was left to try: it has gone out meanwhile." : `${plural(retried, "delivery").replace("deliverys", "deliveries")} tried again. What goes out leaves this list.`;
    });
    if (!done) return;
    more.value = [];
    cursor.value = undefined;
    await Promise.all([list.load(), refreshHealth()]);
  };
  if (list.error.value && !first) return <Failed error={list.error.value} again={() => void list.load()} what="what is undelivered" elsewhere="Type `reveille undelivered list` on its machine." />;
  if (!first) return <p class="quiet">Loading…</p>;
  const next = cursor.value === undefined ? first.next_cursor : cursor.value;
  const shown = [...first.undelivered, ...more.value];
  const parked = shown.filter(({ state }) => state === "parked").length;
  return (
    <section class="stack" aria-label="Undelivered">
      {first.total === 0 ? (
        <div class="empty">
          <p>
            <strong>Everything is delivered.</strong>
          </p>
          <p>When a vault does not take a reply, it waits here, and goes out by itself once the vault is back.</p>
        </div>
      ) : (
        <>
          <div class="row-actions">
            <button type="button" class="primary" disabled={action.busy.value} onClick={() => void retry()}>
              {action.busy.value ? "Trying…" : "Try all again now"}
            </button>
            <span class="quiet">
              {plural(first.total, "thing")} kept.{" "}
              {parked > 0 ? `${parked} of them ${parked === 1 ? "was" : "were"} refused for good: mend the cause, then try again.` : "They are tried again by themselves."}
            </span>
          </div>
          <ul class="cards">
            {shown.map((effect, index) => (
              <Effect key={`${effect.turn} ${effect.kind} ${index}`} effect={effect} busy={action.busy.value} retry={() => void retry(effect.turn)} />
            ))}
          </ul>
        </>
      )}
      <p role="status">{said.value}</p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      {list.error.value && first ? <ErrorNote error={list.error.value} /> : null}
      {next !== null && next !== undefined ? (
        <button
          type="button" disabled={action.busy.value}
          onClick={() =>
            void action.run(async () => {
              const page = await systemApi.undelivered(next);
              more.value = [...more.value, ...page.undelivered];
              cursor.value = page.next_cursor;
            })
          }
        >
          Show more
        </button>
      ) : null}
    </section>
  );
}

function Effect({ effect, busy, retry }: { effect: Undelivered; busy: boolean; retry: () => void }) {
  const { kind, channel, vault, attempts, last_error: why, since_at: since, next_try_at: next, state } = effect;
  const parked = state === "parked";
  return (
    <li class="card" aria-label={`${effectWord(kind)} of ${channel}`}>
      <div class="card-head">
        <h2>
          {effectWord(kind)} of{" "}
          <a href={hashOf({ view: "agent", name: channel })}>
            <bdi>{channel}</bdi>
          </a>
        </h2>
        <span class={`tag ${parked ? "bad" : "waiting"}`}>{parked ? "Refused for good" : "Waits"}</span>
      </div>
      <p class="card-line">
        Since{" "}
        <time dateTime={since} title={fullTime(since)}>
          {time(since, now.value)}
        </time>
        {` · ${plural(attempts, "try").replace("trys", "tries")} · `}
        {parked ? "not tried again by itself" : next ? <span title={fullTime(next)}>{`next try ${fromNow(next, now.value)}`}</span> : "waits for what stands before it"}
        {vault ? ` · vault ${vault}` : ""}
      </p>
      {why ? (
        <p class="bad-text">
          <Sentence text={why} />
        </p>
      ) : null}
      <div class="row-actions">
        <button type="button" class="small" disabled={busy} onClick={retry} aria-label={`Try again now: ${effectWord(kind)} of ${channel}`}>
          Try again now
        </button>
      </div>
    </li>
  );
}
