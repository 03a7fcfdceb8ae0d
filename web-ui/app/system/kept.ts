/** What was written in a form and not sent yet; it outlives a reload and another room. Never for secrets. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

const PREFIX = "reveille:system:";

/** `isWell` tells what this page has written from what something else has. */
export function useKept<T>(key: string, none: T, isWell: (found: unknown) => boolean): Signal<T> {
  const value = useSignal<T>(read(key, none, isWell));
  useEffect(() => write(key, value.value, none), [value.value]);
  return value;
}

function read<T>(key: string, none: T, isWell: (found: unknown) => boolean): T {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return isWell(found) ? (found as T) : none;
  } catch {
    // Written by something else, or storage is forbidden: as if there were none.
    return none;
  }
}

function write<T>(key: string, value: T, none: T): void {
  try {
    const text = JSON.stringify(value);
    if (text === JSON.stringify(none)) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, text);
  } catch (error) {
    // Full or forbidden: it is kept as long as the form is open.
    console.warn("the form could not be stored", error);
  }
}
