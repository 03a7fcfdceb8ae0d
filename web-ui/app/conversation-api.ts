/** Shapes of turns, messages and sessions, by the names that the page has for them. */
import type { components } from "./api/schema";

type Schemas = components["schemas"];
/** A file of a message; its bytes are at `url`, which is relative to the daemon. */
export type Attached = Schemas["MessageFile"];
/** A turn that another one has asked for. */
export type ChildTurn = Schemas["TurnChild"];
/** What happened in a turn: the events of the live feed, in order. */
export type TurnSteps = Schemas["TurnSteps"];
/** A tool call, uncut but for what is beyond all reason. */
export type StepDetail = Schemas["TurnStep"];
export type SessionInfo = Schemas["Session"];
/** Where the hub of this daemon is, and where it gives a token for here to a browser that is signed in there. */
export type HubPlace = Schemas["HubPlace"];
