import { useEffect, useRef } from "preact/hooks";
import { isBroken, toApprove } from "../agent/standing";
import { keyOf, unsavedOf, unsavedParts } from "../agent/unsaved";
import { announcement } from "../conversation";
import { hashOf, type AgentRoute, type Tab } from "../route";
import { route, selectedAgent } from "../store";
import { AgentHeader } from "./agent/AgentHeader";
import { Withheld } from "./agent/Withheld";
import { Connections } from "./connections/Connections";
import { Conversation } from "./Conversation";
import { Lazy } from "./Lazy";

const Secrets = Lazy("the secrets", () => import("./secrets/Secrets").then((part) => part.Secrets));
const SandboxTab = Lazy("the sandbox", () => import("./sandbox/SandboxTab").then((part) => part.SandboxTab));
const Definition = Lazy("the definition", () => import("./definition/Definition").then((part) => part.Definition));
const Jobs = Lazy("the jobs", () => import("./jobs/Jobs").then((part) => part.Jobs));

const AgentThreads = Lazy("the conversations", () => import("./threads/Threads").then((part) => part.AgentThreads));

/** All that the page shows of one agent: its name and state, and one of its parts. */
export function AgentPage({ name }: { name: string }) {
  const agent = selectedAgent.value;
  const at = route.value;
  const tab = (agent && at.view === "agent" && at.tab) || "conversation";
  const current = tab === "conversation" && at.view === "agent" && at.thread !== undefined ? "threads" : tab;
  return (
    <main class="conversation">
      <AgentHeader name={name} agent={agent} writing={tab === "conversation"} />
      {agent ? <Withheld agent={agent} /> : null}
      {agent ? <Tabs name={name} tab={current} /> : null}
      {tab === "conversation" ? <Conversation name={name} /> : null}
      {tab === "threads" ? <AgentThreads key={name} agent={name} /> : null}
      {tab === "jobs" ? <Jobs agent={name} /> : null}
      {tab === "connections" ? <Connections agent={name} /> : null}
      {tab === "secrets" ? <Secrets agent={name} /> : null}
      {tab === "sandbox" ? <SandboxTab agent={name} /> : null}
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
  { tab: "secrets", label: "Secrets" },
  { tab: "sandbox", label: "Sandbox" },
  { tab: "definition", label: "Definition" },
];

function Tabs({ name, tab }: { name: string; tab: Tab }) {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone they do not all fit.
    const current = bar.current?.querySelector<HTMLElement>("[aria-current]");
    if (bar.current && current) bar.current.scrollLeft = current.offsetLeft - (bar.current.clientWidth - current.offsetWidth) / 2;
  }, [tab]);
  return (
    <nav class="tabs" ref={bar} aria-label={`Parts of ${name}`}>
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
  if (tab === "sandbox") {
    const lowered = agent.lowered?.length ?? 0;
    return lowered > 0 ? <span class="mark-count" title="Asked for and not given">{lowered}</span> : null;
  }
  if (tab !== "definition") return null;
  if (unsavedParts(unsavedOf(keyOf(agent.vault, agent.note_id))).length > 0) return <span class="mark-count" title="There are unsaved changes">✎</span>;
  if (isBroken(agent)) return <span class="mark-count bad" title="Problems">{agent.problems?.length}</span>;
  const warnings = agent.warnings?.length ?? 0;
  return warnings > 0 ? <span class="mark-count" title="Warnings">{warnings}</span> : null;
}
