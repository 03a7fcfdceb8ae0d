import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { connection } from "../conversation";
import { BLOCK, blocks } from "../fold/pages";
import type { Row } from "../fold/rows";
import { unreadFrom } from "../unread";
import { MessageRow } from "./MessageRow";
import { TurnRow } from "./TurnRow";
import { askedMessage } from "./useShownMessage";

/** Up to so many rows all are drawn: then the browser's own search finds everything, and what was opened stays open. */
const ALL_DRAWN = 240;
/** How far from view a block is drawn, in CSS pixels. */
const AHEAD = 1_500;
/** Until a block was drawn, its height is a guess. */
const ROW_HEIGHT = 96;

/** The rows of a conversation, of which only those near the view are drawn when there are many. */
export function Rows({ rows, agent, box }: { rows: readonly Row[]; agent: string; box: RefObject<HTMLElement | null> }) {
  const anchor = useRef<string | undefined>(undefined);
  anchor.current ??= rows.at(-1)?.key;
  if (rows.length <= ALL_DRAWN) return <>{rows.map((row) => rowView(row, agent))}</>;
  const asked = askedMessage();
  const parts = blocks(rows, anchor.current);
  return (
    <>
      {parts.map((part, index) => (
        <Block
          key={part.key}
          rows={part.rows}
          agent={agent}
          box={box}
          drawn={index >= parts.length - 2}
          kept={index === parts.length - 1 || part.rows.some((row) => row.key === asked)}
        />
      ))}
    </>
  );
}

interface BlockProps {
  rows: readonly Row[];
  agent: string;
  box: RefObject<HTMLElement | null>;
  /** Whether it is drawn at first. */
  drawn: boolean;
  /** Whether it is drawn always. */
  kept: boolean;
}

function Block({ rows, agent, box, drawn, kept }: BlockProps) {
  const own = useRef<HTMLDivElement>(null);
  const near = useSignal(drawn);
  const height = useRef<number | undefined>(undefined);
  const shown = near.value || kept;

  useEffect(() => {
    const element = own.current;
    if (!element) return;
    const watch = new IntersectionObserver(
      ([entry]) => {
        if (!entry) return;
        // Who has the keyboard or a selection in it is not to lose it.
        const inUse = element.contains(document.activeElement) || holdsSelection(element);
        if (!entry.isIntersecting && !inUse) height.current = element.offsetHeight;
        near.value = entry.isIntersecting || inUse;
      },
      { root: box.current, rootMargin: `${AHEAD}px 0px` },
    );
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  const space = `${height.current ?? Math.min(rows.length, BLOCK) * ROW_HEIGHT}px`;
  return (
    <div ref={own} class="row-block" style={shown ? { height: "" } : { height: space }}>
      {shown ? rows.map((row) => rowView(row, agent)) : null}
    </div>
  );
}

function holdsSelection(element: Element): boolean {
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(element, true));
}

function rowView(row: Row, agent: string) {
  const first = row.kind === "message" && row.key === unreadFrom.value;
  const view =
    row.kind === "message" ? (
      <MessageRow key={row.key} row={row} agent={agent} />
    ) : (
      <TurnRow key={row.key} row={row} agent={agent} connected={connection.value === "open"} />
    );
  if (!first) return view;
  return [
    <p key="unread" class="unread" role="separator">
      <span>New</span>
    </p>,
    view,
  ];
}
