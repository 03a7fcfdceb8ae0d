import { fullTime } from "../../format";
import { PREVIEWED, type Preview } from "../../jobs/preview";
import { dayTime, elsewhere, fromNow, localZone, wallClock } from "../../jobs/when";
import { now } from "../../store";

/** When a job would be due, on the reader's clock and on that of the job. */
export function NextRuns({ preview: { next, own, error, zone: told }, zone, once }: { preview: Preview; zone: string; once: boolean }) {
  return (
    <section class="job-preview" aria-label="When it would run">
      <h3>{once ? "It would run" : `The next ${PREVIEWED} times`}</h3>
      <ol>
        {next?.map(({ at, local }) => (
          <li key={at}>
            <time dateTime={at} title={fullTime(at)}>
              {dayTime(at, now.value)}
            </time>
            <span class="soon"> {fromNow(at, now.value)}</span>
            <span class="quiet job-there">{there(at, zone || (told ?? ""), local)}</span>
          </li>
        ))}
      </ol>
      {next === undefined ? <p class="quiet">Looking…</p> : next.length === 0 ? <p class="quiet">{once ? "Choose a moment that is still to come." : "Never, as it stands."}</p> : null}
      {error ? (
        <p class="quiet">{error.message} Until it does, this page has reckoned the times by itself.</p>
      ) : own && next && next.length > 0 ? (
        <p class="quiet">Reckoned by this page; the daemon decides.</p>
      ) : null}
    </section>
  );
}

/** What the clock of the job's zone shows, where it is another one than the reader's. */
function there(at: string, zone: string, local: string | undefined): string {
  const told = elsewhere(at, zone);
  if (told) return told;
  // The browser may not know the zone, and only the daemon knows its own.
  const wall = local?.replace(" ", "T").slice(0, 16);
  const knows = zone !== "" && wallClock(at, zone) !== undefined;
  if (!wall || knows || wall === wallClock(at, localZone())) return "";
  return `${wall.replace("T", ", ")} ${zone ? `in ${zone}` : "on the daemon's clock"}`;
}
