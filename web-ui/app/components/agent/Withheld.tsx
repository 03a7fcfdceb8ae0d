import { useSignal } from "@preact/signals";
import { type Agent, api } from "../../api";
import { useAction } from "../../resource";
import { refreshAgents, refreshGrants } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { Dialog } from "../frame/Dialog";

/** What the operator has given to a name, and the note that has the name now does not get. */
export function Withheld({ agent }: { agent: Agent }) {
  const asking = useSignal(false);
  const withheld = agent.withheld ?? [];
  if (withheld.length === 0) return null;
  return (
    <section class="banner warn withheld" aria-label="Kept back">
      <p>
        <strong>Kept back from this agent:</strong> <Given all={withheld} />. {withheld.length === 1 ? "It was" : "They were"} given to the
        name <bdi>{agent.name}</bdi> when another note had it.
      </p>
      <button type="button" class="small" onClick={() => (asking.value = true)}>
        Let it have {withheld.length === 1 ? "this" : "these"}…
      </button>
      {asking.value ? <Ask agent={agent} withheld={withheld} close={() => (asking.value = false)} /> : null}
    </section>
  );
}

function Given({ all }: { all: readonly string[] }) {
  return (
    <>
      {all.map((one, index) => (
        <span key={one}>
          {index > 0 ? ", " : ""}
          {/* A name of a variable or a table; the rest is words. */}
          {one.includes(" ") ? one : <code>{one}</code>}
        </span>
      ))}
    </>
  );
}

function Ask({ agent, withheld, close }: { agent: Agent; withheld: readonly string[]; close: () => void }) {
  const action = useAction();
  const trust = (): Promise<boolean> =>
    action.run(async () => {
      await api.trustAgent(agent.name);
      close();
      await Promise.all([refreshAgents(), refreshGrants()]);
    });
  return (
    <Dialog title={`Trust ${agent.name} with what its name was given?`} onCancel={close}>
      <p>From its next turn on it gets:</p>
      <ul class="bullets">
        {withheld.map((one) => (
          <li key={one}>
            <Given all={[one]} />
          </li>
        ))}
      </ul>
      <p>
        Whoever may write its note{agent.vault ? ` in the vault ${agent.vault}` : ""} can then tell it what to do with that
        {agent.defined_by ? `; it was written by ${agent.defined_by}` : ""}. If you do not know this agent, leave it as it is: it works
        without.
      </p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      <div class="actions row-actions">
        <button type="button" class="danger" disabled={action.busy.value} onClick={() => void trust()}>
          {action.busy.value ? "Giving…" : "Give it all of this"}
        </button>
        <button type="button" data-first onClick={close}>
          Leave it as it is
        </button>
      </div>
    </Dialog>
  );
}
