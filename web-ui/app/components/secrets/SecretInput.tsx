import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Tied } from "../Field";

/** A value that is never shown, also one of several lines. It is in its input alone: nothing of the page holds it, and a refusal leaves it there. */
export function SecretInput({ tied, input, lines = false }: { tied: Tied; input: RefObject<HTMLInputElement | HTMLTextAreaElement | null>; lines?: boolean }) {
  const several = useSignal(false);
  const pasted = useRef<string | undefined>(undefined);
  const common = { ...tied, required: true, autocomplete: "off", spellcheck: false, autocapitalize: "none", "data-1p-ignore": true, "data-lpignore": "true" } as const;
  useLayoutEffect(() => {
    if (!several.value || pasted.current === undefined || !input.current) return;
    input.current.value = pasted.current;
    pasted.current = undefined;
    input.current.focus();
  }, [several.value]);
  // A password field takes the ends of lines away: a key of several lines would be another one.
  const paste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const box = event.currentTarget as HTMLInputElement;
    if (!lines || !text.trimEnd().includes("\n")) return;
    event.preventDefault();
    pasted.current = box.value.slice(0, box.selectionStart ?? 0) + text + box.value.slice(box.selectionEnd ?? 0);
    several.value = true;
  };
  if (several.value) return <textarea {...common} ref={input as RefObject<HTMLTextAreaElement | null>} class="veiled" rows={4} />;
  return <input {...common} ref={input as RefObject<HTMLInputElement | null>} type="password" onPaste={paste} />;
}
