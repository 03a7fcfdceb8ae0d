import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { copy } from "../clipboard";
import { blocksOf, closedForNow } from "../fold/blocks";
import { count, pieces } from "../format";
import { colour, languageOf } from "../highlight";
import { toHtml, toHtmlKept } from "../markdown";

/** Longer texts are cut until asked for, and then shown plain: laying them out would stop the page for seconds. */
const LONG = 60_000;
const SHOWN = 20_000;

/** A message's Markdown. While it grows, a long one shows its end, where something happens. */
export function Text({ text, growing = false }: { text: string; growing?: boolean }) {
  const whole = useSignal(false);
  const long = text.length > LONG;
  if (long && whole.value) return <Whole text={text} />;
  const shown = !long ? text : growing ? text.slice(text.indexOf("\n", text.length - SHOWN) + 1 || -SHOWN) : text.slice(0, SHOWN);
  return (
    <>
      <Markdown text={shown} growing={growing} />
      {long ? (
        <button type="button" onClick={() => (whole.value = true)}>
          Show all {count(text.length)} characters
        </button>
      ) : null}
    </>
  );
}

/** In blocks, of which only the last one is read again while the text grows. */
function Markdown({ text: whole, growing }: { text: string; growing: boolean }) {
  const text = usePaced(whole, growing);
  const blocks = useMemo(() => blocksOf(text), [text]);
  return (
    <div class="md">
      {blocks.map((block, index) => (
        <Block key={index} text={block} settled={!growing || index < blocks.length - 1} />
      ))}
    </div>
  );
}

/** Of the page's time, drawing a text that grows takes at most one part in so many. */
const SHARE = 4;

/** A text that grows, as often as drawing it leaves time for what else happens on the page. */
function usePaced(text: string, growing: boolean): string {
  const pace = useRef({ shown: text, at: 0, cost: 0, timer: 0 });
  const due = useSignal(0);
  const own = pace.current;
  const began = performance.now();
  const wait = own.at + own.cost * SHARE - began;
  void due.value;
  const draws = !growing || wait <= 0;
  if (draws) own.shown = text;
  useLayoutEffect(() => {
    if (!draws || !growing) return;
    own.at = performance.now();
    own.cost = own.at - began;
  }, [own.shown]);
  useEffect(() => {
    clearTimeout(own.timer);
    if (!draws) own.timer = window.setTimeout(() => due.value++, wait);
  });
  useEffect(() => () => clearTimeout(own.timer), []);
  return own.shown;
}

function Block({ text, settled }: { text: string; settled: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const html = useMemo(() => (settled ? toHtmlKept(text) : toHtml(closedForNow(text))), [text, settled]);
  useEffect(() => {
    if (settled && box.current) furnish(box.current);
  }, [html, settled]);
  return <div ref={box} dangerouslySetInnerHTML={{ __html: html }} />;
}

/** Gives the code blocks below `box` their colours and a way to copy them. What was furnished before stays as it is. */
function furnish(box: HTMLElement): void {
  for (const pre of box.querySelectorAll("pre")) {
    const code = pre.querySelector("code");
    if (!code || pre.parentElement?.className === "code-block") continue;
    const language = languageOf(code);
    const frame = document.createElement("div");
    frame.className = "code-block";
    pre.replaceWith(frame);
    const label = document.createElement("span");
    label.className = "code-language";
    label.textContent = language;
    frame.append(label, copyButton(() => code.textContent ?? ""), pre);
    // A box that scrolls has to be reached by keyboard.
    pre.tabIndex = 0;
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
    void colour(code, language);
  }
}

function copyButton(text: () => string): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  });
  return button;
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
