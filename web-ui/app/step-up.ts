/** Showing the PIN before something dangerous: one question at a time, and its token for as long as it is good. */
import { signal } from "@preact/signals";
import { api, type ApiError, setStepUp } from "./api";

export type Reason = "token" | "setup";

/** What is being asked; `undefined` when nothing is. */
export const asked = signal<{ reason: Reason } | undefined>(undefined);

/** A token that ends while the request is on its way is none. */
const MARGIN_MS = 5_000;
let held: { token: string; until: number } | undefined;
let asking: Promise<string | undefined> | undefined;
let answer: ((token: string | undefined) => void) | undefined;

export function heldToken(): string | undefined {
  if (held && Date.now() >= held.until - MARGIN_MS) held = undefined;
  return held?.token;
}

/** Asks the person; those who need it meanwhile wait for the same answer. `undefined` when they will not. */
function ask(reason: Reason): Promise<string | undefined> {
  held = undefined;
  asking ??= new Promise<string | undefined>((resolve) => {
    answer = resolve;
    asked.value = { reason };
  }).finally(() => {
    asking = undefined;
  });
  return asking;
}

function settle(token: string | undefined): void {
  asked.value = undefined;
  answer?.(token);
  answer = undefined;
}

export function cancel(): void {
  settle(undefined);
}

/** Hands the PIN in; throws what the daemon says of a wrong one, and the question stays. */
export async function show(pin: string): Promise<void> {
  const { stepUpToken, expires_at } = await api.stepUp(pin);
  held = { token: stepUpToken, until: new Date(expires_at).getTime() };
  settle(stepUpToken);
}

/** What a person is told of a PIN that was not taken. */
export function refusalText(error: ApiError): string {
  switch (error.code) {
    case "invalid_pin":
      return "This is not the PIN.";
    case "rate_limited":
      return "Too many wrong PINs. Wait a few minutes, then try again.";
    default:
      return error.message;
  }
}

export function startStepUp(): void {
  setStepUp({ held: heldToken, ask });
}
