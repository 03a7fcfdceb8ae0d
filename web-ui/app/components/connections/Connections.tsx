import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { connectionsApi, connectionsOf, type Grant, givesText, kindText, rolesOf, statusOf } from "../../connections";
import { hashOf } from "../../route";
import { useAction } from "../../resource";
import { grants, grantsError, refreshAgents, refreshGrants, selectedAgent } from "../../store";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { AddWant } from "./AddWant";
import { Approve } from "./Approve";

/** What an agent wants to reach, what it was given, and the decision. */
export function Connections({ agent }: { agent: string }) {
  const wanted = selectedAgent.value?.connections ?? [];
  useEffect(() => void refreshGrants(), []);
  const list = grants.value && connectionsOf(agent, grants.value.connections, wanted);
  return (
    <section class="panel" aria-label="Connections">
      <div class="column stack">
        <List list={list} who="The agent works" />
        {list?.length === 0 ? <Empty agent={agent} /> : null}
        {selectedAgent.value ? <AddWant agent={selectedAgent.value} /> : null}
      </div>
    </section>
  );
}

/** The same of a role, which turns get in whose conversations it stands. */
export function RolePage({ holder }: { holder: string }) {
  useEffect(() => void refreshGrants(), []);
  const list = grants.value && (rolesOf(grants.value.connections).get(holder) ?? []);
  return (
    <main class="conversation">
      <header class="bar">
        <a class="back" href={hashOf({ view: "home" })} aria-label="All agents">
          ‹
        </a>
        <div class="bar-text">
          <h1>
            <bdi>{holder}</bdi>
          </h1>
          <p class="quiet">A role</p>
        </div>
      </header>
      <section class="panel" aria-label="Connections">
        <div class="column stack">
          <List list={list} who="Turns with this role work" />
          {list?.length === 0 ? <p class="empty">No role of this key wants anything now.</p> : null}
        </div>
      </section>
    </main>
  );
}

function List({ list, who }: { list: readonly Grant[] | undefined; who: string }) {
  const error = grantsError.value;
  const atHub = grants.value?.backend === "hub";
  return (
    <>
      {error ? (
        <ErrorNote error={error}>
          <button type="button" onClick={() => void refreshGrants()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {list === undefined ? (
        error ? null : <p class="quiet center">Loading connections…</p>
      ) : list.length === 0 ? null : (
        <p class="quiet">
          {atHub
            ? "These are approved and revoked at the hub, not here. What was decided there shows here."
            : `${who} meanwhile, without what is not approved. A token that you give is kept by the daemon, never in a note.`}
        </p>
      )}
      <ul class="cards">
        {list?.map((grant) => (
          <Row key={`${grant.holder} ${grant.key}`} grant={grant} local={!atHub} />
        ))}
      </ul>
    </>
  );
}

const changed = (): Promise<unknown> => Promise.all([refreshGrants(), refreshAgents()]);

function Empty({ agent }: { agent: string }) {
  return (
    <div class="empty">
      <p>
        <strong>This agent wants no connections.</strong>
      </p>
      <p>
        To let it reach a service, another vault or an MCP server, ask for it below, or in <code>wants</code> of{" "}
        <a href={hashOf({ view: "agent", name: agent, tab: "definition" })}>its definition</a>. It then waits here for you to approve it.
      </p>
    </div>
  );
}

function Row({ grant, local }: { grant: Grant; local: boolean }) {
  const { holder, key, kind, target, status, reason } = grant;
  const { label, tone } = statusOf(grant);
  const gives = givesText(grant);
  return (
    <li class="card" aria-label={`${kindText(kind)} ${target}`}>
      <div class="card-head">
        <h2>
          {kindText(kind)} <bdi>{target}</bdi>
        </h2>
        <span class={`tag ${tone}`}>{label}</span>
      </div>
      <p class="card-line">
        {gives ? `${gives} · ` : null}
        <code>{key}</code>
      </p>
      {reason ? (
        <p class={tone === "bad" ? "card-line bad-text" : "card-line"}>
          <Sentence text={reason} />
        </p>
      ) : null}
      {holder === "" ? <p class="card-line">The daemon has not taken it in yet.</p> : null}
      {!local && holder !== "" && status !== "approved" ? <p class="card-line">Approve it at the hub.</p> : null}
      {local && holder !== "" ? <Decide grant={grant} changed={changed} /> : null}
    </li>
  );
}

function Decide({ grant, changed }: { grant: Grant; changed: () => Promise<unknown> }) {
  const { holder, key, kind, target, status } = grant;
  const approving = useSignal(false);
  const revoke = useAction();
  if (approving.value) return <Approve grant={grant} changed={changed} close={() => (approving.value = false)} />;
  const approved = status === "approved";
  // A vault of this daemon has no token; one elsewhere is revoked and approved anew.
  const again = approved && kind !== "vault";
  return (
    <>
      {revoke.error.value ? <ErrorNote error={revoke.error.value} /> : null}
      <div class="row-actions">
        {!approved || again ? (
          <button type="button" class="small" onClick={() => (approving.value = true)} aria-label={`${approved ? "Replace the token of" : "Approve"} ${target}…`}>
            {approved ? "Replace the token…" : "Approve…"}
          </button>
        ) : null}
        {approved ? (
          <Confirm
            label="Revoke…"
            question={`Take ${target} away? Its token is forgotten here.`}
            yes="Revoke"
            onYes={() => void revoke.run(() => connectionsApi.revoke(holder, key)).then(changed)}
          />
        ) : null}
      </div>
    </>
  );
}
