import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** How near to the end counts as being there, in CSS pixels. */
const NEAR = 48;

interface Content {
  /** Changes with everything that is drawn. */
  all: unknown;
  /** Changes with what comes at the end. */
  end: unknown;
  /** Changes when something is put before the beginning. */
  start: unknown;
}

/** Keeps a scroll box at its end while the reader is there, and leaves it alone when they are not; `atEnd`: where they begin. */
export function usePinnedScroll(box: RefObject<HTMLElement | null>, { all, end, start }: Content, atEnd: boolean) {
  const pinned = useRef(atEnd);
  const below = useSignal(false);
  const unseen = useSignal(false);
  const held = useRef<{ row: Element; top: number } | undefined>(undefined);

  const top = useRef(0);

  const toEnd = (): void => {
    const element = box.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    top.current = element.scrollTop;
  };

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = (): void => {
      const near = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      // Only who goes up leaves the end: an end that moved away, in a box that shrank, is followed.
      if (near || element.scrollTop < top.current - 1) pinned.current = near;
      top.current = element.scrollTop;
      below.value = !pinned.current;
      if (pinned.current) unseen.value = false;
      held.current = topRow(element);
    };
    // A box that shrinks (a phone's keyboard, a growing composer) keeps its end in view, and so does text that is laid out late.
    const resized = new ResizeObserver(() => {
      if (pinned.current) toEnd();
    });
    resized.observe(element);
    if (element.firstElementChild) resized.observe(element.firstElementChild);
    // A card that is opened at the end stays where the reader opened it.
    const letGo = (event: Event): void => {
      if (event.target instanceof Element && event.target.closest("summary, .opener")) pinned.current = false;
    };
    element.addEventListener("scroll", look, { passive: true });
    element.addEventListener("click", letGo, { capture: true });
    element.addEventListener("toggle", look, { capture: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
      element.removeEventListener("click", letGo, { capture: true });
      element.removeEventListener("toggle", look, { capture: true });
    };
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    const row = held.current;
    // What is put in above leaves the row that is read where it is, also in browsers that do not see to that themselves.
    if (element && row?.row.isConnected && !pinned.current) element.scrollTop += row.row.getBoundingClientRect().top - row.top;
  }, [start]);

  useLayoutEffect(() => {
    if (pinned.current) toEnd();
  }, [all]);

  useLayoutEffect(() => {
    if (!pinned.current) unseen.value = true;
  }, [end]);

  return { below: below.value, unseen: unseen.value, toEnd };
}

/** The first row that is in view, and where it is. */
function topRow(box: HTMLElement): { row: Element; top: number } | undefined {
  const { left, top, width } = box.getBoundingClientRect();
  const row = document.elementFromPoint(left + width / 2, top + 40)?.closest(".row");
  return row ? { row, top: row.getBoundingClientRect().top } : undefined;
}
