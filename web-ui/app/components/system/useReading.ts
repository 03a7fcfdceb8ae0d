import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../api";
import { failure } from "../../store";

export interface Reading<T> {
  /** What was read last stays while it is read again, and when that fails. */
  value: ReadonlySignal<T | undefined>;
  error: ReadonlySignal<ApiError | undefined>;
  busy: ReadonlySignal<boolean>;
  load(): Promise<void>;
}

/** Reads once, again for another `key`, and on demand: for what takes the daemon some work. */
export function useReading<T>(read: () => Promise<T>, key: string): Reading<T> {
  const value = useSignal<T | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const busy = useSignal(false);
  const latest = useRef(0);
  const reader = useRef(read);
  reader.current = read;
  const load = async (): Promise<void> => {
    const own = ++latest.current;
    busy.value = true;
    error.value = undefined;
    try {
      const answer = await reader.current();
      if (own === latest.current) value.value = answer;
    } catch (thrown) {
      const shown = failure(thrown);
      if (own === latest.current) error.value = shown;
    } finally {
      if (own === latest.current) busy.value = false;
    }
  };
  useEffect(() => void load(), [key]);
  useEffect(() => () => void (latest.current = -1), []);
  return { value, error, busy, load };
}
