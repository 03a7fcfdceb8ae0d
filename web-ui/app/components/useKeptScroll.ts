import type { RefObject } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";

/** How far each list was scrolled when it was left. */
const kept = new Map<string, number>();
/** Which of its entries was in hand. */
const inHand = new Map<string, string>();

const frameOf = (box: RefObject<HTMLElement | null>): HTMLElement | null | undefined => box.current?.closest<HTMLElement>("main.threads-page, main.notes-page, .panel");

/** Shows a list where the reader had left it; `ready`: its entries are there. */
export function useKeptScroll(box: RefObject<HTMLElement | null>, key: string, ready: boolean): void {
  useLayoutEffect(() => {
    const frame = frameOf(box);
    if (!frame) return;
    frame.scrollTop = (ready && kept.get(key)) || 0;
    if (ready) takeInHand(frame, inHand.get(key));
  }, [ready]);
  useEffect(() => {
    const frame = ready ? frameOf(box) : undefined;
    if (!frame) return;
    // A list that is gone has not been scrolled by anybody.
    const look = (): void => {
      if (box.current && frame.contains(box.current)) kept.set(key, frame.scrollTop);
    };
    const focused = (): void => {
      const entry = document.activeElement;
      if (entry instanceof HTMLAnchorElement && entry.matches("[data-entry]")) inHand.set(key, entry.hash);
    };
    frame.addEventListener("scroll", look, { passive: true });
    frame.addEventListener("focusin", focused);
    return () => {
      frame.removeEventListener("scroll", look);
      frame.removeEventListener("focusin", focused);
    };
  }, [ready]);
}

/** Who uses the keyboard goes on where they left. */
function takeInHand(frame: HTMLElement, hash: string | undefined): void {
  if (hash === undefined || (document.activeElement !== document.body && document.activeElement !== frame)) return;
  const entry = [...frame.querySelectorAll<HTMLAnchorElement>("a[data-entry]")].find((link) => link.hash === hash);
  entry?.focus({ preventScroll: true });
}

/** What is opened begins at its beginning, also for who uses the keyboard. */
export function useFromTop(box: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const frame = frameOf(box);
    if (!frame) return;
    frame.scrollTop = 0;
    frame.focus({ preventScroll: true });
  }, []);
}
