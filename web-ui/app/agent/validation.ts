/** What the daemon says of a definition before it is written: `POST /api/agents/validate`. To be replaced when its document has the shapes. */
import { ApiError, type AgentDetail, type Problem, request } from "../api";
import type { components } from "../api/schema";

export interface ToValidate {
  vault: string;
  name: string;
  content: string;
  /** Of a definition that is there already what would be changed: a null takes a key away. */
  metadata: Readonly<Record<string, unknown>>;
  note_id?: string;
}

export interface Verdict {
  problems: readonly Problem[];
  warnings: readonly Problem[];
  /** What it asks for and would not get. */
  lowered: readonly components["schemas"]["LoweredSetting"][];
  settings: AgentDetail["settings"];
}

/** A daemon that does not know the question is not asked again. */
let unknown = false;

/** `undefined`: this daemon says what is wrong only when a definition is saved. */
export async function validate(definition: ToValidate): Promise<Verdict | undefined> {
  if (unknown) return undefined;
  try {
    const { problems, warnings, lowered, settings } = await request<Partial<Verdict>>("POST", "api/agents/validate", definition);
    return { problems: problems ?? [], warnings: warnings ?? [], lowered: lowered ?? [], settings: settings ?? {} };
  } catch (error) {
    const missing = error instanceof ApiError && (error.status === 405 || (error.status === 404 && !["unknown_vault", "unknown_note"].includes(error.code)));
    if (!missing) throw error;
    unknown = true;
    return undefined;
  }
}
