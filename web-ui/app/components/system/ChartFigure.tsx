import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Chart, dayName, exact, type Series } from "../../system/figures";

const HEIGHT = 150;
const TOP = 10;
const FOOT = 20;
const SIDE = 46;
const USUAL_WIDTH = 460;

/** A chart with what it comes to, and the same as a table. */
export function ChartFigure({ chart, days }: { chart: Chart; days: readonly string[] }) {
  const asTable = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(USUAL_WIDTH);
  useEffect(() => {
    const { current } = box;
    if (!current) return;
    const watch = new ResizeObserver(([entry]) => {
      const wide = Math.floor(entry?.contentRect.width ?? 0);
      if (wide > 0) width.value = wide;
    });
    watch.observe(current);
    return () => watch.disconnect();
  }, []);
  const id = `figure-${chart.id}`;
  const empty = chart.series.every(({ values }) => values.every((value) => !value));
  return (
    <figure class="figure" aria-labelledby={`${id}-name`}>
      <figcaption>
        <div class="figure-head">
          <h3 id={`${id}-name`}>{chart.name}</h3>
          <button type="button" class="link" aria-expanded={asTable.value} aria-controls={`${id}-table`} onClick={() => (asTable.value = !asTable.value)}>
            {asTable.value ? "Hide the table" : "As a table"}
            <span class="visually-hidden"> of {chart.name}</span>
          </button>
        </div>
        <p class="gist" id={`${id}-gist`}>
          {chart.gist}
        </p>
      </figcaption>
      <div ref={box} class="chart-box">
        {empty ? <p class="quiet chart-none">Nothing to draw.</p> : <Drawing chart={chart} days={days} width={width.value} labelled={`${id}-name ${id}-gist`} />}
      </div>
      <Legend series={chart.series.length > 1 ? chart.series.filter(({ values }) => values.some((value) => value)) : []} kind={chart.kind} />
      <div id={`${id}-table`} class="scroll-x" hidden={!asTable.value} tabIndex={0} role="region" aria-label={`${chart.name} as a table`}>
        {asTable.value ? <Table chart={chart} days={days} /> : null}
      </div>
    </figure>
  );
}

interface DrawingProps {
  chart: Chart;
  days: readonly string[];
  width: number;
  labelled: string;
}

function Drawing({ chart, days, width, labelled }: DrawingProps) {
  const { ticks, text, kind, series } = chart;
  const top = ticks.at(-1) ?? 1;
  const y = (value: number): number => HEIGHT - FOOT - (value / top) * (HEIGHT - FOOT - TOP);
  const slot = (width - SIDE) / Math.max(1, days.length);
  const middle = (index: number): number => SIDE + (index + 0.5) * slot;
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT} role="img" aria-labelledby={labelled}>
      {ticks.map((tick) => (
        <g key={tick}>
          <line class={tick === 0 ? "axis" : "grid-line"} x1={SIDE} x2={width} y1={y(tick)} y2={y(tick)} />
          <text class="tick" x={SIDE - 6} y={y(tick) + 3.5} text-anchor="end">{text(tick)}</text>
        </g>
      ))}
      {namedDays(days.length, slot).map((index) => (
        <text key={index} class="tick" x={atEnd(index, days.length) ? width : middle(index)} y={HEIGHT - 5} text-anchor={atEnd(index, days.length) ? "end" : "middle"}>
          {dayName(days[index] ?? "")}
        </text>
      ))}
      {kind === "bars" ? <Bars chart={chart} days={days} y={y} slot={slot} /> : series.map((one) => <Line key={one.tone} chart={chart} series={one} days={days} x={middle} y={y} />)}
    </svg>
  );
}

/** So that names do not touch each other; the last day always has one. */
function namedDays(many: number, slot: number): number[] {
  const every = Math.max(1, Math.ceil(82 / slot));
  return Array.from({ length: many }, (_, index) => index).filter((index) => (many - 1 - index) % every === 0 && (many === 1 || index * slot >= 20 || index === many - 1));
}

/** The name of the last day would reach over the edge. */
const atEnd = (index: number, many: number): boolean => index === many - 1 && many > 3;

interface BarsProps {
  chart: Chart;
  days: readonly string[];
  y: (value: number) => number;
  slot: number;
}

function Bars({ chart, days, y, slot }: BarsProps) {
  const wide = Math.max(2, Math.min(26, slot * 0.66));
  return (
    <>
      {days.map((day, index) => {
        let below = 0;
        return (
          <g key={day}>
            <title>{`${dayName(day)}: ${chart.series.filter(({ values }) => values[index]).map(({ name, values }) => `${name} ${exact(chart, values[index] ?? null)}`).join(", ") || "none"}`}</title>
            {/* All that is above the day answers to the pointer. */}
            <rect class="slot" x={SIDE + index * slot} y={TOP} width={slot} height={HEIGHT - FOOT - TOP} />
            {chart.series.map(({ tone, values }) => {
              const value = values[index] ?? 0;
              if (value <= 0) return null;
              const foot = y(below);
              below += value;
              return <rect key={tone} class={`bar-${tone}`} x={SIDE + (index + 0.5) * slot - wide / 2} y={y(below)} width={wide} height={Math.max(1, foot - y(below))} />;
            })}
          </g>
        );
      })}
    </>
  );
}

interface LineProps {
  chart: Chart;
  series: Series;
  days: readonly string[];
  x: (index: number) => number;
  y: (value: number) => number;
}

/** With gaps where a day has no figure; points, so that a day alone is seen as well. */
function Line({ chart, series: { name, tone, values }, days, x, y }: LineProps) {
  const path = values.map((value, index) => (value === null ? "" : `${values[index - 1] === null || index === 0 ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`)).join("");
  return (
    <g class={`line-${tone}`}>
      <path d={path} />
      {values.map((value, index) =>
        value === null ? null : (
          <circle key={days[index]} cx={x(index)} cy={y(value)} r={values.length > 20 ? 2 : 3}>
            <title>{`${dayName(days[index] ?? "")}: ${name.toLowerCase()} ${exact(chart, value)}`}</title>
          </circle>
        ),
      )}
    </g>
  );
}

function Legend({ series, kind }: { series: readonly Series[]; kind: Chart["kind"] }) {
  return (
    <ul class="legend" aria-hidden="true">
      {series.map(({ name, tone }) => (
        <li key={tone}>
          <svg viewBox="0 0 14 10" width="14" height="10">
            {kind === "bars" ? <rect class={`bar-${tone}`} x="2" y="0" width="10" height="10" /> : (
              <g class={`line-${tone}`}>
                <path d="M0 5H14" />
                <circle cx="7" cy="5" r="3" />
              </g>
            )}
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}

function Table({ chart, days }: { chart: Chart; days: readonly string[] }) {
  return (
    <table class="figure-table">
      <caption class="visually-hidden">{chart.name}</caption>
      <thead>
        <tr>
          <th scope="col">Day</th>
          {chart.series.map(({ name }) => (
            <th key={name} scope="col">{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {days.map((day, index) => (
          <tr key={day}>
            <th scope="row">{dayName(day)}</th>
            {chart.series.map(({ name, values }) => (
              <td key={name}>{exact(chart, values[index] ?? null)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
