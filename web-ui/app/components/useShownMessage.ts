import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { hasOlder, loadingOlder, loadOlder, messages } from "../conversation";
import { route, selected } from "../store";

/** Id of the message that the address asks for. */
export function askedMessage(): string | undefined {
  const at = route.value;
  return at.view === "agent" ? at.message : undefined;
}

/** Brings the message that the address asks for into view, once it is there. Answers whether there is none. */
export function useShownMessage(box: RefObject<HTMLElement | null>): boolean {
  const asked = askedMessage();
  const shown = useRef<string | undefined>(undefined);
  const there = messages.value?.some((message) => message.id === asked);
  const older = hasOlder.value;
  const loading = loadingOlder.value;

  useEffect(() => {
    if (asked === undefined || shown.current === asked) return;
    const name = selected.peek();
    if (there === false && older && !loading && name) void loadOlder(name);
    const row = there ? box.current?.querySelector<HTMLElement>(`[data-message="${CSS.escape(asked)}"]`) : undefined;
    if (!row) return;
    shown.current = asked;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  });

  return asked !== undefined && there === false && !older;
}
