import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { holderOf, isBroken } from "../../agent/standing";
import { cost, fullTime, plural, time } from "../../format";
import { arranged, homeRows, type HomeRow, type StateFilter, totals } from "../../home";
import { jobsApi } from "../../jobs/api";
import { fromNow } from "../../jobs/when";
import { useResource } from "../../resource";
import { hashOf } from "../../route";
import { homeSort, type SortKey } from "../../settings";
import { agents, minute } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Status } from "../Sidebar";
import { useGradually } from "../useGradually";

const COLUMNS: readonly { key: SortKey; label: string; title: string }[] = [
  { key: "name", label: "Agent", title: "By name" },
  { key: "state", label: "State", title: "What needs a person first" },
  { key: "activity", label: "Last active", title: "The newest first" },
  { key: "next", label: "Next run", title: "The soonest first" },
  { key: "cost", label: "Cost today", title: "The most first; a day is one of UTC" },
];

const FILTERS: readonly { state: StateFilter; label: string }[] = [
  { state: "all", label: "All states" },
  { state: "working", label: "Working" },
  { state: "waiting", label: "With messages in line" },
  { state: "paused", label: "Paused" },
  { state: "attention", label: "Need a person" },
];

/** All agents at a glance: what each does, when it was active, what it costs, and when it runs next. */
export function Home() {
  const text = useSignal("");
  const state = useSignal<StateFilter>("all");
  const jobs = useResource(jobsApi.all);
  const rows = useComputed(() => homeRows(agents.value ?? [], jobs.value.value?.jobs ?? []));
  const shown = useComputed(() => arranged(rows.value, homeSort.value, text.value, state.value));
  const drawn = useGradually(shown.value.length);
  useEffect(() => {
    // For who measures how fast the page is.
    requestAnimationFrame(() => performance.mark("agents-painted"));
  }, []);
  return (
    <main class="home-page" id="main" tabIndex={-1}>
      <header class="home-head">
        <div>
          <h1>Agents</h1>
          <Summary />
        </div>
        <a class="button small phone-only" href={hashOf({ view: "new" })}>
          New agent
        </a>
      </header>
      <div class="home-tools" role="search">
        <input
          type="search" data-search aria-label="Find an agent" placeholder="Find an agent" value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
        <select aria-label="State" value={state.value} onChange={(event) => (state.value = event.currentTarget.value as StateFilter)}>
          {FILTERS.map(({ state: own, label }) => (
            <option key={own} value={own}>{label}</option>
          ))}
        </select>
        <select class="phone-only" aria-label="Order" value={homeSort.value} onChange={(event) => (homeSort.value = event.currentTarget.value as SortKey)}>
          {COLUMNS.map(({ key, label }) => (
            <option key={key} value={key}>By {label.toLowerCase()}</option>
          ))}
        </select>
      </div>
      {jobs.error.value && jobs.error.value.status !== 0 ? <ErrorNote error={jobs.error.value} /> : null}
      <table class="home-table">
        <thead>
          <tr>
            {COLUMNS.map(({ key, label, title }) => (
              <th key={key} scope="col" aria-sort={homeSort.value === key ? (key === "name" || key === "next" || key === "state" ? "ascending" : "descending") : undefined}>
                <button type="button" title={title} onClick={() => (homeSort.value = key)}>
                  {label}
                  <span aria-hidden="true">{homeSort.value === key ? " ↓" : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.value.slice(0, drawn).map((row) => (
            <Row key={row.agent.note_id ?? row.agent.name} row={row} />
          ))}
        </tbody>
      </table>
      <p class="quiet home-count" role="status">
        {shown.value.length === rows.value.length ? "" : `${shown.value.length} of ${plural(rows.value.length, "agent")} shown.`}
      </p>
    </main>
  );
}

function Summary() {
  const list = agents.value ?? [];
  const { working, waiting, attention, costToday } = totals(list);
  const parts = [
    plural(list.length, "agent"),
    working > 0 ? `${working} working` : "",
    waiting > 0 ? `${plural(waiting, "message")} in line` : "",
    attention > 0 ? (attention === 1 ? "1 needs a person" : `${attention} need a person`) : "",
    `${cost(costToday)} today`,
  ];
  return <p class="quiet">{parts.filter(Boolean).join(" · ")}</p>;
}

function Row({ row: { agent, activeAt, next } }: { row: HomeRow }) {
  const broken = isBroken(agent);
  const holds = holderOf(agents.value, agent.name) === agent;
  return (
    <tr>
      <th scope="row">
        <span class={`dot ${broken ? "error" : agent.status}`} aria-hidden="true" />
        <a href={hashOf({ view: "agent", name: agent.name, ...(broken || !holds ? { tab: "definition" } : {}) })}>
          <bdi>{agent.name}</bdi>
        </a>
      </th>
      <td class="cell-state">
        <Status agent={agent} />
      </td>
      <td class="cell-active">
        {activeAt ? (
          <time dateTime={activeAt} title={fullTime(activeAt)}>
            {time(activeAt, minute.value)}
          </time>
        ) : (
          <span class="quiet">Never</span>
        )}
      </td>
      <td class="cell-next">
        {next?.nextRunAt ? (
          <a href={hashOf({ view: "agent", name: agent.name, tab: "jobs" })} title={`${next.id}: ${fullTime(next.nextRunAt)}`}>
            {fromNow(next.nextRunAt, minute.value)}
          </a>
        ) : null}
      </td>
      <td class="cell-cost" title={`${cost(agent.cost_usd)} in all`}>
        {(agent.cost_today_usd ?? 0) > 0 ? cost(agent.cost_today_usd ?? 0) : ""}
      </td>
    </tr>
  );
}
