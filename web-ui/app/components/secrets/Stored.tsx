import { useSignal } from "@preact/signals";
import { plural } from "../../format";
import { type Resource, useAction } from "../../resource";
import { type Layer, secretsApi, type StoredNames, type StoredRow, storedRows } from "../../secrets";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { useOpener } from "../useOpener";
import { AddSecret } from "./AddSecret";
import { Unreachable } from "./Unreachable";

interface StoredProps {
  agent: string;
  names: Resource<StoredNames>;
  /** How many agents there are besides. */
  others: number;
  changed: () => Promise<unknown>;
}

/** The variables that are stored for an agent, and for all: their names. */
export function Stored({ agent, names, others, changed }: StoredProps) {
  const adding = useSignal<{ name: string; layer: Layer } | undefined>(undefined);
  const told = useSignal("");
  const known = names.value.value;
  const rows = known && storedRows(known, agent);
  const open = adding.value;
  const opener = useOpener(open !== undefined);
  return (
    <section class="card" aria-labelledby="stored-title">
      <div class="card-head">
        <h2 id="stored-title">Stored variables</h2>
        {open ? null : (
          <button
            ref={opener}
            type="button"
            class="small"
            onClick={() => {
              told.value = "";
              adding.value = { name: "", layer: "agent" };
            }}
          >
            Add a variable…
          </button>
        )}
      </div>
      <Unreachable of={names} />
      {rows === undefined && !names.error.value ? <p class="quiet">Loading…</p> : null}
      {open && known ? (
        <AddSecret
          key={`${open.layer} ${open.name}`}
          agent={agent}
          known={known}
          others={others}
          first={open}
          close={() => (adding.value = undefined)}
          done={async (name) => {
            adding.value = undefined;
            told.value = `${name} is stored, and counts from the next turn on.`;
            await changed();
          }}
        />
      ) : null}
      <p class="told" role="status">
        {told.value}
      </p>
      {rows?.length === 0 && !open ? (
        <p class="quiet">Nothing is stored. Add what its tools need, such as a token for <code>gh</code>: its turns have it as a variable.</p>
      ) : null}
      {rows && rows.length > 0 ? (
        <ul class="lines">
          {rows.map((row) => (
            <Row
              key={`${row.layer} ${row.name}`}
              agent={agent}
              row={row}
              others={others}
              removed={async () => {
                told.value = `${row.name} is removed.`;
                opener.current?.focus();
                await changed();
              }}
              replace={() => {
                told.value = "";
                adding.value = row;
              }}
            />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function Row({ agent, row, others, removed, replace }: { agent: string; row: StoredRow; others: number; removed: () => Promise<unknown>; replace: () => void }) {
  const { name, layer, shadowed } = row;
  const remove = useAction();
  const own = layer === "agent";
  const whom = own ? `for ${agent}` : "for all agents";
  return (
    <li class={shadowed ? "line-row dimmed" : "line-row"} aria-label={`${name} ${whom}`}>
      <div class="line-what">
        <code class="secret-name">{name}</code>
        <span class="dots" aria-hidden="true">
          ••••••
        </span>
        <span class="quiet">
          {whom}
          {shadowed ? " · its own counts instead" : ""}
        </span>
      </div>
      <div class="row-actions">
        <button type="button" class="small" aria-label={`Replace ${name} ${whom}…`} onClick={replace}>
          Replace…
        </button>
        <Confirm
          label="Remove…"
          question={own || others < 1 ? `Remove ${name}? Its value is forgotten.` : `Remove ${name} for all ${plural(others + 1, "agent")}? Its value is forgotten.`}
          yes="Remove it"
          onYes={() => void remove.run(() => secretsApi.remove(own ? agent : undefined, name)).then((done) => (done ? removed() : undefined))}
        />
      </div>
      {remove.error.value ? <ErrorNote error={remove.error.value} /> : null}
    </li>
  );
}
