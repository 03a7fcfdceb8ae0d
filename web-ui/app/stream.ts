/** One live connection to the daemon's events, which mends itself. */
import type { AgentEvent, TurnEvent } from "./api";
import { bootOf } from "./fold/live";

export type Connection = "connecting" | "open" | "reconnecting" | "restarting";

export const TOLD = ["health", "jobs"] as const;
export type Told = (typeof TOLD)[number];

export interface StreamHandlers {
  event(boot: string, event: TurnEvent): void;
  agent(event: AgentEvent): void;
  /** Something else is not as it was: read it again. */
  told(kind: Told): void;
  /** Connected, for the first time or again: what was missed is to be loaded. */
  opened(): void;
  /** The gap cannot be replayed: the picture of running turns is void, they are replayed from their start. */
  resync(): void;
  connection(state: Connection): void;
  /** The server refused the stream, rather than being away: the caller finds out why (signed out, too many streams). */
  refused(): void;
}

/** The daemon pings every 15 s; two missed pings and a bit is a dead connection. */
const SILENCE_MS = 40_000;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;
/** A resync so soon after the last reopening would go round in circles. */
const RESYNC_PAUSE_MS = 5_000;

/**
 * Opens the stream; returns the function that closes it for good. An address that is good once is given as a function, which is
 * asked for another one before each try.
 */
export function openStream(address: string | (() => Promise<string>), handlers: StreamHandlers): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retry = FIRST_RETRY_MS;
  let heardAt = Date.now();
  let openedAnewAt = -Infinity;
  /** Of the tries: an address that comes late is for nobody. */
  let tries = 0;
  const reusable = typeof address === "string";

  const connect = (): void => {
    source?.close();
    source = undefined;
    clearTimeout(timer);
    timer = undefined;
    heardAt = openedAnewAt = Date.now();
    const own = ++tries;
    if (reusable) {
      listen(address);
      return;
    }
    address().then(
      (found) => {
        if (own === tries) listen(found);
      },
      () => {
        if (own !== tries) return;
        handlers.connection("reconnecting");
        handlers.refused();
        later();
      },
    );
  };

  const listen = (url: string): void => {
    const current = new EventSource(url);
    source = current;
    const on = (name: string, act: (event: MessageEvent<string>) => void): void => {
      current.addEventListener(name, (event) => {
        if (source !== current) return;
        heardAt = Date.now();
        act(event as MessageEvent<string>);
      });
    };
    on("open", () => {
      retry = FIRST_RETRY_MS;
      handlers.connection("open");
      handlers.opened();
    });
    on("turn", (message) => {
      const event = parseEvent<TurnEvent>(message.data);
      if (event) handlers.event(bootOf(message.lastEventId), event);
    });
    on("agent", (message) => {
      const event = parseEvent<AgentEvent>(message.data);
      if (event) handlers.agent(event);
    });
    for (const kind of TOLD) on(kind, () => handlers.told(kind));
    on("ping", () => {});
    on("resync", resync);
    on("shutdown", () => handlers.connection("restarting"));
    on("unauthorized", () => {
      handlers.refused();
      later();
    });
    current.addEventListener("error", () => {
      if (source !== current) return;
      handlers.connection("reconnecting");
      // In the other state the browser itself tries again, and tells the server the last event it saw.
      if (current.readyState === EventSource.CLOSED) handlers.refused();
      if (current.readyState === EventSource.CLOSED || !reusable) later();
    });
  };

  const later = (): void => {
    source?.close();
    clearTimeout(timer);
    timer = setTimeout(connect, retry);
    retry = Math.min(retry * 2, LAST_RETRY_MS);
  };

  const resync = (): void => {
    const soon = Date.now() - openedAnewAt < RESYNC_PAUSE_MS;
    if (soon) {
      handlers.opened();
      return;
    }
    handlers.resync();
    connect();
  };

  const watchdog = setInterval(() => {
    if (timer !== undefined || Date.now() - heardAt < SILENCE_MS) return;
    handlers.connection("reconnecting");
    connect();
  }, 5_000);

  // The machine has a network again: no need to wait for the next try.
  const online = (): void => {
    if (timer !== undefined) connect();
  };
  addEventListener("online", online);

  handlers.connection("connecting");
  connect();
  return () => {
    tries++;
    removeEventListener("online", online);
    source?.close();
    source = undefined;
    clearTimeout(timer);
    clearInterval(watchdog);
  };
}

function parseEvent<T>(data: string): T | undefined {
  try {
    return JSON.parse(data) as T;
  } catch {
    console.error("an event of the daemon was not JSON and is left out", data.slice(0, 200));
    return undefined;
  }
}
