import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openStream } from "../app/stream";

/** The browser's EventSource, driven by the test. */
class Source extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = Source.CONNECTING;
  constructor(readonly url: string) {
    super();
    Source.all.push(this);
  }
  close(): void {
    this.readyState = Source.CLOSED;
  }
  open(): void {
    this.readyState = Source.OPEN;
    this.dispatchEvent(new Event("open"));
  }
  emit(name: string, data: unknown = {}, lastEventId = ""): void {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId }));
  }
  fail(readyState: number): void {
    this.readyState = readyState;
    this.dispatchEvent(new Event("error"));
  }
}

let log: string[];
let close: () => void;
const latest = (): Source => Source.all.at(-1) as Source;
const alive = (): number => Source.all.filter((source) => source.readyState !== Source.CLOSED).length;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
  Source.all = [];
  log = [];
  close = openStream("/events", {
    event: (boot, event) => log.push(`event ${boot} ${event.seq}`),
    told: (kind) => log.push(`told ${kind}`),
    agent: (event) => log.push(`agent ${event.channel} ${event.kind}`),
    opened: () => log.push("opened"),
    resync: () => log.push("resync"),
    connection: (state) => log.push(state),
    refused: () => log.push("refused"),
  });
});

afterEach(() => {
  close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("openStream with addresses that are good once", () => {
  let asked: number;
  let fail: boolean;
  const tick = async (): Promise<void> => {
    for (let n = 0; n < 5; n++) await Promise.resolve();
  };

  beforeEach(() => {
    close();
    Source.all = [];
    log = [];
    asked = 0;
    fail = false;
    const address = (): Promise<string> => (fail ? Promise.reject(new Error("no ticket")) : Promise.resolve(`/events?ticket=${++asked}`));
    close = openStream(address, {
      event: () => {}, agent: () => {}, told: () => {}, resync: () => {},
      opened: () => log.push("opened"), connection: (state) => log.push(state), refused: () => log.push("refused"),
    });
  });

  it("asks for another one before each try, and never has two streams", async () => {
    await tick();
    latest().open();
    // The browser would try again by itself, with the address that is used up.
    latest().fail(Source.CONNECTING);
    expect(alive()).toBe(0);
    await vi.advanceTimersByTimeAsync(1_000);
    latest().open();
    expect(Source.all.map(({ url }) => url)).toEqual(["/events?ticket=1", "/events?ticket=2"]);
    expect(log).toEqual(["connecting", "open", "opened", "reconnecting", "open", "opened"]);
    expect(alive()).toBe(1);
  });

  it("goes on trying while there is none, and opens none that comes after it was closed", async () => {
    await tick();
    fail = true;
    latest().fail(Source.CLOSED);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(log.slice(-2)).toEqual(["reconnecting", "refused"]);
    fail = false;
    await vi.advanceTimersByTimeAsync(2_000);
    latest().open();
    expect(log.at(-1)).toBe("opened");
    latest().fail(Source.CLOSED);
    const before = Source.all.length;
    vi.advanceTimersByTime(1_000);
    close();
    await tick();
    expect(Source.all.length).toBe(before);
  });
});

describe("openStream", () => {
  it("hands on events with the run that numbered them", () => {
    latest().open();
    latest().emit("turn", { seq: 7 }, "boot-a-7");
    expect(log).toEqual(["connecting", "open", "opened", "event boot-a 7"]);
  });

  it("leaves a dropped connection to the browser, and reloads when it is back", () => {
    latest().open();
    latest().fail(Source.CONNECTING);
    latest().open();
    expect(log).toEqual(["connecting", "open", "opened", "reconnecting", "open", "opened"]);
    expect(Source.all).toHaveLength(1);
  });

  it("tries again by itself, ever more slowly, when the server refuses", () => {
    for (const wait of [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      const tried = Source.all.length;
      latest().fail(Source.CLOSED);
      vi.advanceTimersByTime(wait - 1);
      expect(Source.all).toHaveLength(tried);
      vi.advanceTimersByTime(1);
      expect(Source.all).toHaveLength(tried + 1);
    }
    expect(alive()).toBe(1);
    expect(log.filter((entry) => entry === "refused")).toHaveLength(6);
  });

  it("replaces a connection that went silent, but not one that pings", () => {
    latest().open();
    for (let n = 0; n < 10; n++) {
      vi.advanceTimersByTime(15_000);
      latest().emit("ping");
    }
    expect(Source.all).toHaveLength(1);
    vi.advanceTimersByTime(46_000);
    expect([Source.all.length, alive(), log.at(-1)]).toEqual([2, 1, "reconnecting"]);
  });

  it("opens anew on resync, so that the running turn is replayed", () => {
    latest().open();
    vi.advanceTimersByTime(10_000);
    const old = latest();
    old.emit("resync", { reason: "gap" });
    expect(log.at(-1)).toBe("resync");
    expect([Source.all.length, alive()]).toEqual([2, 1]);
    old.emit("turn", { seq: 1 }, "b-1");
    expect(log.at(-1)).toBe("resync");
  });

  it("does not go round in circles when each connection begins with a resync", () => {
    latest().open();
    latest().emit("resync", { reason: "gap" });
    expect(Source.all).toHaveLength(1);
    expect(log.at(-1)).toBe("opened");
  });

  it("tells of a shutdown, and stays closed once closed", () => {
    latest().open();
    latest().emit("shutdown");
    expect(log.at(-1)).toBe("restarting");
    close();
    const told = log.length;
    latest().open();
    vi.advanceTimersByTime(120_000);
    expect([log.length, alive(), Source.all.length]).toEqual([told, 1, 1]);
  });

  it("tells what becomes of agents, and finds out why when it is let in no more", () => {
    latest().open();
    latest().emit("agent", { seq: 1, channel: "eng", kind: "changed" });
    latest().emit("unauthorized", { reason: "the session has ended" });
    expect(log.slice(3)).toEqual(["agent eng changed", "refused"]);
    expect(alive()).toBe(0);
    vi.advanceTimersByTime(1_000);
    expect(alive()).toBe(1);
  });

  it("does not wait for its next try when the machine has a network again", () => {
    latest().fail(Source.CLOSED);
    dispatchEvent(new Event("online"));
    expect([Source.all.length, alive()]).toEqual([2, 1]);
    dispatchEvent(new Event("online"));
    expect(Source.all).toHaveLength(2);
  });

  it("leaves out an event that is not JSON, and says so", () => {
    const complaint = vi.spyOn(console, "error").mockImplementation(() => {});
    latest().open();
    latest().dispatchEvent(new MessageEvent("turn", { data: "{" }));
    latest().emit("turn", { seq: 1 }, "b-1");
    expect([log.at(-1), complaint.mock.calls.length]).toEqual(["event b 1", 1]);
  });
});
