import { useSignal } from "@preact/signals";
import { draftOf, partOf, withPart } from "../../agent/draft";
import { keep, keyOf, lookAt, onTopOf, unsavedOf } from "../../agent/unsaved";
import { api } from "../../api";
import { turnFacts } from "../../conversation";
import { count, fullTime, plural, time } from "../../format";
import { useAction } from "../../resource";
import { hashOf } from "../../route";
import { decisionOf, egressRows, type EgressRow, type Sandbox, withRule } from "../../sandbox";
import { go, minute, selectedAgent } from "../../store";
import { turnsApi } from "../../turns";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";

/** Turns of a row that are named; the rest are counted. */
const NAMED = 3;

/** What the last turns have tried to reach: what was refused first, with a way to allow it. */
export function Egress({ agent, sandbox }: { agent: string; sandbox: Sandbox }) {
  const { turns, network } = sandbox;
  const rows = egressRows(turns);
  const refused = rows.filter(({ decision }) => decision.startsWith("refused"));
  const told = useSignal("");
  return (
    <section class="card" aria-labelledby="egress-title">
      <div class="card-head">
        <h2 id="egress-title">What its last turns tried to reach</h2>
        {refused.length > 0 ? <span class="tag bad">{plural(refused.length, "host")} refused</span> : null}
      </div>
      {network.value === "open" ? (
        <p class="card-line">Its network is open, so nothing is counted but the requests that the daemon adds a credential to.</p>
      ) : null}
      {rows.length === 0 ? (
        <p class="quiet">{none(turns.length, network.value === "open" || !sandbox.confined)}</p>
      ) : (
        <>
          <p class="card-line">
            In {plural(turns.length, "turn")} since {time(turns.at(-1)?.since_at ?? "", minute.value)}. To allow a host opens the definition with it; nothing is saved before you do.
          </p>
          <ul class="lines egress" aria-label="Hosts">
            {rows.map((row) => (
              <Row key={`${row.decision} ${row.host}:${row.port}`} agent={agent} row={row} allowed={sandbox.egress} told={(text) => (told.value = text)} />
            ))}
          </ul>
        </>
      )}
      <p class="visually-hidden" role="status">
        {told.value}
      </p>
    </section>
  );
}

function none(turns: number, uncounted: boolean): string {
  if (turns === 0) return "No turn of it has run since the daemon was started.";
  if (uncounted) return "What its turns reached is not known.";
  return turns === 1 ? "Its last turn tried to reach nothing." : `Its last ${turns} turns tried to reach nothing.`;
}

function Row({ agent, row, allowed, told }: { agent: string; row: EgressRow; allowed: readonly string[]; told: (text: string) => void }) {
  const { host, port, decision, rule } = row;
  const { label, tone, why } = decisionOf(decision);
  const action = useAction();
  const since = rule !== undefined && allowed.includes(rule);
  const many = host === "*";
  return (
    <li class="line-row" aria-label={many ? `More hosts, ${label.toLowerCase()}` : `${host}:${port}, ${label.toLowerCase()}`}>
      <div class="line-what">
        <span class={`tag ${tone}`}>{label}</span>
        {many ? (
          <span>more hosts than are counted</span>
        ) : (
          <code class="host">
            {host}:{port}
          </code>
        )}
        <span class="quiet">
          {count(row.count)} {row.count === 1 ? "time" : "times"}, <Turns agent={agent} row={row} />
        </span>
      </div>
      {rule && since ? <span class="quiet">Allowed since</span> : null}
      {rule && !since ? (
        <button type="button" class="small" aria-label={`Allow this host, ${host}:${port}…`} disabled={action.busy.value} onClick={() => void action.run(() => allow(agent, rule, told))}>
          {action.busy.value ? "Opening…" : "Allow this host…"}
        </button>
      ) : null}
      {why ? (
        <p class="quiet">
          <Sentence text={why} />
        </p>
      ) : null}
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
    </li>
  );
}

/** Opens the form of the definition with one host more. What is unsaved there stays. */
async function allow(agent: string, rule: string, told: (text: string) => void): Promise<void> {
  const { vault, note_id: id } = selectedAgent.peek() ?? {};
  if (!vault || !id) return;
  const key = keyOf(vault, id);
  const theirs = draftOf(await api.note(vault, id));
  const kept = unsavedOf(key);
  const laid = kept ? onTopOf(kept, theirs).unsaved : { draft: theirs, base: theirs, open: true };
  keep(key, { ...laid, draft: withPart(laid.draft, "egress", withRule(partOf(laid.draft, "egress"), rule)), open: true });
  lookAt.value = { key, part: "egress" };
  told(`The definition is open, with ${rule} among its hosts.`);
  go({ view: "agent", name: agent, tab: "definition" });
}

/** Links to what was said in the turns; of many the latest. */
function Turns({ agent, row }: { agent: string; row: EgressRow }) {
  const named = row.turns.slice(0, NAMED);
  const rest = row.turns.length - named.length;
  return (
    <>
      {row.turns.length === 1 ? "turn of " : "turns of "}
      {named.map(({ turn, at }, index) => (
        <span key={turn}>
          {index > 0 ? ", " : ""}
          <TurnLink agent={agent} turn={turn} at={at} />
        </span>
      ))}
      {rest > 0 ? ` and ${rest} more` : ""}
    </>
  );
}

function TurnLink({ agent, turn, at }: { agent: string; turn: string; at: string }) {
  const known = turnFacts.value.get(turn)?.message;
  const asking = useAction();
  const label = time(at, minute.value) || "a turn";
  if (known) {
    return (
      <a href={hashOf({ view: "agent", name: agent, message: known })} title={fullTime(at)}>
        {label}
      </a>
    );
  }
  // Which message it answers is asked for when somebody wants to see it.
  const follow = async (event: Event): Promise<void> => {
    event.preventDefault();
    await asking.run(async () => go({ view: "agent", name: agent, message: (await turnsApi.turn(turn)).message }));
  };
  return (
    <>
      <a href={hashOf({ view: "agent", name: agent })} title={fullTime(at)} onClick={(event) => void follow(event)}>
        {label}
      </a>
      {asking.error.value ? <span class="bad-text"> ({asking.error.value.message})</span> : null}
    </>
  );
}
