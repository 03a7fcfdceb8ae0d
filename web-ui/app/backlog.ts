/** Events of the turns that run now, for whoever opens a conversation while the page's one stream is open already. */
import type { TurnEvent } from "./api";

/** As many as the daemon itself replays of a turn. */
const KEPT = 4_096;

export type Numbered = readonly [boot: string, event: TurnEvent];

export class Backlog {
  private turns = new Map<string, { channel: string; boot: string; seq: number; events: TurnEvent[] }>();

  add(boot: string, event: TurnEvent): void {
    const { turn, channel, seq, kind } = event;
    if (kind === "done" || kind === "error" || kind === "stopped" || kind === "delivered") {
      this.turns.delete(turn);
      return;
    }
    const known = this.turns.get(turn);
    if (!known || known.boot !== boot) {
      this.turns.set(turn, { channel, boot, seq, events: [event] });
      return;
    }
    if (seq <= known.seq) return;
    known.seq = seq;
    // A text that has come as a whole stands for its pieces.
    if (kind === "text" && !event.parent) known.events = known.events.filter((earlier) => earlier.kind !== "text_delta");
    known.events.push(event);
    if (known.events.length > KEPT) known.events.shift();
  }

  of(channel: string): Numbered[] {
    const own = [...this.turns.values()].filter((turn) => turn.channel === channel);
    return own.flatMap(({ boot, events }) => events.map((event): Numbered => [boot, event])).sort((a, b) => a[1].seq - b[1].seq);
  }

  clear(): void {
    this.turns.clear();
  }
}
