import { connectionsApi, connectionsOf, type Grant, givesText, kindText, statusOf } from "../../connections";
import { hashOf } from "../../route";
import { useAction, useResource } from "../../resource";
import { refreshAgents, selectedAgent } from "../../store";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Approve } from "./Approve";

/** What an agent wants to reach, what it was given, and the decision. */
export function Connections({ agent }: { agent: string }) {
  const grants = useResource(connectionsApi.list);
  const { value } = grants.value;
  const wanted = selectedAgent.value?.connections ?? [];
  const list = value ? connectionsOf(agent, value.connections, wanted) : undefined;
  const changed = (): Promise<unknown> => Promise.all([grants.load(), refreshAgents()]);
  const atHub = value?.backend === "hub";
  return (
    <section class="panel" aria-label="Connections">
      <div class="column stack">
        {grants.error.value ? (
          <ErrorNote error={grants.error.value}>
            <button type="button" onClick={() => void grants.load()}>
              Try again
            </button>
          </ErrorNote>
        ) : null}
        {list === undefined && !grants.error.value ? <p class="quiet center">Loading connections…</p> : null}
        {list?.length === 0 ? <Empty agent={agent} /> : null}
        {list && list.length > 0 ? (
          <p class="quiet">
            {atHub
              ? "These are approved and revoked at the hub, not here. What was decided there shows here."
              : "The agent works meanwhile, without what is not approved. A token that you give is kept by the daemon, never in a note."}
          </p>
        ) : null}
        <ul class="cards">
          {list?.map((grant) => (
            <Row key={`${grant.holder} ${grant.key}`} grant={grant} local={!atHub} changed={changed} />
          ))}
        </ul>
      </div>
    </section>
  );
}

function Empty({ agent }: { agent: string }) {
  return (
    <div class="empty">
      <p>
        <strong>This agent wants no connections.</strong>
      </p>
      <p>
        To let it reach a service, another vault or an MCP server, name it in <code>wants</code> of{" "}
        <a href={hashOf({ view: "agent", name: agent, tab: "definition" })}>its definition</a>, such as <code>env:github</code>. It then
        waits here for you to approve it.
      </p>
    </div>
  );
}

function Row({ grant, local, changed }: { grant: Grant; local: boolean; changed: () => Promise<unknown> }) {
  const { holder, key, kind, target, status, reason } = grant;
  const revoke = useAction();
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
      {revoke.error.value ? <ErrorNote error={revoke.error.value} /> : null}
      {local && holder !== "" ? (
        status === "approved" ? (
          <Confirm
            label="Revoke…"
            question={`Take ${target} away? Its token is forgotten; turns that run keep it to their end.`}
            yes="Revoke"
            busy={revoke.busy.value}
            onYes={() => void revoke.run(() => connectionsApi.revoke(holder, key)).then(changed)}
          />
        ) : (
          <Approve grant={grant} changed={changed} />
        )
      ) : null}
    </li>
  );
}
