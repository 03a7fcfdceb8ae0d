import { goesOn, isBroken } from "../../agent/standing";
import type { Agent } from "../../api";
import { isStopping, runningTurn, stop, stopError } from "../../conversation";
import { cost, fullTime } from "../../format";
import { nextJobs } from "../../home";
import { jobsApi } from "../../jobs/api";
import { fromNow } from "../../jobs/when";
import { useResource } from "../../resource";
import { hashOf } from "../../route";
import { minute } from "../../store";
import { Status } from "../Sidebar";
import { Pausing } from "./Pausing";

/** Who it is, what it does now, what it costs, when it runs next, and the two things that cannot wait. */
export function AgentHeader({ name, agent, writing }: { name: string; agent: Agent | undefined; writing: boolean }) {
  return (
    <header class="bar">
      <a class="back" href={hashOf({ view: "home" })} aria-label="All agents">
        ‹
      </a>
      <div class="bar-text">
        <h1>
          <bdi>{name}</bdi>
        </h1>
        {agent ? (
          <p class="quiet">
            <Status agent={agent} />
          </p>
        ) : null}
      </div>
      {agent ? <Facts agent={agent} /> : null}
      {agent ? (
        <div class="bar-actions">
          {writing ? null : <Stop />}
          {isBroken(agent) && !goesOn(agent) ? null : <Pausing agent={agent} />}
        </div>
      ) : null}
    </header>
  );
}

function Facts({ agent }: { agent: Agent }) {
  const jobs = useResource(() => jobsApi.list(agent.name));
  const next = nextJobs(jobs.value.value?.jobs ?? []).get(agent.name);
  const today = agent.cost_today_usd ?? 0;
  return (
    <ul class="bar-facts">
      {agent.model ? <li title="Its model">{agent.model}</li> : null}
      {next?.nextRunAt ? (
        <li>
          <a href={hashOf({ view: "agent", name: agent.name, tab: "jobs" })} title={`${next.id}: ${fullTime(next.nextRunAt)}`}>
            Next run {fromNow(next.nextRunAt, minute.value)}
          </a>
        </li>
      ) : null}
      {agent.cost_usd > 0 ? (
        <li title={`${cost(agent.cost_usd)} for all its turns. A day is one of UTC.`}>
          {cost(today)} today<span class="wide-only"> · {cost(agent.cost_usd)} in all</span>
        </li>
      ) : null}
    </ul>
  );
}

/** Where a message is written there is one already. */
function Stop() {
  const turn = runningTurn.value;
  if (!turn) return null;
  return (
    <>
      {stopError.value ? (
        <span class="bad-text" role="alert">
          {stopError.value.message}
        </span>
      ) : null}
      <button type="button" class="small stop" disabled={isStopping(turn)} onClick={() => void stop(turn)}>
        {isStopping(turn) ? "Stopping…" : "Stop its turn"}
      </button>
    </>
  );
}
