import { signal } from "@preact/signals";
import { cost, plural } from "../../format";
import { localZone } from "../../jobs/when";
import { hashOf } from "../../route";
import { agents } from "../../store";
import { type Statistics, systemApi } from "../../system/api";
import { chartsOf, RANGES, type Range } from "../../system/figures";
import { ChartFigure } from "./ChartFigure";
import { Failed } from "./Parts";
import { useReading } from "./useReading";

/** They stay as they are chosen while the page is open. */
const range = signal<Range>(14);
const whose = signal("");

/** Turns, failures, times and cost of the last days. */
export function FiguresPart() {
  const zone = localZone();
  const figures = useReading(() => systemApi.statistics(range.value, zone, whose.value), `${range.value} ${whose.value}`);
  const known = figures.value.value;
  const { error, busy } = figures;
  return (
    <section class="stack" aria-label="Figures" aria-busy={busy.value}>
      <div class="figure-tools">
        <div class="chips" role="group" aria-label="Days">
          {RANGES.map((days) => (
            <button key={days} type="button" class="chip" aria-pressed={range.value === days} onClick={() => (range.value = days)}>
              {days} days
            </button>
          ))}
        </div>
        <select aria-label="Agent" value={whose.value} onChange={(event) => (whose.value = event.currentTarget.value)}>
          <option value="">All agents</option>
          {agents.value?.map(({ name, vault }) => (
            <option key={`${vault} ${name}`} value={name}>{name}</option>
          ))}
        </select>
        <button type="button" class="small" disabled={busy.value} onClick={() => void figures.load()}>
          {busy.value ? "Counting…" : "Count again"}
        </button>
      </div>
      {error.value ? <Failed error={error.value} again={() => void figures.load()} what="figures" elsewhere="Its `/metrics` may be read by Prometheus." /> : null}
      {known ? (
        <>
          <p class="quiet">A day is one of {known.zone}. What is counted is what the daemon keeps of turns; older ones may be gone.</p>
          <div class="figures">
            {chartsOf(known).map((chart) => (
              <ChartFigure key={chart.id} chart={chart} days={known.days.map(({ day }) => day)} />
            ))}
            {known.agents.length > 0 && !whose.value ? <ByAgent figures={known} /> : null}
          </div>
        </>
      ) : error.value ? null : (
        <p class="quiet">Counting…</p>
      )}
    </section>
  );
}

function ByAgent({ figures: { agents: all } }: { figures: Statistics }) {
  const list = [...all].sort((a, b) => b.cost_usd - a.cost_usd || b.turns - a.turns);
  const most = list[0];
  return (
    <figure class="figure" aria-labelledby="by-agent">
      <figcaption>
        <h3 id="by-agent">By agent</h3>
        <p class="gist">
          {most && most.cost_usd > 0 ? `${most.agent} cost the most: ${cost(most.cost_usd)} of ${cost(list.reduce((sum, { cost_usd }) => sum + cost_usd, 0))}.` : `${plural(list.length, "agent")}; nothing was spent.`}
        </p>
      </figcaption>
      <div class="scroll-x by-agent" tabIndex={0} role="region" aria-label="By agent, as a table">
        <table class="figure-table">
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">Turns</th>
              <th scope="col">Failed</th>
              <th scope="col">Cost</th>
            </tr>
          </thead>
          <tbody>
            {list.map(({ agent, turns, failures, cost_usd }) => (
              <tr key={agent}>
                <th scope="row">
                  <a href={hashOf({ view: "agent", name: agent })}>
                    <bdi>{agent}</bdi>
                  </a>
                </th>
                <td>{turns}</td>
                <td class={failures > 0 ? "bad-text" : undefined}>{failures}</td>
                <td>{cost(cost_usd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
