import { connection } from "../../events";
import { hashOf } from "../../route";
import { health, refreshHealth } from "../../store";
import { type HealthLine, healthLines, type Standing } from "../../system/health";
import { useAction } from "../../resource";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Mend } from "./Parts";

const WORDS: Record<Standing, string> = { good: "In order", look: "Have a look", bad: "Wrong" };
const TONES: Record<Standing, string> = { good: "good", look: "waiting", bad: "bad" };
const ORDER: readonly Standing[] = ["bad", "look", "good"];

/** Each thing that the daemon needs: how it is, and what to do. */
export function HealthPart() {
  const look = useAction();
  const known = health.value;
  if (!known) return <p class="quiet">Looking…</p>;
  const lines = [...healthLines(known), live()];
  lines.sort((a, b) => ORDER.indexOf(a.standing) - ORDER.indexOf(b.standing));
  return (
    <section aria-label="Health">
      <ul class="entries">
        {lines.map((line) => (
          <Line key={line.name} line={line} />
        ))}
      </ul>
      {look.error.value ? <ErrorNote error={look.error.value} /> : null}
      <div class="row-actions">
        <button type="button" class="small" disabled={look.busy.value} onClick={() => void look.run(refreshHealth)}>
          {look.busy.value ? "Looking…" : "Look again"}
        </button>
        <span class="quiet">It is looked at every few seconds while this page is seen.</span>
      </div>
    </section>
  );
}

function Line({ line: { name, standing, text, mend, part } }: { line: HealthLine }) {
  return (
    <li class={`entry ${standing}`} aria-label={name}>
      <span class={`tag ${TONES[standing]}`}>{WORDS[standing]}</span>
      <h2>{name}</h2>
      <div>
        <p>
          <Sentence text={text} />
          {part ? (
            <>
              {" "}
              <a href={hashOf({ view: "system", path: [part] })}>
                {part === "doctor" ? "Ask the doctor" : "See more"}
                <span class="visually-hidden"> of {name}</span>
              </a>
            </>
          ) : null}
        </p>
        {mend ? <Mend text={mend} /> : null}
      </div>
    </li>
  );
}

/** The connection of this page. */
function live(): HealthLine {
  const name = "This page";
  switch (connection.value) {
    case "open":
      return { name, standing: "good", text: "It hears of what happens as it happens." };
    case "restarting":
      return { name, standing: "look", text: "The daemon is stopping or restarting; the page waits for it." };
    default:
      return { name, standing: "look", text: "Its live connection is being made; meanwhile it asks now and then." };
  }
}
