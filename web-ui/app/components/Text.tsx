import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { count, pieces } from "../format";
import { toHtml } from "../markdown";

/** Longer texts are cut until asked for, and then shown plain: laying them out would stop the page for seconds. */
const LONG = 60_000;
const SHOWN = 20_000;

/** A message's Markdown. */
export function Text({ text }: { text: string }) {
  const whole = useSignal(false);
  const long = text.length > LONG;
  if (long && whole.value) return <Whole text={text} />;
  return (
    <>
      <Markdown text={long ? text.slice(0, SHOWN) : text} />
      {long ? (
        <button type="button" onClick={() => (whole.value = true)}>
          Show all {count(text.length)} characters
        </button>
      ) : null}
    </>
  );
}

function Markdown({ text }: { text: string }) {
  const html = useMemo(() => toHtml(text), [text]);
  return <div class="md" dangerouslySetInnerHTML={{ __html: html }} />;
}

/** In pieces, of which the browser lays out those in view. */
function Whole({ text }: { text: string }) {
  const parts = useMemo(() => pieces(text, SHOWN), [text]);
  return (
    <div>
      {parts.map((part, index) => (
        <pre key={index} class="plain piece">
          {part}
        </pre>
      ))}
    </div>
  );
}

/** A sentence of the daemon, whose `commands` stand out. */
export function Sentence({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
