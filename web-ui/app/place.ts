import type { Place, TurnBrief } from "./turns";

/** Where a message goes that is moved by so many places. Others of its conversation count: the daemon moves within one. */
export function placeAfter(waiting: readonly TurnBrief[], turn: TurnBrief, by: number): Place | undefined {
  const own = waiting.filter((other) => other.thread === turn.thread);
  const at = own.findIndex((other) => other.turn === turn.turn);
  const to = Math.min(Math.max(at + by, 0), own.length - 1);
  if (at < 0 || to === at) return undefined;
  if (to === 0) return "first";
  if (to === own.length - 1) return "last";
  const before = own[to > at ? to + 1 : to];
  return before ? { before: before.turn } : undefined;
}
