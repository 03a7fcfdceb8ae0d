import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Height of the lowest item, in CSS pixels. */
const LOWEST = 38;
const MORE = 80;

/** How many of a long list are drawn: what is seen at once at first, and the rest as soon as that is painted. */
export function useGradually(all: number): number {
  const drawn = useSignal(Math.ceil(innerHeight / LOWEST));
  const left = all > drawn.value;
  useEffect(() => {
    if (!left) return;
    let frame = requestAnimationFrame(() => {
      // After the paint of that frame.
      frame = requestAnimationFrame(() => (drawn.value += MORE));
    });
    return () => cancelAnimationFrame(frame);
  }, [left, drawn.value]);
  return drawn.value;
}
