import { fullTime, time } from "../../format";
import { now } from "../../store";
import { type Check, systemApi } from "../../system/api";
import { checksByLevel, reportText } from "../../system/words";
import { CopyButton } from "../CopyButton";
import { Sentence } from "../Text";
import { Failed, Mend } from "./Parts";
import { useReading } from "./useReading";

/** What the doctor finds, what failed first. */
export function DoctorPart() {
  const report = useReading(systemApi.doctor, "");
  const known = report.value.value;
  const { error } = report;
  return (
    <section class="stack" aria-label="Doctor" aria-busy={report.busy.value}>
      <div class="row-actions">
        <button type="button" class="primary" disabled={report.busy.value} onClick={() => void report.load()}>
          {report.busy.value ? "Examining…" : known ? "Run again" : "Run"}
        </button>
        <span class="quiet" role="status">
          {report.busy.value ? "Everything that the daemon needs is tried out; that takes a moment." : known ? <Told checks={known.checks} at={known.ran_at} /> : ""}
        </span>
        {known ? <CopyButton text={reportText(known.checks)} label="Copy the report" /> : null}
      </div>
      {error.value ? <Failed error={error.value} again={() => void report.load()} what="what its doctor finds" elsewhere="Type `reveille doctor` on its machine." /> : null}
      {known
        ? checksByLevel(known.checks).map(({ level, title, checks }) => (
            <section key={level} class="checks" aria-label={title}>
              <h2>
                {title} <span class="quiet">{checks.length}</span>
              </h2>
              <ul class="entries">
                {checks.map((check, index) => (
                  <CheckLine key={`${check.check} ${index}`} check={check} />
                ))}
              </ul>
            </section>
          ))
        : null}
    </section>
  );
}

function Told({ checks, at }: { checks: readonly Check[]; at: string }) {
  const many = (level: string): number => checks.filter((check) => check.level === level).length;
  const words = [many("error") > 0 ? `${many("error")} failed` : "", many("warning") > 0 ? `${many("warning")} with a warning` : "", `${many("ok")} in order`];
  return (
    <>
      {words.filter(Boolean).join(", ")} ·{" "}
      <time dateTime={at} title={fullTime(at)}>
        {time(at, now.value)}
      </time>
    </>
  );
}

const MARKS: Record<string, readonly [word: string, tone: string]> = { error: ["Failed", "bad"], warning: ["Warning", "waiting"], ok: ["In order", "good"] };

function CheckLine({ check: { check, level, detail, mend } }: { check: Check }) {
  const [word, tone] = MARKS[level] ?? ["Left out", "quiet"];
  return (
    <li class={`entry ${level}`} aria-label={check}>
      <span class={`tag ${tone}`}>{word}</span>
      <h3>{check.replace(/^./, (first) => first.toUpperCase())}</h3>
      <div>
        <p>
          <Sentence text={detail} />
        </p>
        {mend && level !== "ok" ? <Mend text={mend} /> : null}
      </div>
    </li>
  );
}
