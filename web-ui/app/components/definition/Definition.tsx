import { useSignal } from "@preact/signals";
import { partLabel } from "../../agent/fields";
import { goesOn, isBroken, remark } from "../../agent/standing";
import { drop, keyOf, unsavedOf, unsavedParts } from "../../agent/unsaved";
import { type Agent, type AgentDetail, api } from "../../api";
import { fullTime } from "../../format";
import { useResource } from "../../resource";
import { listed as inWords } from "../../sandbox";
import { agents, refreshAgents, selectedAgent } from "../../store";
import { ErrorNote } from "../ErrorNote";
import { useOpener } from "../useOpener";
import { Problems } from "../Field";
import { Sentence } from "../Text";
import { Confirm } from "../Confirm";
import { Connect } from "./Connect";
import { EditForm } from "./EditForm";
import { Remove } from "./Remove";
import { Reset } from "./Reset";
import { Settings } from "./Settings";
import "../../styles/agent-tabs.css";

/** What the daemon made of an agent's definition, and a form to change it. */
export function Definition({ name }: { name: string }) {
  const detail = useResource(() => api.agent(name));
  const key = keyOf(selectedAgent.peek()?.vault, selectedAgent.peek()?.note_id);
  const editing = useSignal(unsavedOf(key)?.open === true);
  const opener = useOpener(editing.value);
  // The list is younger: it is asked for more often.
  const listed = selectedAgent.value;
  const agent: AgentDetail | undefined = detail.value.value && listed ? { ...detail.value.value, ...listed } : (listed ?? detail.value.value);

  const reload = (): Promise<unknown> => Promise.all([detail.load(), refreshAgents()]);
  if (editing.value && agent?.vault && agent.note_id) {
    return (
      <section class="panel" aria-label="Definition">
        <EditForm
          name={name}
          vault={agent.vault}
          note={agent.note_id}
          problems={agent.problems ?? []}
          warnings={agent.warnings ?? []}
          done={() => {
            editing.value = false;
            void reload();
          }}
        />
      </section>
    );
  }
  return (
    <section class="panel" aria-label="Definition">
      <div class="column stack">
        {detail.error.value ? (
          <ErrorNote error={detail.error.value}>
            <button type="button" onClick={() => void detail.load()}>
              Try again
            </button>
          </ErrorNote>
        ) : null}
        {agent ? (
          <>
            <Standing agent={agent} />
            <OtherClaims agent={agent} />
            <Paused agent={agent} />
            <Kept note={key} edit={() => (editing.value = true)} />
            <div class="row-actions">
              <button type="button" ref={opener} class={isBroken(agent) ? "primary" : ""} onClick={() => (editing.value = true)}>
                {isBroken(agent) ? "Correct it here" : "Edit"}
              </button>
              {isBroken(agent) && !goesOn(agent) ? null : <Reset name={name} />}
              <Remove agent={agent} />
            </div>
            <Facts agent={agent} />
            <Connect agent={agent} />
            <Role prompt={agent.prompt} broken={isBroken(agent)} />
            <Settings agent={agent} />
          </>
        ) : null}
      </div>
    </section>
  );
}

/** What is wrong with it, or odd. */
function Standing({ agent }: { agent: Agent }) {
  const warnings = agent.warnings ?? [];
  return (
    <>
      {isBroken(agent) ? (
        <div class="note bad" role="region" aria-label="Problems">
          <p>
            <strong>This definition cannot be used.</strong>{" "}
            {goesOn(agent) ? "The agent goes on as it was before the last change, until " : "Nobody answers under this name until "}
            {agent.problems?.length === 1 ? "this is" : "these are"} corrected, here or in the note:
          </p>
          <Problems list={agent.problems ?? []} />
        </div>
      ) : null}
      {warnings.length > 0 ? (
        <div class="note warn" role="region" aria-label="Warnings">
          <p>
            <strong>The agent works.</strong> But look at {warnings.length === 1 ? "this" : "these"}:
          </p>
          <Problems list={warnings} />
        </div>
      ) : null}
    </>
  );
}

/** Why its messages wait, and until when. */
function Paused({ agent: { pause } }: { agent: Agent }) {
  if (!pause) return null;
  const since = pause.since_at ? ` since ${fullTime(pause.since_at)}` : "";
  return (
    <div class="note warn" role="region" aria-label="Paused">
      <p>
        <strong>It is paused{since}.</strong> {pause.reason ? <Sentence text={`${pause.reason.replace(/[.!?]$/, "")}. `} /> : null}
        {pause.until_at ? `It goes on by itself at ${fullTime(pause.until_at)}, or when you resume it.` : "Its messages wait until you resume it."}
      </p>
    </div>
  );
}

/** What was changed in the form and is not saved yet. */
function Kept({ note, edit }: { note: string; edit: () => void }) {
  const parts = unsavedParts(unsavedOf(note));
  if (parts.length === 0) return null;
  return (
    <div class="note" role="region" aria-label="Unsaved changes">
      <p>
        <strong>There are changes that you have not saved:</strong> {inWords(parts.map(partLabel))}. They are kept in this browser.
      </p>
      <div class="row-actions">
        <button type="button" class="small" onClick={edit}>
          Go on with them
        </button>
        <Confirm label="Discard…" question="Discard these changes?" yes="Discard them" onYes={() => drop(note)} />
      </div>
    </div>
  );
}

/** Other notes that give the same name; one name is one agent's. */
function OtherClaims({ agent }: { agent: Agent }) {
  const others = agents.value?.filter((other) => other.name === agent.name && other.note_id !== agent.note_id) ?? [];
  if (others.length === 0) return null;
  return (
    <div class="note warn" role="region" aria-label="Other notes of this name">
      <p>
        <strong>{others.length === 1 ? "Another note gives" : `${others.length} other notes give`} this name.</strong> Give{" "}
        {others.length === 1 ? "it" : "them"} another one, or remove {others.length === 1 ? "it" : "them"}:
      </p>
      <ul class="problems">
        {others.map((other) => (
          <li key={other.note_id}>
            <code>{other.note_id}</code> in the vault {other.vault}
            {other.status_detail ? (
              <>
                : <Sentence text={other.status_detail} />
              </>
            ) : null}
          </li>
        ))}
      </ul>
    </div>
  );
}

const STATES: Record<string, string> = { idle: "Ready", working: "Working", queued: "Messages wait", paused: "Paused", error: "Cannot be used", pending: "Not run by this daemon" };

function Facts({ agent }: { agent: AgentDetail }) {
  const facts: [string, string | null | undefined][] = [
    ["State", goesOn(agent) ? "Goes on as it was" : (STATES[agent.status] ?? agent.status)],
    ["What the daemon says", remark(agent)],
    ["Note", agent.path ?? agent.note_id],
    ["Vault", agent.vault],
    ["Defined by", agent.defined_by],
  ];
  return (
    <dl class="facts">
      {facts.map(([term, fact]) =>
        fact ? (
          <div key={term}>
            <dt>{term}</dt>
            <dd>
              <Sentence text={fact} />
            </dd>
          </div>
        ) : null,
      )}
    </dl>
  );
}

function Role({ prompt, broken }: { prompt: string | null | undefined; broken: boolean }) {
  if (broken && !prompt) return null;
  return (
    <section aria-label="What it is told">
      <h2>What it is told</h2>
      {prompt?.trim() ? <pre class="field prompt">{prompt}</pre> : <p class="quiet">Nothing: it works with Claude Code's own instructions.</p>}
    </section>
  );
}
