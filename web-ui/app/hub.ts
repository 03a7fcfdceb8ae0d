/** Signing in by the hub that this daemon belongs to: whoever is signed in there is given a token for here, again and again. */
import { signal } from "@preact/signals";
import { comeBy, HUB_LIFE_MS, type Minted } from "./access";
import { api } from "./api";
import type { HubPlace } from "./conversation-api";
import { ApiError } from "./api-error";

/** `undefined` until asked; null when the daemon stands alone. */
export const hub = signal<HubPlace | null | undefined>(undefined);

/** Where hubs of another time gave such tokens. */
const ONCE = "/admin/agent-token";
const REFUSALS = ["hub_sign_in", "hub_not_admin", "hub_locked", "hub_unknown"];

export function isHubRefusal(error: ApiError): boolean {
  return REFUSALS.includes(error.code);
}

/** Whether this page is shown by the hub itself: only then does the browser show the hub who asks. */
export function atHub(place: HubPlace): boolean {
  return new URL(place.origin).origin === location.origin;
}

/** Finds the hub, and lets this tab in by it. Whether that can be tried. */
export async function lookForHub(): Promise<boolean> {
  hub.value ??= (await api.authStatus()).hub;
  const place = hub.value;
  if (!place || !atHub(place)) return false;
  comeBy({ kind: "hub", mint: () => mint(place) });
  return true;
}

/** A token for this daemon. */
async function mint(place: HubPlace): Promise<Minted> {
  const named = await ask(place, place.token_url);
  const response = named.status === 404 ? await ask(place, ONCE) : named;
  if (!response.ok) throw refusal(response.status);
  const answer = (await response.json().catch(() => null)) as { token?: unknown; expires_at?: unknown } | null;
  if (typeof answer?.token !== "string") throw refusal(response.status);
  const until = typeof answer.expires_at === "string" ? Date.parse(answer.expires_at) : NaN;
  return { token: answer.token, until: Number.isNaN(until) ? Date.now() + HUB_LIFE_MS : until };
}

async function ask(place: HubPlace, path: string): Promise<Response> {
  try {
    return await fetch(new URL(path, place.origin), { credentials: "same-origin", cache: "no-store" });
  } catch {
    throw refusal(0);
  }
}

function refusal(status: number): ApiError {
  switch (status) {
    case 401:
      return new ApiError(401, "hub_sign_in", "You are not signed in to the hub.", "Sign in there and come back: this page then goes on by itself.");
    case 403:
      return new ApiError(403, "hub_not_admin", "Your account at the hub may not use this daemon.", "Sign in to the hub as its administrator.");
    case 423:
      return new ApiError(423, "hub_locked", "The hub is locked.", "Unlock it and come back: this page then goes on by itself.");
    case 404:
      return new ApiError(404, "hub_unknown", "The hub does not know this daemon.", "See at the hub whether it is installed there, or sign in by a link from `reveille open`.");
    case 0:
      return new ApiError(0, "unreachable", "The hub did not answer.", "Check that it runs.");
    default:
      return new ApiError(status, "hub_unknown", `The hub gave out no token: it answered with status ${status}.`, "Try again, or sign in by a link from `reveille open`.");
  }
}
