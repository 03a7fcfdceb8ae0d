import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** How near to the end counts as being there, in CSS pixels. */
const NEAR = 48;

/** Keeps a scroll box at its end while the reader is there, and leaves it alone when they are not; `atEnd`: where they begin. */
export function usePinnedScroll(box: RefObject<HTMLElement | null>, content: readonly unknown[], atEnd: boolean) {
  const pinned = useRef(atEnd);
  const below = useSignal(false);
  const unseen = useSignal(false);

  const toEnd = (): void => {
    const element = box.current;
    if (element) element.scrollTop = element.scrollHeight;
  };

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = (): void => {
      pinned.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      below.value = !pinned.current;
      if (pinned.current) unseen.value = false;
    };
    // A box that shrinks (a phone's keyboard, a growing composer) keeps its end in view.
    const resized = new ResizeObserver(() => {
      if (pinned.current) toEnd();
    });
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    // A card that is opened at the end stays where the reader opened it.
    element.addEventListener("toggle", look, { capture: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
      element.removeEventListener("toggle", look, { capture: true });
    };
  }, []);

  useLayoutEffect(() => {
    if (pinned.current) toEnd();
    else unseen.value = true;
  }, content);

  return { below: below.value, unseen: unseen.value, toEnd };
}
