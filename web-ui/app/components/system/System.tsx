import { useEffect, useRef } from "preact/hooks";
import { hashOf } from "../../route";
import { health, listError, refreshHealth, route } from "../../store";
import { PARTS, type Part, troubles } from "../../system/health";
import { BridgesPart } from "./BridgesPart";
import { DoctorPart } from "./DoctorPart";
import { FiguresPart } from "./FiguresPart";
import { HealthPart } from "./HealthPart";
import { TokensPart } from "./TokensPart";
import { UndeliveredPart } from "./UndeliveredPart";
import { VaultsPart } from "./VaultsPart";
import "../../styles/system.css";

const LABELS: Record<Part, string> = { health: "Health", vaults: "Vaults", undelivered: "Undelivered", bridges: "Bridges", tokens: "Tokens", doctor: "Doctor", figures: "Figures" };

/** How the daemon is, and what an operator does with it. */
export function System() {
  const at = route.value;
  const asked = (at.view === "system" && at.path?.[0]) || "health";
  const part = PARTS.find((known) => known === asked);
  useEffect(() => void refreshHealth(), []);
  const found = troubles(health.value);
  const tabs = useRef<HTMLElement>(null);
  // On a narrow screen it may be beyond the edge.
  useEffect(() => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [part]);
  return (
    <main class="home-page system" id="main" tabIndex={-1}>
      <header class="home-head">
        <div>
          <h1>System</h1>
          <p class={found.length > 0 ? "bad-text" : "quiet"} role="status">
            <Summary many={found.length} />
          </p>
        </div>
      </header>
      <nav ref={tabs} class="tabs" aria-label="Parts of the system">
        {PARTS.map((own) => {
          const wrong = found.filter((trouble) => (trouble.part ?? "health") === own).length;
          const kept = own === "undelivered" && wrong > 0 ? (health.value?.undelivered ?? 0) : 0;
          return (
            <a key={own} href={hashOf({ view: "system", ...(own === "health" ? {} : { path: [own] }) })} aria-current={own === part ? "page" : undefined}>
              {LABELS[own]}
              {wrong > 0 ? (
                <span class="mark-count bad">
                  {kept || wrong}
                  <span class="visually-hidden"> {kept > 0 ? "kept" : wrong === 1 ? "thing is wrong" : "things are wrong"}</span>
                </span>
              ) : null}
            </a>
          );
        })}
      </nav>
      <div class="system-part stack">
        {part === "health" ? <HealthPart /> : null}
        {part === "vaults" ? <VaultsPart /> : null}
        {part === "undelivered" ? <UndeliveredPart /> : null}
        {part === "bridges" ? <BridgesPart /> : null}
        {part === "tokens" ? <TokensPart /> : null}
        {part === "doctor" ? <DoctorPart /> : null}
        {part === "figures" ? <FiguresPart /> : null}
        {part === undefined ? <p class="quiet">There is no such part.</p> : null}
      </div>
      <p class="quiet system-foot">
        <a href={hashOf({ view: "about" })}>About Reveille</a>, with the licences of what is in it
      </p>
    </main>
  );
}

function Summary({ many }: { many: number }) {
  const version = health.value?.version;
  if (listError.value?.status === 0) return <>The daemon does not answer; this is how it was last.</>;
  if (!health.value) return <>Looking…</>;
  const what = many === 0 ? "All is well" : many === 1 ? "One thing is wrong" : `${many} things are wrong`;
  return <>{`${what}${version ? ` · version ${version}` : ""}`}</>;
}
