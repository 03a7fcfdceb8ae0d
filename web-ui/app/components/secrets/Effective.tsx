import type { Resource } from "../../resource";
import { type EffectiveEnv, type EnvEntry, isCredential, sourceText } from "../../secrets";
import { Sentence } from "../Text";
import { Unreachable } from "./Unreachable";

/** The variables that its turns get, where each comes from, and which do not count. Names alone. */
export function Effective({ effective }: { effective: Resource<EffectiveEnv> }) {
  const found = effective.value.value;
  const outside = found?.env.some(({ shielded, overridden }) => shielded && !overridden);
  return (
    <section class="card" aria-labelledby="effective-title">
      <div class="card-head">
        <h2 id="effective-title">What its turns get</h2>
        <button type="button" class="small" onClick={() => void effective.load()}>
          Refresh
        </button>
      </div>
      <p class="card-line">From all places together, besides what the daemon tells every turn. Names only.</p>
      <Unreachable of={effective} />
      {found?.note ? (
        <p class="note">
          <Sentence text={found.note} />
        </p>
      ) : null}
      {found === undefined && !effective.error.value ? <p class="quiet">Loading…</p> : null}
      {found?.env.length === 0 ? <p class="quiet">Its turns get no variables of their own.</p> : null}
      {found && found.env.length > 0 ? (
        <div class="scroll-x">
          <table class="plain-table env-table">
            <thead>
              <tr>
                <th scope="col">Variable</th>
                <th scope="col">Comes from</th>
                <th scope="col">Counts</th>
              </tr>
            </thead>
            <tbody>
              {found.env.map((entry) => (
                <Row key={`${entry.name} ${entry.source}`} entry={entry} all={found.env} />
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
      {outside ? (
        <p class="note">
          <strong>Stays outside:</strong> the daemon keeps these and adds them to the requests itself (<code>[sandbox] shield</code>). A turn
          has a placeholder in their place, which is good for that turn alone, so it can work with them and cannot take them along.
        </p>
      ) : null}
      {found?.refused && found.refused.length > 0 ? (
        <p class="note warn">
          <strong>Stored, and given to no turn:</strong> {found.refused.join(", ")}. They would change what a turn runs, loads or talks to. Remove
          them above, or put them under <code>[claude.env]</code> in the configuration if all turns are to have them.
        </p>
      ) : null}
    </section>
  );
}

function Row({ entry, all }: { entry: EnvEntry; all: readonly EnvEntry[] }) {
  const { name, source, overridden, shielded } = entry;
  // Of what signs in, one source counts alone, whatever its names are.
  const instead = all.find((one) => !one.overridden && (one.name === name || (isCredential(name) && isCredential(one.name))));
  return (
    <tr class={overridden ? "dimmed" : undefined}>
      <th scope="row">
        <code>{name}</code>
      </th>
      <td>{sourceText(source)}</td>
      <td>
        {overridden ? (
          <>No: {instead ? (instead.name === name ? `the one ${shortSource(instead.source)} does` : `${instead.name} does`) : "another one does"}</>
        ) : shielded ? (
          <span class="tag good">Stays outside</span>
        ) : (
          "Yes"
        )}
      </td>
    </tr>
  );
}

const shortSource = (source: string): string => {
  const text = sourceText(source);
  return text.startsWith("stored") ? text : `from ${text}`;
};
