/** What the daemon says of a definition before it is written: `POST /api/agents/validate`. To be replaced when its document has the shapes. */
import { ApiError, type AgentDetail, type Problem, request } from "../api";
import type { components } from "../api/schema";

export interface ToValidate {
  vault: string;
  name: string;
  content: string;
  metadata: Readonly<Record<string, unknown>>;
  /** Of a definition that is there already. */
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
    return { problems: keyed(problems), warnings: keyed(warnings), lowered: lowered ?? [], settings: settings ?? {} };
  } catch (error) {
    const missing = error instanceof ApiError && (error.status === 405 || (error.status === 404 && error.code !== "unknown_vault"));
    if (!missing) throw error;
    unknown = true;
    return undefined;
  }
}

/** The key of a problem may be called `field`. */
function keyed(problems: readonly (Problem & { field?: string })[] = []): Problem[] {
  return problems.map(({ key, field, message }) => ({ key: key ?? field ?? "", message }));
}
