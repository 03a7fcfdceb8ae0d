/** What the daemon says of a definition before it is written: `POST /api/agents/validate`. */
import { ApiError, request } from "../api";
import type { components } from "../api/schema";

type Schemas = components["schemas"];
/** Of a definition that is there already what would be changed: a null takes a key away. */
export type ToValidate = Schemas["AgentDraft"];
/** `lowered`: what it asks for and would not get. */
export type Verdict = Schemas["AgentVerdict"];

/** A daemon that does not know the question is not asked again. */
let unknown = false;

/** `undefined`: this daemon says what is wrong only when a definition is saved. */
export async function validate(definition: ToValidate): Promise<Verdict | undefined> {
  if (unknown) return undefined;
  try {
    return await request<Verdict>("POST", "api/agents/validate", definition);
  } catch (error) {
    const missing = error instanceof ApiError && (error.status === 405 || (error.status === 404 && !["unknown_vault", "unknown_note"].includes(error.code)));
    if (!missing) throw error;
    unknown = true;
    return undefined;
  }
}
