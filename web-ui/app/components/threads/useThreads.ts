import { type Signal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { agents } from "../../store";
import { belongs } from "../../threads";
import { ALL_THREADS, type Thread, type ThreadFilter, threadsApi, type Unsearched } from "../../threads-api";
import { type Pages, usePages } from "../usePages";

const PAGE = 50;
/** How long after a key was pressed the search goes out. */
const TYPING_MS = 200;
/** What changes together is read together. */
const SOON_MS = 250;

/** How a list was narrowed, kept while the page is open: coming back shows it so again. By agent; of all agents: blank. */
const filters = new Map<string, Signal<ThreadFilter>>();

function filterOf(agent: string): Signal<ThreadFilter> {
  const known = filters.get(agent);
  if (known) return known;
  const fresh = signal<ThreadFilter>({ ...ALL_THREADS, agent });
  filters.set(agent, fresh);
  return fresh;
}

export interface ThreadList extends Pages<Thread> {
  filter: Signal<ThreadFilter>;
  /** Vaults that the search left out. */
  unsearched: Signal<readonly Unsearched[]>;
  narrow(change: Partial<ThreadFilter>): void;
  /** Shows a conversation as it is now, or no more. */
  put(thread: Thread): void;
}

/** Conversations by last activity, in pages; read again when something happened to an agent. */
export function useThreads(agent = ""): ThreadList {
  const filter = filterOf(agent);
  const unsearched = useSignal<readonly Unsearched[]>([]);
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const pages = usePages<Thread>(
    async (cursor) => {
      const { threads, next_cursor: next, unsearched: left } = await threadsApi.list(filter.peek(), PAGE, cursor);
      unsearched.value = left;
      return { items: threads, next: next ?? undefined };
    },
    ({ thread }) => thread,
    () => `threads ${agent} ${JSON.stringify(filter.peek())}`,
  );
  const { items, load, error } = pages;

  useEffect(() => () => clearTimeout(typing.current), []);
  const narrow = (change: Partial<ThreadFilter>): void => {
    filter.value = { ...filter.peek(), ...change };
    clearTimeout(typing.current);
    typing.current = setTimeout(() => void load(true), "text" in change ? TYPING_MS : 0);
  };
  const put = (thread: Thread): void => {
    items.value = items.peek()?.flatMap((other) => {
      if (other.thread !== thread.thread) return [other];
      const now = { ...other, ...thread, match: other.match ?? null };
      return belongs(filter.peek(), now) ? [now] : [];
    });
  };
  useWhatHappens(() => void load(), () => error.peek() !== undefined);
  return { ...pages, filter, unsearched, narrow, put };
}

/** Loads now, when the reader comes back, and when agents have something new to tell. */
function useWhatHappens(load: () => void, failed: () => boolean): void {
  useEffect(() => {
    let soon: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      if (document.hidden) return;
      soon ??= setTimeout(() => {
        soon = undefined;
        load();
      }, SOON_MS);
    };
    load();
    let told = digest();
    const stop = agents.subscribe(() => {
      const now = digest();
      if (now !== told || failed()) look();
      told = now;
    });
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      stop();
      clearTimeout(soon);
      removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
}

/** What of the agents has to do with their conversations. */
function digest(): string {
  return JSON.stringify(agents.peek()?.map(({ name, status, waiting, running, last_turn: last, cost_usd: cost }) => [name, status, waiting, running?.turn, last?.turn, last?.outcome, cost]));
}
