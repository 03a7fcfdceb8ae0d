/** Keys that work everywhere but where somebody writes. */
import { signal } from "@preact/signals";
import { go } from "../../store";
import { ROOMS } from "./rooms";

export const keysShown = signal(false);

/** How long `g` waits for the letter behind it. */
const CHORD_MS = 1_500;
/** How long a search is waited for. */
const ROOM_MS = 2_000;

export function startKeys(): void {
  let chordUntil = 0;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || document.querySelector("dialog[open]")) return;
    const chord = Date.now() < chordUntil;
    chordUntil = 0;
    const room = chord ? ROOMS.find(({ key }) => key === event.key) : undefined;
    if (room) go({ view: room.view });
    else if (chord && event.key === "n") go({ view: "new" });
    else if (event.key === "g") chordUntil = Date.now() + CHORD_MS;
    else if (event.key === "?") keysShown.value = true;
    else if (event.key === "/") search();
    else return;
    event.preventDefault();
  });
}

/** To the search of this room, or of the list that this is from, else to that of Home. */
function search(): void {
  if (focusSearch()) return;
  const list = document.querySelector<HTMLAnchorElement>("a[data-search-at]");
  if (list) location.hash = list.hash;
  else go({ view: "home" });
  // The room may have to be loaded first.
  const until = Date.now() + ROOM_MS;
  const look = (): void => {
    if (!focusSearch() && Date.now() < until) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

function focusSearch(): boolean {
  const box = document.querySelector<HTMLElement>("[data-search]:not(:disabled)");
  box?.focus();
  return box !== null;
}

function writes(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
