import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { onTold } from "../../events";
import { fullTime, plural, time } from "../../format";
import { fromNow } from "../../jobs/when";
import { useAction, useResource } from "../../resource";
import { hashOf } from "../../route";
import { now, refreshHealth } from "../../store";
import { type Bridge, type BridgeMessage, systemApi } from "../../system/api";
import { bridgeKind, bridgeState, bridgeTitle } from "../../system/words";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Failed, Mend } from "./Parts";

/** Bridges and webhooks: how they do, and what they have not delivered. */
export function BridgesPart() {
  const list = useResource(systemApi.bridges);
  const bridges = list.value.value?.bridges;
  useEffect(() => onTold("health", () => void list.load()), []);
  const changed = async (): Promise<void> => {
    await Promise.all([list.load(), refreshHealth()]);
  };
  if (list.error.value && !bridges) return <Failed error={list.error.value} again={() => void list.load()} what="its bridges" elsewhere="Type `reveille bridge list` on its machine." />;
  if (!bridges) return <p class="quiet">Loading…</p>;
  return (
    <section class="stack" aria-label="Bridges">
      {bridges.length === 0 ? (
        <div class="empty">
          <p>
            <strong>There are no bridges.</strong>
          </p>
          <p>A bridge lets people reach an agent from where they are, such as a chat of Telegram, and brings them its answers.</p>
          <Mend text="Type `reveille bridge add phone --kind telegram`, with `--agent` and the name of an agent." />
        </div>
      ) : (
        <ul class="cards">
          {bridges.map((bridge) => (
            <BridgeCard key={bridge.name} bridge={bridge} changed={changed} />
          ))}
        </ul>
      )}
      {list.error.value ? <ErrorNote error={list.error.value} /> : null}
    </section>
  );
}

function BridgeCard({ bridge, changed }: { bridge: Bridge; changed: () => Promise<void> }) {
  const { name, kind, state, error, waiting, undelivered } = bridge;
  const action = useAction();
  const open = useSignal(false);
  const said = useSignal("");
  const [word, tone] = bridgeState(state);
  const title = bridgeTitle(bridge);
  const given = undelivered ?? 0;
  const gone = state === "removed";
  const again = async (): Promise<void> => {
    said.value = "";
    const done = await action.run(async () => {
      const { retried } = await systemApi.redrive(name);
      said.value = retried === 0 ? "Nothing was left to send." : `${plural(retried, "message")} on the way again.`;
    });
    if (done) await changed();
  };
  const remove = async (): Promise<void> => {
    if (await action.run(() => systemApi.removeBridge(name))) await changed();
  };
  return (
    <li class="card" aria-label={title}>
      <div class="card-head">
        <h2>
          <bdi>{title}</bdi>
        </h2>
        <span class={`tag ${tone}`}>{word}</span>
      </div>
      <p class="card-line">
        <Facts bridge={bridge} />
      </p>
      {error ? (
        <p class="bad-text">
          <Sentence text={error} />
        </p>
      ) : null}
      {gone ? <Mend text={`It is sent when a bridge of this name is added again. Type \`reveille bridge remove ${name.slice(kind.length + 1)} --discard\` to throw it away.`} /> : null}
      {given > 0 || (waiting ?? 0) > 0 || bridge.removable ? (
        <div class="row-actions">
          {!gone && (given > 0 || (waiting ?? 0) > 0) ? (
            <button type="button" class="small" disabled={action.busy.value} onClick={() => void again()}>
              {action.busy.value ? "Sending…" : given > 0 ? `Send ${given} again` : "Send now"}
              <span class="visually-hidden"> of {title}</span>
            </button>
          ) : null}
          {given > 0 ? (
            <button type="button" class="link" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
              {open.value ? "Hide what was given up" : "What was given up"}
              <span class="visually-hidden"> by {title}</span>
            </button>
          ) : null}
          {bridge.removable ? <Confirm label="Remove…" question={`Remove ${title}? Messages from there reach nobody then.`} yes="Remove" onYes={() => void remove()} /> : null}
        </div>
      ) : null}
      <p role="status">{said.value}</p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      {open.value && given > 0 ? <GivenUp bridge={bridge} changed={changed} /> : null}
    </li>
  );
}

function Facts({ bridge: { kind, agent, sessions, next_try_at: next, state, waiting, undelivered } }: { bridge: Bridge }) {
  const facts = [
    sessions > 0 ? `${plural(sessions, "session")} listening` : "",
    waiting ? `${waiting} waiting` : "",
    undelivered ? `${undelivered} given up` : "",
    // Without figures, though it keeps what it sends.
    kind !== "http-ui" && waiting === null ? "what it has to send cannot be counted" : "",
  ].filter(Boolean);
  return (
    <>
      {bridgeKind(kind)}
      {agent ? (
        <>
          {" for "}
          <a href={hashOf({ view: "agent", name: agent })}>
            <bdi>{agent}</bdi>
          </a>
        </>
      ) : null}
      {facts.map((fact) => ` · ${fact}`)}
      {next && state === "retrying" ? (
        <>
          {" · "}
          <span title={fullTime(next)}>{`next try ${fromNow(next, now.value)}`}</span>
        </>
      ) : null}
    </>
  );
}

/** Each message that was given up, with the reason. */
function GivenUp({ bridge, changed }: { bridge: Bridge; changed: () => Promise<void> }) {
  const list = useResource(() => systemApi.bridgeUndelivered(bridge.name));
  const more = useSignal<readonly BridgeMessage[]>([]);
  const cursor = useSignal<number | null | undefined>(undefined);
  const action = useAction();
  const first = list.value.value;
  if (list.error.value && !first) return <ErrorNote error={list.error.value} />;
  if (!first) return <p class="quiet">Loading…</p>;
  const next = cursor.value === undefined ? first.next_cursor : cursor.value;
  const again = async (id: string): Promise<void> => {
    if (!(await action.run(() => systemApi.redrive(bridge.name, id)))) return;
    more.value = [];
    cursor.value = undefined;
    await Promise.all([list.load(), changed()]);
  };
  return (
    <>
      <ul class="given-up" aria-label="Given up">
        {[...first.messages, ...more.value].map((message) => (
          <li key={message.id}>
            <p>
              <Sentence text={message.last_error ?? "It is not known why."} />
            </p>
            <p class="card-line">
              <time dateTime={message.since_at} title={fullTime(message.since_at)}>
                {time(message.since_at, now.value)}
              </time>
              {` · ${plural(message.attempts, "try").replace("trys", "tries")}`}
              {message.lane ? (
                <>
                  {" · to "}
                  <bdi>{message.lane}</bdi>
                </>
              ) : null}
            </p>
            {bridge.state === "removed" ? null : (
              <button type="button" class="link" disabled={action.busy.value} onClick={() => void again(message.id)} aria-label={`Send again: ${message.id}`}>
                Send again
              </button>
            )}
          </li>
        ))}
      </ul>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      {next !== null && next !== undefined ? (
        <button
          type="button" class="small" disabled={action.busy.value}
          onClick={() =>
            void action.run(async () => {
              const page = await systemApi.bridgeUndelivered(bridge.name, next);
              more.value = [...more.value, ...page.messages];
              cursor.value = page.next_cursor;
            })
          }
        >
          Show more
        </button>
      ) : null}
    </>
  );
}
