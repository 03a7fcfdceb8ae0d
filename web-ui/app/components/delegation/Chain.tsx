import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { live } from "../../conversation";
import type { ChildTurn } from "../../conversation-api";
import { type ChainNode, chainTotals, chainTree } from "../../fold/chain";
import { between, cost, duration, plural, unturned } from "../../format";
import { useAction } from "../../resource";
import { hashOf } from "../../route";
import { type TurnBrief, turnsApi } from "../../turns";
import { ErrorNote } from "../ErrorNote";

const WORDS: Readonly<Record<TurnBrief["state"], string>> = {
  waiting: "waiting", working: "working", joined: "part of another turn", ok: "done", error: "failed", cancelled: "stopped", interrupted: "interrupted",
};

/** The turns that one turn has asked for, and how they stand. */
export function Children({ turns }: { turns: readonly ChildTurn[] }) {
  if (turns.length === 0) return null;
  return (
    <p class="state quiet children">
      <span>Handed on to</span>
      {turns.map(({ agent, turn, state, cost_usd }) => (
        <span key={turn} class="child">
          <span class={`chain-mark ${state}`} aria-hidden="true" />
          <a href={hashOf({ view: "agent", name: agent })}>{agent}</a> {WORDS[state]}
          {cost_usd > 0 ? ` · ${cost(cost_usd)}` : ""}
        </span>
      ))}
    </p>
  );
}

/** Who handed work to whom from the first message on, with states and cost; read when it is opened. */
export function Chain({ chain, here }: { chain: string; here: string }) {
  const open = useSignal(false);
  return (
    <details class="chain" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>The whole chain</summary>
      {open.value ? <Tree chain={chain} here={here} /> : null}
    </details>
  );
}

function Tree({ chain, here }: { chain: string; here: string }) {
  const nodes = useSignal<readonly ChainNode[] | undefined>(undefined);
  const action = useAction();
  const read = (): void => void action.run(async () => (nodes.value = chainTree((await turnsApi.chain(chain)).turns)));
  // Something has happened in this conversation: the tree may be another one.
  const seen = live.value.turns.map((turn) => turn.state).join();
  useEffect(read, [chain, seen]);
  if (action.error.value) {
    return (
      <ErrorNote error={action.error.value}>
        <button type="button" onClick={read}>
          Try again
        </button>
      </ErrorNote>
    );
  }
  if (!nodes.value) return <p class="quiet">Loading…</p>;
  if (nodes.value.length === 0) return <p class="quiet">The turns of this chain are not kept any more.</p>;
  const totals = chainTotals(nodes.value);
  return (
    <>
      <ul class="chain-tree" aria-label="Who handed work to whom">
        {nodes.value.map((node) => (
          <Node key={node.turn.turn} node={node} here={here} />
        ))}
      </ul>
      <p class="hint">
        {plural(totals.turns, "turn")} · {cost(totals.cost)} in all
      </p>
    </>
  );
}

function Node({ node: { turn, callback, children }, here }: { node: ChainNode; here: string }) {
  const took = turn.duration_ms ?? (turn.claimed_at && turn.settled_at ? between(turn.claimed_at, turn.settled_at) : undefined);
  const facts = [turn.cost_usd > 0 ? cost(turn.cost_usd) : undefined, took === undefined ? undefined : duration(took)].filter(Boolean).join(" · ");
  const current = turn.message === here;
  return (
    <li>
      <div class={`chain-node ${current ? "here" : ""}`}>
        <span class={`chain-mark ${turn.state}`} aria-hidden="true" />
        <a href={hashOf({ view: "agent", name: turn.channel, message: turn.message })} aria-current={current ? "true" : undefined}>
          {turn.channel}
        </a>
        <span class="quiet">
          {callback ? "got the report, " : ""}
          {turn.held ? "held back" : WORDS[turn.state]}
          {facts ? ` · ${facts}` : ""}
        </span>
        <bdi class="chain-text">{unturned((turn.text ?? "").trim())}</bdi>
      </div>
      {children.length > 0 ? (
        <ul>
          {children.map((child) => (
            <Node key={child.turn.turn} node={child} here={here} />
          ))}
        </ul>
      ) : null}
    </li>
  );
}
