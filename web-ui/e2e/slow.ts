/**
 * Slowness on purpose, so that a test which reads before the page is there fails here and not on somebody's busy machine:
 *
 * - `REVEILLE_E2E_SLOW=6` gives every page a sixth of a processor, and everybody who waits six times as long for it;
 * - `REVEILLE_E2E_LATE=150` has the double read each request up to that many milliseconds late, and answer it as much later again;
 * - `REVEILLE_E2E_SEED=7` makes the same delays again; each file prints its seed.
 */
import type { BrowserContext, Page } from "playwright-core";

const SLOW = Number(process.env.REVEILLE_E2E_SLOW ?? 1);
const LATE = Number(process.env.REVEILLE_E2E_LATE ?? 0);
const SEED = Number(process.env.REVEILLE_E2E_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** How long a page is waited for, in milliseconds: a busy machine may stand still for many seconds. */
export const LIMIT = 60_000;

/** How many times longer than usual to wait for something before it counts as missing. */
export const patience = Math.max(1, SLOW);

/** Has all pages of a window run slowly, those too that are opened later. */
export async function throttle(context: BrowserContext, page: Page): Promise<void> {
  if (SLOW <= 1) return;
  const slow = async (one: Page): Promise<void> => {
    const session = await context.newCDPSession(one);
    await session.send("Emulation.setCPUThrottlingRate", { rate: SLOW });
  };
  await slow(page);
  // silent-ok: a page that is closed at once needs no throttle
  context.on("page", (other) => void slow(other).catch(() => {}));
}

let state = SEED;
let told = false;

/** Between 0 and 1, the same row of numbers for the same seed. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

/** Passes some time, where that was asked for. */
export async function late(): Promise<void> {
  if (LATE <= 0) return;
  if (!told) console.log(`answers are late by up to 2 times ${LATE} ms: REVEILLE_E2E_SEED=${SEED}`);
  told = true;
  await new Promise((resolve) => setTimeout(resolve, random() * LATE));
}
