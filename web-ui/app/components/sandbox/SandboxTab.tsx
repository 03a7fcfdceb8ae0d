import { partLabel } from "../../agent/fields";
import { plural } from "../../format";
import { useResource } from "../../resource";
import { hashOf } from "../../route";
import { decidedBy, filesText, limitRows, listed, type Lowered, networkText, reachText, type Sandbox, sandboxApi } from "../../sandbox";
import { Attached } from "../agent/Attached";
import { ErrorNote } from "../ErrorNote";
import { Sentence } from "../Text";
import { Egress } from "./Egress";
import "../../styles/agent-tabs.css";

/** What an agent may reach, who says so, what it asks for and does not get, and what its last turns have tried. */
export function SandboxTab({ agent }: { agent: string }) {
  const found = useResource(() => sandboxApi.of(agent));
  const sandbox = found.value.value;
  const error = found.error.value;
  return (
    <section class="panel" aria-label="Sandbox">
      <div class="column stack">
        <Attached what="Where that runs, and what it reaches there, nobody here decides." />
        {error ? (
          <ErrorNote error={error}>
            <div class="row-actions">
              {error.code === "no_definition" ? (
                <a class="button" href={hashOf({ view: "agent", name: agent, tab: "definition" })}>
                  See what is wrong with it
                </a>
              ) : null}
              <button type="button" onClick={() => void found.load()}>
                Try again
              </button>
            </div>
          </ErrorNote>
        ) : null}
        {sandbox ? <Loaded agent={agent} sandbox={sandbox} /> : error ? null : <p class="quiet center">Loading the sandbox…</p>}
      </div>
    </section>
  );
}

function Loaded({ agent, sandbox }: { agent: string; sandbox: Sandbox }) {
  return (
    <>
      <Reach agent={agent} sandbox={sandbox} />
      <LoweredList lowered={sandbox.lowered} />
      <Egress agent={agent} sandbox={sandbox} />
      <Details sandbox={sandbox} />
      <Shield sandbox={sandbox} />
      <Limits limits={sandbox.limits} confined={sandbox.confined} />
    </>
  );
}

function Reach({ agent, sandbox }: { agent: string; sandbox: Sandbox }) {
  if (!sandbox.confined) {
    return (
      <div class="note bad loud" role="alert">
        <h2>Nothing confines this agent</h2>
        <p>
          {agent} can do all that the user can who runs the daemon: read and change every file of theirs, and reach every host. What stands
          below is what would hold with a sandbox.
        </p>
        <p>
          That is so for all agents of this daemon: the configuration says <code>[sandbox] mode = "{sandbox.mode}"</code>. Take that line out and start the
          daemon again to confine them.
        </p>
      </div>
    );
  }
  const { can, cannot } = reachText(sandbox);
  return (
    <section class="card" aria-labelledby="reach-title">
      <div class="card-head">
        <h2 id="reach-title">What it can reach</h2>
        <span class="tag good">Confined by {sandbox.mode}</span>
      </div>
      <p class="reach">{can}</p>
      <p class="quiet">{cannot}</p>
    </section>
  );
}

/** What was asked for and not given: with what it has instead, and what to do. */
function LoweredList({ lowered }: { lowered: readonly Lowered[] }) {
  if (lowered.length === 0) return null;
  return (
    <section class="card lowered" aria-labelledby="lowered-title">
      <h2 id="lowered-title">Asked for, and not given</h2>
      <p class="card-line">
        Its definition asks for {lowered.length === 1 ? "this" : "these"}, and the configuration allows less. The agent works without.
      </p>
      <ul class="lines">
        {lowered.map(({ key, asked, got, reason }) => (
          <li key={`${key} ${asked}`} class="lowered-row">
            <p>
              <strong>{partLabel(key)}</strong>: asked for <code>{asked}</code>, has {/\s/.test(got) || got === "" ? got || "nothing" : <code>{got}</code>}
            </p>
            <p class="quiet sentence">
              <Sentence text={reason} />
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Details({ sandbox }: { sandbox: Sandbox }) {
  const { filesystem, network, workspace, mounts, egress, read } = sandbox;
  const rows: readonly (readonly [what: string, value: string | readonly string[], by: string])[] = [
    ["Files", filesText(filesystem.value), decidedBy(filesystem.from)],
    ["Network", networkText(network.value), decidedBy(network.from)],
    ["Works in", workspace ?? "A directory of its own for each conversation", workspace ? decidedBy("definition") : decidedBy("default")],
    ["Directories besides", mounts.map(({ path, mode }) => `${path} (${mode === "rw" ? "reads and writes" : "reads"})`), mounts.length > 0 ? "the definition" : ""],
    ["Hosts by name", egress, egress.length > 0 ? "the definition" : ""],
    ["Also reads", read, read.length > 0 ? "the configuration" : ""],
  ];
  return (
    <section class="card" aria-labelledby="decided-title">
      <h2 id="decided-title">Who decided</h2>
      <div class="scroll-x">
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Is</th>
              <th scope="col">Decided by</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([what, value, by]) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                <td>{typeof value === "string" ? value : value.length === 0 ? <span class="quiet">none</span> : <Paths all={value} />}</td>
                <td class={by === "the default" ? "quiet" : undefined}>{by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">A definition asks; the configuration says how much anybody gets. Change the one on the tab Definition, the other on the machine.</p>
    </section>
  );
}

function Paths({ all }: { all: readonly string[] }) {
  return (
    <ul>
      {all.map((one) => (
        <li key={one}>{one}</li>
      ))}
    </ul>
  );
}

function Shield({ sandbox: { shield } }: { sandbox: Sandbox }) {
  return (
    <section class="card" aria-labelledby="shield-title">
      <div class="card-head">
        <h2 id="shield-title">Credential of Claude Code</h2>
        <span class={`tag ${shield.value ? (shield.problem ? "bad" : "good") : "quiet"}`}>{shield.value ? "Stays outside" : "In its environment"}</span>
      </div>
      {shield.problem ? (
        <p class="note bad" role="alert">
          <strong>Its turns are refused now.</strong> <Sentence text={shield.problem} />
        </p>
      ) : null}
      <p>
        {shield.value
          ? "A turn has a placeholder that is good for that turn alone, and the daemon adds the credential to its requests. The agent can use it while it runs, and cannot take it along."
          : "The agent can read what signs it in. With `shield = true` under `[sandbox]` in the configuration it would have a placeholder instead."
              .split("`")
              .map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part))}{" "}
        <span class="quiet">Decided by {decidedBy(shield.from)}.</span>
      </p>
    </section>
  );
}

function Limits({ limits, confined }: { limits: Sandbox["limits"]; confined: boolean }) {
  const rows = limitRows(limits);
  const without = rows.filter(({ holds }) => !holds).map(({ label }) => label.toLowerCase());
  return (
    <section class="card" aria-labelledby="limits-title">
      <div class="card-head">
        <h2 id="limits-title">What one turn may take of the machine</h2>
        {without.length > 0 ? <span class="tag waiting">{plural(without.length, "limit")} not kept</span> : confined ? <span class="tag good">All are kept</span> : null}
      </div>
      <dl class="facts wide-terms">
        {rows.map(({ label, value, holds }) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd class={holds ? undefined : "bad-text"}>{value}</dd>
          </div>
        ))}
      </dl>
      {limits.missing ? (
        <p class="quiet sentence">
          <Sentence text={limits.missing} />
        </p>
      ) : without.length > 0 ? (
        <p class="quiet">Nobody keeps {listed(without)} here.</p>
      ) : null}
    </section>
  );
}
