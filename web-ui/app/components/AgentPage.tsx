import { isBroken, toApprove } from "../agent/standing";
import { announcement } from "../conversation";
import { cost } from "../format";
import { hashOf, type AgentRoute, type Tab } from "../route";
import { route, selectedAgent } from "../store";
import { Connections } from "./connections/Connections";
import { Conversation } from "./Conversation";
import { Definition } from "./definition/Definition";
import { Jobs } from "./jobs/Jobs";
import { Lazy } from "./Lazy";
import { Status } from "./Sidebar";

const AgentThreads = Lazy("the conversations", () => import("./threads/Threads").then((part) => part.AgentThreads));

/** All that the page shows of one agent: its name and state, and one of its parts. */
export function AgentPage({ name }: { name: string }) {
  const agent = selectedAgent.value;
  const at = route.value;
  const tab = (agent && at.view === "agent" && at.tab) || "conversation";
  const current = tab === "conversation" && at.view === "agent" && at.thread !== undefined ? "threads" : tab;
  return (
    <main class="conversation">
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
        {agent?.model ? <span class="quiet bar-extra">{agent.model}</span> : null}
        {agent && agent.cost_usd > 0 ? (
          <span class="quiet bar-extra" title="Cost of all its turns">
            {cost(agent.cost_usd)}
          </span>
        ) : null}
      </header>
      {agent ? <Tabs name={name} tab={current} /> : null}
      {tab === "conversation" ? <Conversation name={name} /> : null}
      {tab === "threads" ? <AgentThreads key={name} agent={name} /> : null}
      {tab === "jobs" ? <Jobs agent={name} /> : null}
      {tab === "connections" ? <Connections agent={name} /> : null}
      {tab === "definition" ? <Definition key={agent?.note_id} name={name} /> : null}
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </main>
  );
}

const TABS: readonly { tab: Tab; label: string }[] = [
  { tab: "conversation", label: "Messages" },
  { tab: "threads", label: "Threads" },
  { tab: "jobs", label: "Jobs" },
  { tab: "connections", label: "Connections" },
  { tab: "definition", label: "Definition" },
];

function Tabs({ name, tab }: { name: string; tab: Tab }) {
  return (
    <nav class="tabs" aria-label={`Parts of ${name}`}>
      {TABS.map(({ tab: own, label }) => {
        const to: AgentRoute = { view: "agent", name, ...(own === "conversation" ? {} : { tab: own }) };
        return (
          <a key={own} href={hashOf(to)} aria-current={own === tab ? "page" : undefined}>
            {label}
            <TabMark tab={own} />
          </a>
        );
      })}
    </nav>
  );
}

/** How much there is to do in a part. */
function TabMark({ tab }: { tab: Tab }) {
  const agent = selectedAgent.value;
  if (!agent) return null;
  if (tab === "connections") {
    const waiting = toApprove(agent).length;
    return waiting > 0 ? <span class="mark-count" title="Wait to be approved">{waiting}</span> : null;
  }
  if (tab !== "definition") return null;
  if (isBroken(agent)) return <span class="mark-count bad" title="Problems">{agent.problems?.length}</span>;
  const warnings = agent.warnings?.length ?? 0;
  return warnings > 0 ? <span class="mark-count" title="Warnings">{warnings}</span> : null;
}
