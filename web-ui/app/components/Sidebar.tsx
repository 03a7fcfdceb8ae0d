import { attention, holderOf, isBroken, toApprove } from "../agent/standing";
import type { Agent } from "../api";
import { rolesOf, waits } from "../connections";
import { between, cost, elapsed, plural, time } from "../format";
import { hashOf } from "../route";
import { agents, grants, health, listError, now, orphans, route, selected, selectedAgent } from "../store";
import { signOutAsked } from "./frame/SignOut";
import { ThemeSwitch } from "./frame/ThemeSwitch";
import { useGradually } from "./useGradually";
import { Wordmark } from "./Wordmark";

export function Sidebar() {
  const drawn = useGradually(agents.value?.length ?? 0);
  return (
    <nav class="sidebar" aria-label="Agents">
      <header>
        <a class="home" href={hashOf({ view: "home" })}>
          <Wordmark />
        </a>
        <a class="button small" href={hashOf({ view: "new" })}>
          New agent
        </a>
      </header>
      <div class="lists">
        <ul class="agents">
          {agents.value?.slice(0, drawn).map((agent) => (
            <AgentItem key={agent.note_id ?? agent.name} agent={agent} />
          ))}
        </ul>
        {agents.value?.length === 0 ? <p class="quiet pad">No agents yet.</p> : null}
        <Roles />
        <Orphans />
        {listError.value && listError.value.status !== 0 && agents.value ? (
          <p class="note bad" role="alert">
            The list could not be refreshed: {listError.value.message}
          </p>
        ) : null}
      </div>
      <footer>
        <span class="quiet">{health.value ? `Version ${health.value.version}` : ""}</span>
        <span class="phone-only">
          <ThemeSwitch />
        </span>
        <button type="button" class="link" onClick={() => (signOutAsked.value = true)}>
          Sign out…
        </button>
      </footer>
    </nav>
  );
}

function AgentItem({ agent }: { agent: Agent }) {
  const broken = isBroken(agent);
  const holds = holderOf(agents.value, agent.name) === agent;
  const waiting = toApprove(agent).length;
  return (
    <li>
      <a
        class="item"
        // Of a broken one, or one that only claims a name, the definition is what there is to see.
        href={hashOf({ view: "agent", name: agent.name, ...(broken || !holds ? { tab: "definition" } : {}) })}
        aria-current={selectedAgent.value === agent ? "page" : undefined}
      >
        <span class={`dot ${broken ? "error" : agent.status}`} aria-hidden="true" />
        <span class="item-text">
          <bdi class="item-name">{agent.name}</bdi>
          <span class="item-detail">
            <Status agent={agent} />
          </span>
        </span>
        <ToApprove waiting={waiting} />
        {agent.cost_usd > 0 ? <span class="item-cost" title="Cost of all its turns">{cost(agent.cost_usd)}</span> : null}
      </a>
    </li>
  );
}

/** Says, without shouting, that somebody has to decide. */
function ToApprove({ waiting }: { waiting: number }) {
  if (waiting === 0) return null;
  return (
    <span class="mark-count" title={`${plural(waiting, "connection")} to approve`}>
      {waiting}
      <span class="visually-hidden"> {waiting === 1 ? "connection" : "connections"} to approve</span>
    </span>
  );
}

/** Roles that want something; what an agent wants stands with the agent. */
function Roles() {
  const roles = [...rolesOf(grants.value?.connections)];
  if (roles.length === 0) return null;
  return (
    <section aria-labelledby="roles">
      <h2 id="roles">Roles</h2>
      <ul class="agents">
        {roles.map(([holder, wanted]) => (
          <li key={holder}>
            <a class="item" href={hashOf({ view: "role", name: holder })} aria-current={isRole(holder) ? "page" : undefined}>
              <span class="item-text">
                <bdi class="item-name">{holder}</bdi>
                <span class="item-detail">{plural(wanted.length, "connection")}</span>
              </span>
              <ToApprove waiting={wanted.filter(waits).length} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const isRole = (holder: string): boolean => route.value.view === "role" && route.value.name === holder;

/** What the agent does now, in words. */
export function Status({ agent }: { agent: Agent }) {
  const waiting = agent.waiting > 0 ? `, ${agent.waiting} waiting` : "";
  const problems = attention(agent);
  if (problems) return <span class="bad-text">{problems}{waiting}</span>;
  switch (agent.status) {
    case "working": {
      const time = agent.running ? ` for ${elapsed(between(agent.running.since_at, now.value))}` : "";
      return <>{`Working${time}${waiting}`}</>;
    }
    case "queued":
      return <>{`${plural(agent.waiting, "message")} waiting`}</>;
    case "paused":
      return <>{paused(agent)}</>;
    case "error":
      return <span class="bad-text">{agent.status_detail || "The last turn failed"}{waiting}</span>;
    case "pending":
      return <>{agent.status_detail || "Not served by this daemon"}{waiting}</>;
    default:
      return <>{agent.prompt_preview ? `Idle · ${agent.prompt_preview}` : "Idle"}</>;
  }
}

function paused({ pause, running, waiting }: Agent): string {
  // Whoever paused it by hand knows that; the daemon's own reasons have a name.
  const code = pause && pause.code !== "person" ? ` (${pause.code})` : "";
  const rest = [
    running ? "one turn still runs" : "",
    waiting > 0 ? `${waiting} waiting` : "",
    pause?.until_at ? `until ${time(pause.until_at, now.value)}` : "",
    pause?.reason ?? "",
  ];
  return [`Paused${code}`, ...rest.filter(Boolean)].join(" · ");
}

function Orphans() {
  if (orphans.value.length === 0) return null;
  return (
    <section aria-labelledby="orphans">
      <h2 id="orphans">Waiting for an agent</h2>
      <ul class="agents">
        {orphans.value.map(({ channel, messages }) => (
          <li key={channel}>
            <a
              class="item"
              href={hashOf({ view: "agent", name: channel })}
              aria-current={selected.value === channel ? "page" : undefined}
            >
              <span class="dot queued" aria-hidden="true" />
              <span class="item-text">
                <bdi class="item-name">{channel}</bdi>
                <span class="item-detail">{plural(messages, "message")}, no agent of this name</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
