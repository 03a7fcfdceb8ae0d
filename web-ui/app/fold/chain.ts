/** Who handed work to whom: the messages of a chain and their turns, as a tree. Pure. */
import type { MessageNote, TurnBrief } from "../turns";

export interface ChainNode {
  /** Id of the message. */
  message: string;
  agent: string;
  /** It reports the outcome of a turn. */
  callback: boolean;
  /** The beginning of the message. */
  text: string;
  at: string;
  turn?: TurnBrief;
  children: readonly ChainNode[];
}

/** A message of a chain stands below the turn that wrote it, a report below the turn that it reports; the first one on top. */
export function chainTree(first: string, notes: readonly MessageNote[], turns: readonly TurnBrief[]): ChainNode[] {
  const turnOf = new Map(turns.map((turn) => [turn.message, turn]));
  const messageOf = new Map(turns.map((turn) => [turn.turn, turn.message]));
  const unique = [...new Map(notes.map((note) => [note.id, note])).values()].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  const ids = new Set(unique.map((note) => note.id));
  const parents = new Map(unique.map((note) => [note.id, parentOf(note)]));

  function parentOf(note: MessageNote): string | undefined {
    if (note.id === first) return undefined;
    const written = word(note, "delegated_by");
    const direct = written ? messageOf.get(written) : undefined;
    if (direct && ids.has(direct)) return direct;
    // A report names no turn, but the agent that it is about: its last message before the report.
    const source = word(note, "source_channel") ?? /^(?:agent|callback):(.+)$/.exec(word(note, "sender") ?? "")?.[1];
    const before = unique.filter((other) => other.id !== note.id && other.createdAt <= note.createdAt && word(other, "agent") === source);
    return before.at(-1)?.id ?? (ids.has(first) ? first : undefined);
  }

  function build(note: MessageNote, above: ReadonlySet<string>): ChainNode {
    const turn = turnOf.get(note.id);
    const seen = new Set([...above, note.id]);
    const below = unique.filter((other) => parents.get(other.id) === note.id && !seen.has(other.id));
    return {
      message: note.id,
      agent: word(note, "agent") ?? "?",
      callback: word(note, "callback") === "true",
      text: (turn?.text ?? note.preview ?? "").trim(),
      at: note.createdAt,
      ...(turn ? { turn } : {}),
      children: below.map((child) => build(child, seen)),
    };
  }

  return unique.filter((note) => parents.get(note.id) === undefined).map((note) => build(note, new Set()));
}

/** Cost and number of all turns of a tree. */
export function chainTotals(nodes: readonly ChainNode[]): { turns: number; cost: number } {
  return nodes.reduce(
    (sum, node) => {
      const below = chainTotals(node.children);
      return { turns: sum.turns + below.turns + (node.turn ? 1 : 0), cost: sum.cost + below.cost + (node.turn?.cost_usd ?? 0) };
    },
    { turns: 0, cost: 0 },
  );
}

function word(note: MessageNote, key: string): string | undefined {
  const value = note.metadata?.[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}
