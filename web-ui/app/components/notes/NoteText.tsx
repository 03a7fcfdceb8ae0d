import { useLayoutEffect, useRef } from "preact/hooks";
import type { NoteLink } from "../../vault/api";
import { noteOf, pieces } from "../../vault/links";
import { Text } from "../Text";
import { noteHref } from "./state";

interface NoteTextProps {
  text: string;
  vault: string;
  /** The note that it is the text of. */
  id: string;
  links: readonly NoteLink[];
}

/** The text of a note, whose links to other notes lead there. */
export function NoteText({ text, vault, id, links }: NoteTextProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!box.current) return;
    // What is drawn later (the rest of a long text) has links, too.
    const own = box.current;
    const watch = new MutationObserver(() => link(own, vault, id, links));
    link(own, vault, id, links);
    watch.observe(own, { childList: true, subtree: true });
    return () => watch.disconnect();
  }, [text, links]);
  return (
    <div ref={box} class="note-text" dir="auto">
      <Text text={text} />
    </div>
  );
}

/** Made of elements, not of markup: nothing in a note becomes more than a link to a place of this page. */
function link(box: HTMLElement, vault: string, id: string, links: readonly NoteLink[]): void {
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  const found: globalThis.Text[] = [];
  while (walker.nextNode()) {
    const node = walker.currentNode as globalThis.Text;
    if (node.data.includes("[[") && !node.parentElement?.closest("a, code, pre, button")) found.push(node);
  }
  for (const node of found) {
    const parts = pieces(node.data);
    if (!parts.some((part) => "target" in part)) continue;
    node.replaceWith(...parts.map((part) => ("text" in part ? part.text : anchor(part.shown, noteHref(vault, noteOf(part.target, links, id))))));
  }
}

function anchor(shown: string, href: string): HTMLAnchorElement {
  const made = document.createElement("a");
  made.href = href;
  made.className = "wikilink";
  made.textContent = shown;
  return made;
}
