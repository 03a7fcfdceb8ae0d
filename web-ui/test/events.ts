import type { TurnEvent } from "../app/api";
import { fold, type Live, NOTHING } from "../app/fold/live";

type Body = TurnEvent extends infer E ? (E extends TurnEvent ? Omit<E, "seq" | "channel" | "turn" | "message" | "at"> : never) : never;

/** Events of one turn, numbered from `from`, a second apart. */
export function events(bodies: readonly Body[], turn = "t1", message = "m1", from = 1): TurnEvent[] {
  return bodies.map((body, index) => {
    const seq = from + index;
    return { ...body, seq, channel: "eng", turn, message, at: at(seq) } as TurnEvent;
  });
}

export function at(second: number): string {
  return new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
}

export function foldAll(list: readonly TurnEvent[], live: Live = NOTHING, boot = "b"): Live {
  return list.reduce((state, event) => fold(state, boot, event), live);
}
