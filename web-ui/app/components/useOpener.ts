import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** For the button that opens a form in its own place: it has the focus again when the form is closed. */
export function useOpener(open: boolean): RefObject<HTMLButtonElement> {
  const opener = useRef<HTMLButtonElement>(null);
  const was = useRef(open);
  useLayoutEffect(() => {
    if (was.current && !open) opener.current?.focus();
    was.current = open;
  }, [open]);
  return opener as RefObject<HTMLButtonElement>;
}
