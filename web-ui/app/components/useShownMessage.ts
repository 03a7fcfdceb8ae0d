import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { messages } from "../conversation";
import { route } from "../store";

/** Id of the message that the address asks for. */
export function askedMessage(): string | undefined {
  const at = route.value;
  return at.view === "agent" ? at.message : undefined;
}

/** Brings the message that the address asks for into view, once it is there. Answers whether it is missing among those shown. */
export function useShownMessage(box: RefObject<HTMLElement | null>): boolean {
  const asked = askedMessage();
  const shown = useRef<string | undefined>(undefined);
  const there = messages.value?.some((message) => message.id === asked);

  useEffect(() => {
    if (asked === undefined || !there || shown.current === asked) return;
    const row = box.current?.querySelector<HTMLElement>(`[data-message="${CSS.escape(asked)}"]`);
    if (!row) return;
    shown.current = asked;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  });

  return asked !== undefined && there === false;
}
