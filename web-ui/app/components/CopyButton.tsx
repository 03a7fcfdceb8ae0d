import { useSignal } from "@preact/signals";
import { copy } from "../clipboard";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const told = useSignal("Copy");
  return (
    <button
      type="button"
      class="link copy-link at-hand"
      aria-label={told.value === "Copy" ? label : told.value}
      onClick={async () => {
        told.value = (await copy(text)) ? "Copied" : "Not copied";
        setTimeout(() => (told.value = "Copy"), 2_000);
      }}
    >
      {told.value}
    </button>
  );
}
