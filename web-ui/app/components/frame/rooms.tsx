/** The rooms of the page. A new one is one line here, and its page. */
import type { ComponentChild } from "preact";
import type { Route } from "../../route";
import { About } from "../about/About";
import { Home } from "../home/Home";
import { Lazy } from "../Lazy";

const Schedules = Lazy("the schedules", () => import("../jobs/Schedules").then((part) => part.Schedules));
const System = Lazy("the system room", () => import("../system/System").then((part) => part.System));
const Threads = Lazy("the conversations", () => import("../threads/Threads").then((part) => part.Threads));
const Notes = Lazy("the notes", () => import("../notes/Notes").then((part) => part.Notes));

export interface Room {
  view: Exclude<Route["view"], "agent" | "new" | "role" | "nowhere">;
  label: string;
  /** Pressed after `g`. */
  key: string;
  /** Drawn in a box of 20. */
  icon: string;
  page: () => ComponentChild;
  /** Only where the list of agents does not stand beside. */
  narrow?: true;
  /** Not in the bar of a narrow screen, which has room for few. */
  wide?: true;
}

export const ROOMS: readonly Room[] = [
  { view: "home", label: "Home", key: "h", icon: "M3 9.5 10 3l7 6.5V17H3z", page: () => <Home /> },
  { view: "agents", label: "List", key: "a", icon: "M3 5h14M3 10h14M3 15h14", page: () => <Home />, narrow: true },
  { view: "threads", label: "Threads", key: "t", icon: "M3 4h11v8H8l-3 3v-3H3zM14 7h3v7h-2v3l-3-3H9", page: () => <Threads /> },
  { view: "notes", label: "Notes", key: "o", icon: "M5 3h7l4 4v10H5zM12 3v4h4M8 11h5M8 14h5", page: () => <Notes /> },
  { view: "jobs", label: "Schedules", key: "s", icon: "M10 6v4.5l3 2M10 17.5a7.5 7.5 0 1 1 0-15 7.5 7.5 0 0 1 0 15z", page: () => <Schedules /> },
  { view: "system", label: "System", key: "y", icon: "M2.5 10.5h3.2l2-6 4 11.5 2.3-7 1 1.5h2.5", page: () => <System /> },
  { view: "about", label: "About", key: "i", icon: "M10 9v6M10 5v1M10 18a8 8 0 1 1 0-16 8 8 0 0 1 0 16z", page: () => <About />, wide: true },
];
