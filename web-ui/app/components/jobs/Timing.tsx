import { useSignal } from "@preact/signals";
import { cronInWords } from "../../jobs/cron";
import type { JobDraft } from "../../jobs/form";
import { choose, chosenOf, type Chosen, cronOf, hasTime, type Preset, PRESETS, presetOf, WEEKDAYS } from "../../jobs/presets";
import { localZone, zones } from "../../jobs/when";
import { Field, type Tied } from "../Field";

interface TimingProps {
  draft: JobDraft;
  set: (change: Partial<JobDraft>) => void;
  fields: ReadonlyMap<string, readonly string[]>;
}

/** When a job runs: one of the usual times, or an expression; and whose clock that is. */
export function Timing({ draft, set, fields }: TimingProps) {
  const picked = useSignal<Preset>(presetOf(draft));
  // What was typed may be one of the usual times, and the form may have been emptied.
  const actual = presetOf(draft);
  const preset = actual === "once" || picked.value === "once" ? actual : picked.value === "own" ? "own" : actual;
  const take = (next: Preset): void => {
    picked.value = next;
    set(choose(next, draft));
  };
  return (
    <>
      <fieldset class="presets">
        <legend>When</legend>
        {PRESETS.map(({ preset: own, label }) => (
          <button key={own} type="button" class="chip" aria-pressed={own === preset} onClick={() => take(own)}>
            {label}
          </button>
        ))}
      </fieldset>
      <div class="grid">
        {preset === "once" ? (
          <Field id="job-at" label="Date and time" problems={fields.get("at")}>
            {(tied) => <input {...tied} type="datetime-local" required value={draft.at} onInput={(event) => set({ at: event.currentTarget.value })} />}
          </Field>
        ) : (
          <>
            {hasTime(preset) ? <TimeOfDay preset={preset} cron={draft.cron} set={(cron) => set({ cron })} /> : null}
            <Field id="job-cron" label="Cron" help={cronInWords(draft.cron) ?? "Minute, hour, day, month, weekday, such as 0 9 * * 1-5."} problems={fields.get("cron")}>
              {(tied) => (
                <input
                  {...tied} class="mono" type="text" required autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.cron}
                  onInput={(event) => set({ cron: event.currentTarget.value })}
                />
              )}
            </Field>
          </>
        )}
        <Field id="job-tz" label="Zone" help={<ZoneHelp draft={draft} set={set} />} problems={fields.get("tz")}>
          {(tied) => <Zone tied={tied} value={draft.tz} set={(tz) => set({ tz })} />}
        </Field>
      </div>
    </>
  );
}

function TimeOfDay({ preset, cron, set }: { preset: Preset; cron: string; set: (cron: string) => void }) {
  const chosen = chosenOf(cron);
  const change = (next: Partial<Chosen>): void => set(cronOf(preset, { ...chosen, ...next }));
  return (
    <div class="time-of-day">
      {preset === "weekly" ? (
        <Field id="job-weekday" label="Day">
          {(tied) => (
            <select {...tied} value={chosen.weekday} onChange={(event) => change({ weekday: Number(event.currentTarget.value) })}>
              {WEEKDAYS.map(({ day, label }) => (
                <option key={day} value={day}>{label}</option>
              ))}
            </select>
          )}
        </Field>
      ) : null}
      <Field id="job-time" label={preset === "monthly" ? "At, on the 1st" : "At"}>
        {(tied) => (
          // A time that is half typed is none.
          <input {...tied} type="time" value={chosen.time} onInput={({ currentTarget: { value } }) => (value ? change({ time: value }) : undefined)} />
        )}
      </Field>
    </div>
  );
}

function Zone({ tied, value, set }: { tied: Tied; value: string; set: (tz: string) => void }) {
  return (
    <>
      <input
        {...tied} type="text" list="job-zones" autocomplete="off" autocapitalize="none" spellcheck={false} value={value}
        onInput={(event) => set(event.currentTarget.value)}
      />
      <datalist id="job-zones">
        {zones().map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

function ZoneHelp({ draft: { tz, kind }, set }: Pick<TimingProps, "draft" | "set">) {
  const mine = localZone();
  const what = tz.trim() ? "Whose clock it goes by." : kind === "cron" ? "Empty: the daemon's." : "Empty: yours.";
  return (
    <>
      {what}{" "}
      {tz.trim() === mine ? null : (
        <button type="button" class="link" onClick={() => set({ tz: mine })}>
          Take mine, {mine}
        </button>
      )}
    </>
  );
}
