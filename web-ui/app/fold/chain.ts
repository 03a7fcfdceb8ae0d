/** Who handed work to whom: the turns of a chain as a tree. Pure. */
import type { TurnBrief } from "../turns";

export interface ChainNode {
  turn: TurnBrief;
  /** It reports the outcome of a turn. */
  callback: boolean;
  children: readonly ChainNode[];
}

/** A turn stands below the one that asked for it, a report below the turn that it reports; what has neither is on top. */
export function chainTree(turns: readonly TurnBrief[]): ChainNode[] {
  const all = [...new Map(turns.map((turn) => [turn.turn, turn])).values()].sort((a, b) => (a.accepted_at < b.accepted_at ? -1 : 1));
  const ids = new Set(all.map((turn) => turn.turn));
  const askedBy = new Map(all.flatMap((turn) => (turn.children ?? []).map((child) => [child.turn, turn.turn] as const)));
  const parents = new Map(all.map((turn) => [turn.turn, parentOf(turn)]));

  function parentOf(turn: TurnBrief): string | undefined {
    const source = reported(turn);
    // A report names the agent that it is about: its last turn before the report.
    const told = source === undefined ? undefined : all.filter((other) => other !== turn && other.channel === source && other.accepted_at <= turn.accepted_at).at(-1);
    const parent = told?.turn ?? turn.delegated_by?.turn ?? askedBy.get(turn.turn);
    return parent !== undefined && parent !== turn.turn && ids.has(parent) ? parent : undefined;
  }

  function build(turn: TurnBrief, above: ReadonlySet<string>): ChainNode {
    const seen = new Set([...above, turn.turn]);
    const below = all.filter((other) => parents.get(other.turn) === turn.turn && !seen.has(other.turn));
    return { turn, callback: reported(turn) !== undefined, children: below.map((child) => build(child, seen)) };
  }

  const roots = all.filter((turn) => parents.get(turn.turn) === undefined).map((turn) => build(turn, new Set()));
  // Turns that name each other hang from none of them.
  const reached = new Set(roots.flatMap(everyTurn));
  for (const turn of all) {
    if (reached.has(turn.turn)) continue;
    const root = build(turn, new Set());
    for (const id of everyTurn(root)) reached.add(id);
    roots.push(root);
  }
  return roots;
}

function everyTurn({ turn, children }: ChainNode): string[] {
  return [turn.turn, ...children.flatMap(everyTurn)];
}

/** The agent whose outcome a turn was begun to hear. */
function reported(turn: TurnBrief): string | undefined {
  return /^callback:(.+)$/.exec(turn.sender ?? "")?.[1];
}

/** Cost and number of all turns of a tree. */
export function chainTotals(nodes: readonly ChainNode[]): { turns: number; cost: number } {
  return nodes.reduce(
    (sum, { turn, children }) => {
      const below = chainTotals(children);
      return { turns: sum.turns + below.turns + 1, cost: sum.cost + below.cost + turn.cost_usd };
    },
    { turns: 0, cost: 0 },
  );
}
