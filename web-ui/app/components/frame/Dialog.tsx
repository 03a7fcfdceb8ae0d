import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  /** Esc, or a click beside it. */
  onCancel: () => void;
  children: ComponentChildren;
}

/** A box that holds the focus until it is answered or left, and then gives it back. */
export function Dialog({ title, onCancel, children }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    // What is to be filled in, or where something dangerous is asked, the answer that changes nothing.
    box.current?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      box.current?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const keyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      event.preventDefault();
      onCancel();
    }
    if (event.key === "Tab") keepInside(event, box.current);
  };
  return (
    <dialog
      ref={box}
      aria-labelledby="dialog-title"
      onKeyDown={keyDown}
      onCancel={(event) => {
        event.preventDefault();
        onCancel();
      }}
      onMouseDown={(event) => {
        if (event.target === box.current) onCancel();
      }}
    >
      <div class="dialog-body">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** The browser would go on to its own bars. */
function keepInside(event: KeyboardEvent, box: HTMLElement | null): void {
  const all = [...(box?.querySelectorAll<HTMLElement>("a[href], button:not(:disabled), input:not(:disabled), select, textarea") ?? [])];
  const end = event.shiftKey ? all[0] : all.at(-1);
  if (document.activeElement !== end) return;
  event.preventDefault();
  (event.shiftKey ? all.at(-1) : all[0])?.focus();
}
