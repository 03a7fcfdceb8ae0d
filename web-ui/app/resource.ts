/** What a part of the page reads from the daemon while it is shown, and what it does there. */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "./api";
import { failure, session } from "./store";

/** Calm: what changes on these parts changes by hand, or a few times a day. */
const REFRESH_EVERY_MS = 10_000;

export interface Resource<T> {
  /** `undefined` until first loaded; what was last seen stays when a reload fails. */
  value: ReadonlySignal<T | undefined>;
  error: ReadonlySignal<ApiError | undefined>;
  load(): Promise<void>;
}

/** Loads now, when the reader comes back to the page, and now and then. `read` must be good for as long as the part is shown. */
export function useResource<T>(read: () => Promise<T>): Resource<T> {
  const value = useSignal<T | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const latest = useRef(0);

  const load = async (): Promise<void> => {
    const own = ++latest.current;
    try {
      const answer = await read();
      // An answer that was overtaken may be older than what an action has changed.
      if (own !== latest.current) return;
      value.value = answer;
      error.value = undefined;
    } catch (thrown) {
      const shown = failure(thrown);
      if (own === latest.current) error.value = shown;
    }
  };

  useEffect(() => {
    const look = (): void => {
      if (!document.hidden && session.peek() === "in") void load();
    };
    // Now, and when somebody has signed in again.
    const leave = session.subscribe(look);
    const timer = setInterval(look, REFRESH_EVERY_MS);
    addEventListener("focus", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      latest.current = -1;
      leave();
      clearInterval(timer);
      removeEventListener("focus", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);

  return { value, error, load };
}

export interface Action {
  busy: ReadonlySignal<boolean>;
  error: ReadonlySignal<ApiError | undefined>;
  /** Whether it was done. A second call meanwhile does nothing. */
  run(work: () => Promise<unknown>): Promise<boolean>;
  forget(): void;
}

/** Something that a person does, once at a time, with what came of it. */
export function useAction(): Action {
  const busy = useSignal(false);
  const error = useSignal<ApiError | undefined>(undefined);
  return {
    busy,
    error,
    run: async (work) => {
      if (busy.peek()) return false;
      busy.value = true;
      error.value = undefined;
      try {
        await work();
        return true;
      } catch (thrown) {
        error.value = failure(thrown);
        return false;
      } finally {
        busy.value = false;
      }
    },
    forget: () => {
      error.value = undefined;
    },
  };
}
