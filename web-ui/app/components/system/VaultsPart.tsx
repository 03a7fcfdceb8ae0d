import { useSignal } from "@preact/signals";
import type { VaultHealth } from "../../api";
import { fullTime, time } from "../../format";
import { fromNow } from "../../jobs/when";
import { useAction, useResource } from "../../resource";
import { health, now, refreshHealth } from "../../store";
import { type AgentVault, systemApi } from "../../system/api";
import { breakerWords, capabilityWords } from "../../system/words";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { AddVault } from "./AddVault";
import { BackUp } from "./BackUp";

const KINDS: Record<string, string> = { embedded: "Built in", folder: "A folder of files", parachute: "Parachute" };
const STATES: Record<string, readonly [word: string, tone: string]> = { ready: ["Ready", "good"], degraded: ["Works in part", "waiting"], unavailable: ["Cannot be used", "bad"] };

/** How each vault stands, and those that agents live in elsewhere. */
export function VaultsPart() {
  const added = useResource(systemApi.agentVaults);
  const adding = useSignal(false);
  const said = useSignal("");
  const vaults = health.value?.vaults;
  const reload = (): Promise<unknown> => Promise.all([added.load(), refreshHealth()]);
  const agentVaults = added.value.value?.vaults ?? [];
  // One that was just added may not have been looked at yet.
  const others = agentVaults.filter(({ vault }) => !vaults?.some(({ name }) => name === vault));
  return (
    <section class="stack" aria-label="Vaults">
      {adding.value ? (
        <AddVault
          taken={[...(vaults ?? []).map(({ name }) => name), ...others.map(({ vault }) => vault)]}
          close={() => (adding.value = false)}
          added={(name) => {
            adding.value = false;
            said.value = `${name} is open. Agents that are defined there are served from now on.`;
            void reload();
          }}
        />
      ) : (
        <div class="row-actions">
          <button type="button" class="primary" onClick={() => (adding.value = true)}>
            Add a vault
          </button>
          <span class="quiet">One of a Parachute server, in which agents live. A folder is added in the configuration.</span>
        </div>
      )}
      <p role="status">{said.value}</p>
      {added.error.value ? (
        <ErrorNote error={added.error.value}>
          <button type="button" onClick={() => void added.load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {!vaults ? <p class="quiet">Loading…</p> : null}
      <ul class="cards">
        {vaults?.map((vault) => (
          <Vault key={vault.name} vault={vault} added={agentVaults.find((one) => one.vault === vault.name)} removed={(text) => {
            said.value = text;
            void reload();
          }} />
        ))}
        {others.map(({ vault, url }) => (
          <li key={vault} class="card" aria-label={`Vault ${vault}`}>
            <h2>
              <bdi>{vault}</bdi>
            </h2>
            <p class="card-line">{url} · it is being opened</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Vault({ vault, added, removed }: { vault: VaultHealth; added: AgentVault | undefined; removed: (text: string) => void }) {
  const { name, kind, state, since, reason, deliveries } = vault;
  const [word, tone] = STATES[state] ?? [state, "quiet"];
  return (
    <li class="card" aria-label={`Vault ${name}`}>
      <div class="card-head">
        <h2>
          <bdi>{name}</bdi>
        </h2>
        <span class={`tag ${tone}`}>{word}</span>
      </div>
      <p class="card-line">
        {[KINDS[kind] ?? kind, vault.default ? "new agents and messages go here" : "", kind === "parachute" ? (added?.url ?? "") : "", added?.from === "api" ? "added while the daemon ran" : "", added && !added.tokenPresent && kind === "parachute" ? "no token for it" : ""].filter(Boolean).join(" · ")}
      </p>
      {state === "ready" ? null : (
        <p class={tone === "bad" ? "bad-text" : undefined}>
          {since ? (
            <>
              Since{" "}
              <time dateTime={since} title={fullTime(since)}>
                {time(since, now.value)}
              </time>
              {reason ? ": " : "."}
            </>
          ) : null}
          {reason ? <Sentence text={reason} /> : null}
        </p>
      )}
      {deliveries ? <Deliveries deliveries={deliveries} /> : null}
      <Capabilities vault={vault} />
      <div class="row-actions">
        {kind === "embedded" ? <BackUp vault={name} /> : null}
        {added?.from === "api" ? <Remove vault={name} removed={removed} /> : null}
      </div>
    </li>
  );
}

function Deliveries({ deliveries: { state, last_error: why, until_at: until } }: { deliveries: NonNullable<VaultHealth["deliveries"]> }) {
  if (state === "closed") return <p class="card-line">{breakerWords(state)}</p>;
  return (
    <p>
      {breakerWords(state)}
      {until ? (
        <>
          {" "}
          The pause ends <span title={fullTime(until)}>{fromNow(until, now.value)}</span>.
        </>
      ) : null}
      {why ? (
        <span class="bad-text">
          {" "}
          <Sentence text={why} />
        </span>
      ) : null}
    </p>
  );
}

function Capabilities({ vault: { name, capabilities } }: { vault: VaultHealth }) {
  const { can, cannot } = capabilityWords(capabilities);
  if (can.length + cannot.length === 0) return null;
  return (
    <details class="history">
      <summary>
        What it can do<span class="visually-hidden">: {name}</span>
        {cannot.length > 0 ? <span class="quiet"> · {cannot.length} missing</span> : null}
      </summary>
      <ul class="can">
        {can.map((word) => (
          <li key={word}>
            <span aria-hidden="true">✓ </span>
            {word}
          </li>
        ))}
        {cannot.map((word) => (
          <li key={word} class="quiet">
            <span aria-hidden="true">– </span>
            Not: {word}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Remove({ vault, removed }: { vault: string; removed: (text: string) => void }) {
  const action = useAction();
  const remove = (): Promise<boolean> =>
    action.run(async () => {
      const { running } = await systemApi.removeVault(vault);
      removed(`${vault} is removed here; its notes stay where they are.${running > 0 ? ` ${running === 1 ? "One turn" : `${running} turns`} in it still ${running === 1 ? "runs" : "run"}, to the end.` : ""}`);
    });
  return (
    <>
      <Confirm label="Remove…" question={`Serve no agents of ${vault} any more? Its notes stay where they are.`} yes="Remove" onYes={() => void remove()} />
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
    </>
  );
}
