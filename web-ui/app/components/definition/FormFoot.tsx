import type { ComponentChildren } from "preact";
import type { Problem } from "../../api";
import { plural } from "../../format";
import { Problems } from "../Field";
import type { Check } from "./useVerdict";

/** What the daemon says of the form as it is, in a line that always has the same height. */
function CheckLine({ check, found }: { check: Check; found: number }) {
  if (check.state === "waiting") return null;
  if (check.state === "unknown") return <span class="quiet">It is checked when you save it.</span>;
  if (check.state === "failed") return <span class="quiet">It could not be checked now ({check.reason ?? "no answer"}); that is done when you save it.</span>;
  if (!check.verdict) return <span class="quiet">Being checked…</span>;
  if (found > 0) return <span class="bad-text">{plural(found, "problem")} to correct</span>;
  const odd = check.verdict.warnings.length + check.verdict.lowered.length;
  if (odd > 0) return <span class="quiet">It can be saved. Look at {odd === 1 ? "what is" : `the ${odd} things that are`} marked.</span>;
  return <span class="good-text">The daemon would take it as it is.</span>;
}

/** The end of a form that is checked while it is written: it stays in view. */
export function FormFoot({ check, found, rest, children }: { check: Check; found: number; rest: readonly Problem[]; children: ComponentChildren }) {
  return (
    <>
      {rest.length > 0 ? (
        <div class="note warn">
          <Problems list={rest} />
        </div>
      ) : null}
      <div class="form-foot">
        <p role="status" class="check-line">
          <CheckLine check={check} found={found} />
        </p>
        <div class="row-actions">{children}</div>
      </div>
    </>
  );
}
