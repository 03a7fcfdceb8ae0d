import { batch, type ReadonlySignal, type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../api";
import { failure } from "../store";

/** Of a list that is longer, only what is new is read once more: it comes first. */
const MANY = 200;

export interface Page<T> {
  items: readonly T[];
  /** Where the next page begins. */
  next?: string | undefined;
}

export interface Pages<T> {
  /** `undefined` until first loaded; what was last seen stays when a reload fails. */
  items: Signal<readonly T[] | undefined>;
  more: ReadonlySignal<boolean>;
  /** Whether the next page is on its way. */
  busy: ReadonlySignal<boolean>;
  error: ReadonlySignal<ApiError | undefined>;
  /** Reads as many as are shown once more, all at once, so that the list does not jump; `anew`: only the first page. */
  load(anew?: boolean): Promise<void>;
  loadMore(): Promise<void>;
}

/** Lists as they were left: who comes back sees them so, until they are read anew. */
const left = new Map<string, { items: readonly unknown[]; cursor: string | undefined }>();

/** A list that comes in pages; `keyOf` names what it is a list of now. */
export function usePages<T>(read: (cursor: string | undefined) => Promise<Page<T>>, idOf: (item: T) => string, keyOf: () => string): Pages<T> {
  const before = useRef(left.get(keyOf())).current;
  const items = useSignal(before?.items as readonly T[] | undefined);
  const cursor = useSignal(before?.cursor);
  useEffect(
    () => () => {
      const now = items.peek();
      if (now) left.set(keyOf(), { items: now, cursor: cursor.peek() });
    },
    [],
  );
  const busy = useSignal(false);
  const error = useSignal<ApiError | undefined>(undefined);
  const latest = useRef(0);

  /** What is there already is not there twice: it may have moved between two pages. */
  const joined = (known: readonly T[], more: readonly T[]): T[] => {
    const ids = new Set(known.map(idOf));
    return [...known, ...more.filter((item) => !ids.has(idOf(item)))];
  };

  const load = async (anew = false): Promise<void> => {
    const own = ++latest.current;
    const shown = items.peek() ?? [];
    const long = !anew && shown.length > MANY;
    const atLeast = anew || long ? 0 : shown.length;
    try {
      let all: T[] = [];
      let next: string | undefined;
      do {
        const page = await read(next);
        all = joined(all, page.items);
        next = page.next;
      } while (next !== undefined && all.length < atLeast && own === latest.current);
      if (own !== latest.current) return;
      batch(() => {
        items.value = long ? joined(all, shown) : all;
        if (!long) cursor.value = next;
        error.value = undefined;
      });
    } catch (thrown) {
      const problem = failure(thrown);
      if (own === latest.current) error.value = problem;
    }
  };

  const loadMore = async (): Promise<void> => {
    const at = cursor.peek();
    if (at === undefined || busy.peek()) return;
    busy.value = true;
    const own = latest.current;
    try {
      const page = await read(at);
      // A list that was read anew meanwhile has its own end.
      if (own === latest.current) {
        batch(() => {
          items.value = joined(items.peek() ?? [], page.items);
          cursor.value = page.next;
          error.value = undefined;
        });
      }
    } catch (thrown) {
      error.value = failure(thrown);
    } finally {
      busy.value = false;
    }
  };
  return { items, more: useComputed(() => cursor.value !== undefined), busy, error, load, loadMore };
}
