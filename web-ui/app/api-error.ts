/** What the page knows of a request that came to nothing. */
import type { components } from "./api/schema";

/** What is wrong, or odd, at one key of a note; the message says what is accepted. */
export type Problem = components["schemas"]["Problem"];

/** A refusal of the server (`status` is its HTTP status), or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly nextStep?: string,
    /** What is wrong with what was sent, by key. */
    readonly problems: readonly Problem[] = [],
    /** Of `step_up_required`: `token` or `setup`. */
    readonly reason?: string,
  ) {
    super(message);
  }
}
