/** The rooms of the page. A new one is one line here, and its page. */
import type { ComponentChild } from "preact";
import type { Route } from "../../route";
import { About } from "../about/About";
import { Home } from "../home/Home";

export interface Room {
  view: Exclude<Route["view"], "agent" | "new" | "role">;
  label: string;
  /** Pressed after `g`. */
  key: string;
  /** Drawn in a box of 20. */
  icon: string;
  page: () => ComponentChild;
  /** Only where the list of agents does not stand beside. */
  narrow?: true;
}

export const ROOMS: readonly Room[] = [
  { view: "home", label: "Home", key: "h", icon: "M3 9.5 10 3l7 6.5V17H3z", page: () => <Home /> },
  { view: "agents", label: "List", key: "a", icon: "M3 5h14M3 10h14M3 15h14", page: () => <Home />, narrow: true },
  { view: "about", label: "About", key: "i", icon: "M10 9v6M10 5v1M10 18a8 8 0 1 1 0-16 8 8 0 0 1 0 16z", page: () => <About /> },
];
