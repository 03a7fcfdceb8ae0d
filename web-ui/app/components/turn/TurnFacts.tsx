import { useSignal } from "@preact/signals";
import type { Usage } from "../../api";
import { turnFacts } from "../../conversation";
import { between, cost, count, duration } from "../../format";
import { useAction } from "../../resource";
import { type TurnDetail, turnsApi } from "../../turns";
import { ErrorNote } from "../ErrorNote";

/** What a turn took that the page has not watched: time and cost, and on demand everything that is kept. */
export function TurnFacts({ turn }: { turn: string }) {
  const facts = turnFacts.value.get(turn);
  const detail = useSignal<TurnDetail | undefined>(undefined);
  const action = useAction();
  if (!facts) return null;
  const took = facts.claimed_at && facts.settled_at ? duration(between(facts.claimed_at, facts.settled_at)) : undefined;
  const shown = detail.value;
  return (
    <>
      {facts.notices?.map((notice) => (
        <p key={notice} class="notice" role="note">
          {notice}
        </p>
      ))}
      <p class="state quiet">
        <span>{[took, cost(facts.cost_usd)].filter(Boolean).join(" · ")}</span>
        {shown ? (
          <span>
            {usageWords(shown.usage)}
            {shown.models.length > 0 ? ` · ${shown.models.join(", ")}` : ""}
          </span>
        ) : (
          <button
            type="button"
            class="link at-hand opener"
            disabled={action.busy.value}
            onClick={() => void action.run(async () => (detail.value = await turnsApi.turn(turn)))}
          >
            What it took
          </button>
        )}
      </p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
    </>
  );
}

export function usageWords(usage: Usage): string {
  const taken = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
  const cached = usage.cache_read_tokens > 0 ? ` (${count(usage.cache_read_tokens)} from cache)` : "";
  return `${count(taken)} tokens in${cached}, ${count(usage.output_tokens)} out`;
}
