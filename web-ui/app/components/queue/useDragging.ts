import type { RefObject } from "preact";
import { useRef } from "preact/hooks";

/** Moves an item of a list with the pointer, among those of its own conversation: answers by how many places it was moved. */
export function useDragging(list: RefObject<HTMLElement | null>, moved: (id: string, by: number) => void) {
  const latest = useRef(moved);
  latest.current = moved;

  const start = (event: PointerEvent, id: string): void => {
    const box = list.current;
    const grip = event.currentTarget as HTMLElement;
    const all = box ? [...box.children].filter((item) => item instanceof HTMLElement) : [];
    const own = all.find((item) => item.dataset.turn === id);
    if (!own || event.button !== 0) return;
    const items = all.filter((item) => item.dataset.thread === own.dataset.thread);
    const middles = items.map(middle);
    const from = items.indexOf(own);
    const begin = event.clientY;
    grip.setPointerCapture(event.pointerId);
    own.classList.add("dragged");

    const place = (y: number): number => {
      const at = (middles[from] ?? 0) + y - begin;
      return middles.filter((other, index) => (index < from ? other < at : index > from && other < at)).length;
    };
    const drag = (next: PointerEvent): void => {
      own.style.transform = `translateY(${next.clientY - begin}px)`;
      const to = place(next.clientY);
      for (const [index, item] of items.entries()) {
        item.classList.toggle("makes-way", index !== from && index === to);
      }
    };
    const stop = (next: PointerEvent): void => {
      grip.removeEventListener("pointermove", drag);
      grip.removeEventListener("pointerup", stop);
      grip.removeEventListener("pointercancel", stop);
      own.style.transform = "";
      for (const item of items) item.classList.remove("dragged", "makes-way");
      const by = next.type === "pointerup" ? place(next.clientY) - from : 0;
      if (by !== 0) latest.current(id, by);
    };
    grip.addEventListener("pointermove", drag);
    grip.addEventListener("pointerup", stop);
    grip.addEventListener("pointercancel", stop);
  };
  return { start };
}

function middle(item: Element): number {
  const { top, height } = item.getBoundingClientRect();
  return top + height / 2;
}
