import type { RefObject } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";

/** How far each list was scrolled when it was left. */
const kept = new Map<string, number>();

const frameOf = (box: RefObject<HTMLElement | null>): HTMLElement | null | undefined => box.current?.closest<HTMLElement>("main.threads-page, main.notes-page, .panel");

/** Shows a list where the reader had left it; `ready`: its entries are there. */
export function useKeptScroll(box: RefObject<HTMLElement | null>, key: string, ready: boolean): void {
  useLayoutEffect(() => {
    const frame = frameOf(box);
    if (frame) frame.scrollTop = (ready && kept.get(key)) || 0;
  }, [ready]);
  useEffect(() => {
    const frame = ready ? frameOf(box) : undefined;
    if (!frame) return;
    // A list that is gone has not been scrolled by anybody.
    const look = (): void => {
      if (box.current && frame.contains(box.current)) kept.set(key, frame.scrollTop);
    };
    frame.addEventListener("scroll", look, { passive: true });
    return () => frame.removeEventListener("scroll", look);
  }, [ready]);
}

/** What is opened begins at its beginning. */
export function useFromTop(box: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const frame = frameOf(box);
    if (frame) frame.scrollTop = 0;
  }, []);
}
