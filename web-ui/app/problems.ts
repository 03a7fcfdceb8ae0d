/** Problems that the daemon found, sorted to the fields of a form. Pure. */
import type { Problem } from "./api";

export interface Sorted {
  /** Messages by field. */
  fields: ReadonlyMap<string, readonly string[]>;
  /** What belongs to no field of the form. */
  rest: readonly Problem[];
}

/** `fieldOf` names the field of a key, or nothing. What was said of a field that was `touched` since says nothing of it now. */
export function sortProblems(
  problems: readonly Problem[],
  fieldOf: (key: string) => string | undefined,
  touched: ReadonlySet<string> = new Set(),
): Sorted {
  const fields = new Map<string, string[]>();
  const rest: Problem[] = [];
  for (const problem of problems) {
    const field = fieldOf(problem.key);
    if (field === undefined) rest.push(problem);
    else if (!touched.has(field)) fields.set(field, [...(fields.get(field) ?? []), problem.message]);
  }
  return { fields, rest };
}
