import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

/** Arrows, `j` and `k` go from one entry of a list to the next; entries are what has `data-entry`. From the room's search, ↓ goes to the first. */
export function useListKeys(box: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const target = event.target instanceof HTMLElement ? event.target : undefined;
      const searching = Boolean(target?.matches("[data-search]"));
      if (!searching && target?.matches("input, textarea, select, [contenteditable]")) return;
      const step = stepOf(event.key, searching);
      const entries = [...(box.current?.querySelectorAll<HTMLElement>("[data-entry]") ?? [])];
      if (step === 0 || entries.length === 0) return;
      const at = entries.findIndex((entry) => entry === document.activeElement);
      const to = entries[at < 0 ? (step > 0 ? 0 : entries.length - 1) : Math.min(Math.max(at + step, 0), entries.length - 1)];
      // Other boxes that scroll keep their arrows.
      if (at < 0 && !searching && event.key.startsWith("Arrow") && target && target !== document.body && !target.closest("main")) return;
      event.preventDefault();
      to?.focus();
      to?.scrollIntoView({ block: "nearest" });
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

function stepOf(key: string, searching: boolean): number {
  if (key === "ArrowDown" || (!searching && key === "j")) return 1;
  if (!searching && (key === "ArrowUp" || key === "k")) return -1;
  return 0;
}

/** Esc goes back, but from a field first out of the field. */
export function useEscape(back: () => void): void {
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
      // A question in its place answers to the key itself.
      if (event.target instanceof HTMLElement && event.target.closest(".confirm, [data-own-escape]")) return;
      const field = event.target instanceof HTMLElement && event.target.matches("input, textarea, select") ? event.target : undefined;
      event.preventDefault();
      if (field) field.blur();
      else back();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [back]);
}
