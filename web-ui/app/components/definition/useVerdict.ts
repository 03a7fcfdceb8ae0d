import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type ToValidate, validate, type Verdict } from "../../agent/validation";
import { failure } from "../../store";

/** So long after the last key the daemon is asked. */
const PAUSE_MS = 350;

export interface Check {
  /** `waiting`: there is nothing to check yet; `unknown`: this daemon says it when the definition is saved. */
  state: "waiting" | "checking" | "checked" | "unknown" | "failed";
  /** The last one: it stays while the next is on its way, so that nothing flickers. */
  verdict?: Verdict;
  /** Why nobody could be asked. */
  reason?: string;
}

/** What the daemon says of a definition while it is written. An answer that was overtaken by another key is dropped. */
export function useVerdict(definition: ToValidate | undefined): Check {
  const check = useSignal<Check>({ state: definition ? "checking" : "waiting" });
  const asked = useRef(0);
  const text = definition && JSON.stringify(definition);

  useEffect(() => {
    const own = ++asked.current;
    if (check.peek().state === "unknown") return;
    if (!definition) {
      check.value = { state: "waiting" };
      return;
    }
    const { verdict } = check.peek();
    const kept = verdict ? { verdict } : {};
    check.value = { state: "checking", ...kept };
    const ask = async (): Promise<void> => {
      try {
        const answer = await validate(definition);
        if (own === asked.current) check.value = answer ? { state: "checked", verdict: answer } : { state: "unknown" };
      } catch (thrown) {
        const { message } = failure(thrown);
        if (own === asked.current) check.value = { state: "failed", reason: message, ...kept };
      }
    };
    const timer = setTimeout(() => void ask(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => () => void (asked.current = -1), []);

  return check.value;
}
