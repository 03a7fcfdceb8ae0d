import { connection, reconnect } from "../events";
import { fullTime, time } from "../format";
import { agents, health, listError, now, route } from "../store";
import { type VaultTrouble, vaultTroubles } from "../vaults";
import { Sentence } from "./Text";

/** What holds for the whole page: the connection, and the state of the daemon. */
export function Banners() {
  const lost = agents.value !== undefined && (listError.value?.status === 0 || connection.value === "reconnecting");
  const restarting = connection.value === "restarting";
  const { sandbox, dependencies } = health.value ?? {};
  // There it is told at length.
  const told = route.value.view === "system";
  return (
    <div class="banners">
      <div role="status">
        {restarting || lost ? (
          <p class="banner warn">
            {restarting ? "The daemon is stopping or restarting." : "The connection to the daemon is lost."} Trying again; nothing that
            was sent is lost.{" "}
            <button type="button" class="link" onClick={reconnect}>
              Try now
            </button>
          </p>
        ) : null}
      </div>
      {dependencies && !dependencies.ok && !told ? (
        <p class="banner warn">
          Missing on this machine: {dependencies.missing.join(", ")}. Run <code>reveille doctor</code> to see what to do.
        </p>
      ) : null}
      {sandbox && !sandbox.confined ? (
        <p class="banner" title={sandbox.detail ?? undefined}>
          <strong>Agents are not confined.</strong> Their tools can do here whatever your user account can do.
        </p>
      ) : null}
      {/* Not atomic: a line that comes is read out, the others not again. */}
      <div role="status" aria-label="Vaults" aria-atomic="false">
        {(told ? [] : vaultTroubles(health.value)).map((trouble) => (
          <VaultBanner key={trouble.name} trouble={trouble} />
        ))}
      </div>
    </div>
  );
}

/** A vault that does not work as it should: what, since when, why, and what is kept. */
function VaultBanner({ trouble: { title, since, reason, kept } }: { trouble: VaultTrouble }) {
  return (
    <p class="banner warn">
      <strong>{title}</strong>
      {since ? (
        <>
          {" since "}
          <time dateTime={since} title={fullTime(since)}>
            {time(since, now.value)}
          </time>
        </>
      ) : null}
      <Sentence text={reason ? `: ${reason} ${kept}` : `. ${kept}`} />
    </p>
  );
}
