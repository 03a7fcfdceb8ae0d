import { batch, type ReadonlySignal, type Signal, signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../api";
import { agents, failure } from "../../store";
import { belongs } from "../../threads";
import { ALL_THREADS, type Thread, type ThreadFilter, threadsApi } from "../../threads-api";

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

export interface ThreadList {
  filter: Signal<ThreadFilter>;
  /** `undefined` until first loaded; what was last seen stays when a reload fails. */
  threads: ReadonlySignal<readonly Thread[] | undefined>;
  more: ReadonlySignal<boolean>;
  busy: ReadonlySignal<boolean>;
  error: ReadonlySignal<ApiError | undefined>;
  narrow(change: Partial<ThreadFilter>): void;
  load(): Promise<void>;
  loadMore(): Promise<void>;
  /** Shows a conversation as it is now, or no more. */
  put(thread: Thread): void;
}

/** Conversations by last activity, in pages; read again when something happened to an agent. */
export function useThreads(agent = ""): ThreadList {
  const filter = filterOf(agent);
  const threads = useSignal<readonly Thread[] | undefined>(undefined);
  const cursor = useSignal<string | null>(null);
  const busy = useSignal(false);
  const error = useSignal<ApiError | undefined>(undefined);
  const latest = useRef(0);
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  /** As many as are shown, at least a page; all at once, so that the list does not jump. */
  const load = async (atLeast = threads.peek()?.length ?? 0): Promise<void> => {
    const own = ++latest.current;
    try {
      let all: Thread[] = [];
      let next: string | undefined;
      do {
        const page = await threadsApi.list(filter.peek(), PAGE, next);
        all = joined(all, page.threads);
        next = page.next_cursor ?? undefined;
      } while (next !== undefined && all.length < atLeast);
      if (own !== latest.current) return;
      batch(() => {
        threads.value = all;
        cursor.value = next ?? null;
        error.value = undefined;
      });
    } catch (thrown) {
      const shown = failure(thrown);
      if (own === latest.current) error.value = shown;
    }
  };

  const loadMore = async (): Promise<void> => {
    const at = cursor.peek();
    if (!at || busy.peek()) return;
    busy.value = true;
    const own = latest.current;
    try {
      const page = await threadsApi.list(filter.peek(), PAGE, at);
      // A list that was read anew meanwhile has its own end.
      if (own === latest.current) {
        batch(() => {
          threads.value = joined(threads.peek() ?? [], page.threads);
          cursor.value = page.next_cursor;
          error.value = undefined;
        });
      }
    } catch (thrown) {
      error.value = failure(thrown);
    } finally {
      busy.value = false;
    }
  };

  useEffect(() => () => clearTimeout(typing.current), []);
  const narrow = (change: Partial<ThreadFilter>): void => {
    filter.value = { ...filter.peek(), ...change };
    clearTimeout(typing.current);
    typing.current = setTimeout(() => void load(0), "text" in change ? TYPING_MS : 0);
  };
  const put = (thread: Thread): void => {
    threads.value = threads.peek()?.flatMap((other) => {
      if (other.thread !== thread.thread) return [other];
      const now = { ...other, ...thread, match: other.match ?? null };
      return belongs(filter.peek(), now) ? [now] : [];
    });
  };
  useWhatHappens(load, () => error.peek() !== undefined);
  return { filter, threads, more: useComputed(() => cursor.value !== null), busy, error, narrow, load, loadMore, put };
}

/** Loads now, when the reader comes back, and when agents have something new to tell. */
function useWhatHappens(load: () => Promise<void>, failed: () => boolean): void {
  useEffect(() => {
    let soon: ReturnType<typeof setTimeout> | undefined;
    const look = (): void => {
      if (document.hidden) return;
      soon ??= setTimeout(() => {
        soon = undefined;
        void load();
      }, SOON_MS);
    };
    void load();
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

/** What is there already is not there twice: it may have moved between two pages. */
function joined(known: readonly Thread[], more: readonly Thread[]): Thread[] {
  const ids = new Set(known.map(({ thread }) => thread));
  return [...known, ...more.filter(({ thread }) => !ids.has(thread))];
}
