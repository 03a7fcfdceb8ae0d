/** What the daemon says of a definition, sorted to the fields of its form. Pure. */
import { type Draft, fieldOf } from "../../agent/draft";
import type { Problem } from "../../api";
import { type Sorted, sortProblems } from "../../problems";
import type { Check } from "./useVerdict";

export interface Told {
  problems: Sorted;
  warnings: Sorted;
}

/** `refused` is what it said when it was to be saved: what was changed since is no longer meant. Before the first answer, what it said of the note. */
export function told(check: Check, refused: readonly Problem[], before: { problems: readonly Problem[]; warnings: readonly Problem[] }, draft: Draft, touched: ReadonlySet<string>): Told {
  const of = (key: string): string | undefined => fieldOf(key, draft);
  const { verdict } = check;
  const lowered = (verdict?.lowered ?? []).map(({ key, got, reason }) => ({ key, message: `It would get ${got || "nothing"} instead: ${reason}` }));
  const now = verdict?.problems ?? (refused.length > 0 ? [] : before.problems);
  return {
    problems: joined(sortProblems(refused, of, touched), sortProblems(now, of, verdict ? undefined : touched)),
    warnings: sortProblems([...(verdict?.warnings ?? before.warnings), ...lowered], of, verdict ? undefined : touched),
  };
}

/** Each of them once. */
function joined(one: Sorted, other: Sorted): Sorted {
  const fields = new Map(one.fields);
  for (const [field, messages] of other.fields) fields.set(field, [...new Set([...(fields.get(field) ?? []), ...messages])]);
  const rest = [...one.rest, ...other.rest.filter(({ key, message }) => !one.rest.some((known) => known.key === key && known.message === message))];
  return { fields, rest };
}
