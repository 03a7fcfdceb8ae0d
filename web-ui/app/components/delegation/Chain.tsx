import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ChainNode, chainTotals, chainTree } from "../../fold/chain";
import { between, cost, duration, plural } from "../../format";
import { useAction } from "../../resource";
import { hashOf } from "../../route";
import { ApiError } from "../../api";
import { live } from "../../conversation";
import { type MessageNote, type TurnBrief, turnsApi } from "../../turns";
import { ErrorNote } from "../ErrorNote";

/** Who handed work to whom from the first message on, with states and cost; read when it is opened. */
export function Chain({ chain, vault, here }: { chain: string; vault: string | undefined; here: string }) {
  const open = useSignal(false);
  return (
    <details class="chain" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Handed on</summary>
      {open.value && vault ? <Tree chain={chain} vault={vault} here={here} /> : null}
    </details>
  );
}

/** The note that a chain began with. When it was removed the rest is shown all the same; any other failure is told. */
async function firstOf(chain: string, vault: string): Promise<MessageNote | undefined> {
  try {
    return await turnsApi.note(vault, chain);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

async function readChain(chain: string, vault: string): Promise<ChainNode[]> {
  const [first, rest] = await Promise.all([firstOf(chain, vault), turnsApi.chain(vault, chain)]);
  const notes = first ? [first, ...rest] : rest;
  const agents = [...new Set(notes.map((note) => note.metadata?.agent).filter((name) => typeof name === "string"))];
  const lists = await Promise.all(agents.map((name) => turnsApi.recent(name).then(({ turns }) => turns)));
  const own = lists.flat().filter((turn) => turn.chain === chain);
  return chainTree(chain, notes, own);
}

function Tree({ chain, vault, here }: { chain: string; vault: string; here: string }) {
  const nodes = useSignal<readonly ChainNode[] | undefined>(undefined);
  const action = useAction();
  // Something has happened in this conversation: the tree may be another one.
  const seen = live.value.turns.map((turn) => turn.state).join();
  useEffect(() => {
    void action.run(async () => (nodes.value = await readChain(chain, vault)));
  }, [chain, vault, seen]);
  if (action.error.value) return <ErrorNote error={action.error.value} />;
  if (!nodes.value) return <p class="quiet">Loading…</p>;
  const totals = chainTotals(nodes.value);
  return (
    <>
      <ul class="chain-tree" aria-label="Who handed work to whom">
        {nodes.value.map((node) => (
          <Node key={node.message} node={node} here={here} />
        ))}
      </ul>
      <p class="hint">
        {plural(totals.turns, "turn")} · {cost(totals.cost)} in all
      </p>
    </>
  );
}

const WORDS: Readonly<Record<TurnBrief["state"], string>> = {
  waiting: "waiting", working: "working", joined: "part of another turn", ok: "done", error: "failed", cancelled: "stopped", interrupted: "interrupted",
};

function Node({ node, here }: { node: ChainNode; here: string }) {
  const { turn } = node;
  const took = turn?.claimed_at && turn.settled_at ? duration(between(turn.claimed_at, turn.settled_at)) : undefined;
  const facts = [turn && turn.cost_usd > 0 ? cost(turn.cost_usd) : undefined, took].filter(Boolean).join(" · ");
  const current = node.message === here;
  return (
    <li>
      <div class={`chain-node ${current ? "here" : ""}`}>
        <span class={`chain-mark ${turn?.state ?? "gone"}`} aria-hidden="true" />
        <a href={hashOf({ view: "agent", name: node.agent, message: node.message })} aria-current={current ? "true" : undefined}>
          {node.agent}
        </a>
        <span class="quiet">
          {node.callback ? "got the report, " : ""}
          {turn ? (turn.held ? "held back" : WORDS[turn.state]) : "older than what is listed"}
          {facts ? ` · ${facts}` : ""}
        </span>
        <bdi class="chain-text">{node.text}</bdi>
      </div>
      {node.children.length > 0 ? (
        <ul>
          {node.children.map((child) => (
            <Node key={child.message} node={child} here={here} />
          ))}
        </ul>
      ) : null}
    </li>
  );
}
