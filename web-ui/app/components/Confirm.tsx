import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

interface ConfirmProps {
  label: string;
  question: string;
  yes: string;
  no?: string;
  onYes: () => void;
}

/** A button that asks once more, in its place, before it does what cannot be taken back. */
export function Confirm({ label, question, yes, no = "Keep it", onYes }: ConfirmProps) {
  const asking = useSignal(false);
  const opener = useRef<HTMLButtonElement>(null);
  const keep = useRef<HTMLButtonElement>(null);
  const asked = useRef(false);

  // Before anything is drawn: a key that is pressed at once goes where it is meant for.
  useLayoutEffect(() => {
    if (asking.value) keep.current?.focus();
    else if (asked.current) opener.current?.focus();
    asked.current = asking.value;
  }, [asking.value]);

  if (!asking.value) {
    return (
      <button ref={opener} type="button" class="small" onClick={() => (asking.value = true)}>
        {label}
      </button>
    );
  }
  return (
    <div
      class="confirm"
      role="group"
      aria-label={question}
      onKeyDown={(event) => {
        if (event.key === "Escape") asking.value = false;
      }}
    >
      <span>{question}</span>
      <button
        type="button"
        class="small danger"
        onClick={() => {
          asking.value = false;
          onYes();
        }}
      >
        {yes}
      </button>
      <button ref={keep} type="button" class="small" onClick={() => (asking.value = false)}>
        {no}
      </button>
    </div>
  );
}
