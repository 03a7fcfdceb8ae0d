/**
 * With what this tab gets in. A browser that signed in by a link has a cookie, and nothing is held here. A token that was pasted,
 * or that the hub gave out, is held in memory alone: no reload and no other page of this browser finds it.
 */
import { signal } from "@preact/signals";
import { ApiError } from "./api-error";

export type Way = { kind: "cookie" } | { kind: "token"; token: string } | { kind: "hub"; mint: () => Promise<Minted> };

/** A token of the hub. */
export interface Minted {
  token: string;
  /** In milliseconds since 1970. */
  until: number;
}

/** A token that ends while a request is on its way is none. */
const MARGIN_MS = 30_000;
/** What a hub that does not say gives its tokens. */
export const HUB_LIFE_MS = 600_000;

export const way = signal<Way>({ kind: "cookie" });

let held: Minted | undefined;
let minting: Promise<Minted> | undefined;

/** Another way in; what was held for the last one is forgotten. */
export function comeBy(next: Way): void {
  held = undefined;
  minting = undefined;
  way.value = next;
}

/** What requests show; `undefined` where the cookie is enough. Those who need a new one together wait for the same. */
export async function bearer(): Promise<string | undefined> {
  const now = way.peek();
  if (now.kind === "cookie") return undefined;
  if (now.kind === "token") return now.token;
  if (held && Date.now() < held.until - MARGIN_MS) return held.token;
  minting ??= now.mint().finally(() => {
    minting = undefined;
  });
  const own = minting;
  const fresh = await own;
  // Somebody may have left, or come by another way, meanwhile.
  if (way.peek() !== now) throw new ApiError(401, "unauthorized", "You are not signed in any more.");
  held = fresh;
  return fresh.token;
}

/** The token was refused. Whether another one can be had. */
export function renewable(refused: string | undefined): boolean {
  if (way.peek().kind !== "hub" || refused === undefined) return false;
  if (held?.token === refused) held = undefined;
  return true;
}

export async function authorization(): Promise<Readonly<Record<string, string>>> {
  const token = await bearer();
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
