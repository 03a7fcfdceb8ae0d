import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Resource, useAction } from "../../resource";
import { type ClaudeState, type EffectiveEnv, type Layer, secretsApi, signInOf } from "../../secrets";
import { health } from "../../store";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { Field } from "../Field";
import { Sentence } from "../Text";
import { useOpener } from "../useOpener";
import { SecretInput } from "./SecretInput";
import { Unreachable } from "./Unreachable";

interface ClaudeSignInProps {
  agent: string;
  claude: Resource<ClaudeState>;
  effective: Resource<EffectiveEnv>;
  changed: () => Promise<unknown>;
}

/** How its turns sign in at Anthropic, and what can be set here. */
export function ClaudeSignIn({ agent, claude, effective, changed }: ClaudeSignInProps) {
  const state = claude.value.value;
  const now = signInOf(effective.value.value, state, health.value?.credential, agent);
  return (
    <section class="card" aria-labelledby="sign-in-title">
      <div class="card-head">
        <h2 id="sign-in-title">Sign-in of Claude Code</h2>
        {now ? <span class={`tag ${now.tone}`}>{now.tone === "bad" ? "Not signed in" : "Signed in"}</span> : null}
      </div>
      <p class={now?.tone === "bad" ? "bad-text" : undefined}>
        {now ? (
          <>
            What counts now: <strong>{now.text}</strong>. {now.more ? <Sentence text={now.more} /> : null}
          </>
        ) : claude.error.value || effective.error.value ? (
          "What counts now is not known."
        ) : (
          <span class="quiet">Loading…</span>
        )}
      </p>
      <Unreachable of={claude} />
      {state ? (
        <ul class="layers">
          <Token agent={agent} layer="agent" isSet={state.channels.includes(agent)} counts={now?.counts === "agent"} changed={changed} />
          <Token agent={agent} layer="all" isSet={state.defaultSet} counts={now?.counts === "all"} changed={changed} />
        </ul>
      ) : null}
    </section>
  );
}

function Token({ agent, layer, isSet, counts, changed }: { agent: string; layer: Layer; isSet: boolean; counts: boolean; changed: () => Promise<unknown> }) {
  const setting = useSignal(false);
  const saved = useSignal(false);
  const remove = useAction();
  const opener = useOpener(setting.value);
  const own = layer === "agent";
  const channel = own ? agent : undefined;
  const whose = own ? `the token of ${agent}` : "the token of all agents";
  return (
    <li aria-label={own ? "Its own token" : "The token of all agents"}>
      <div class="layer-head">
        <span class={isSet && !counts ? "quiet" : undefined}>
          {own ? "Its own token" : "The token of all agents"}
          <span class="quiet"> · {isSet ? (counts ? "set, counts" : own ? "set, kept back" : "set, another one counts") : "not set"}</span>
        </span>
        {setting.value ? null : (
          <div class="row-actions">
            <button
              ref={opener}
              type="button"
              class="small"
              aria-label={`${isSet ? "Replace" : "Set"} ${whose}…`}
              onClick={() => {
                saved.value = false;
                setting.value = true;
              }}
            >
              {isSet ? "Replace…" : "Set…"}
            </button>
            {isSet ? (
              <Confirm
                label="Remove…"
                question={own ? `Remove the token of ${agent}? It then signs in with the one of all agents, where there is one.` : "Remove the token of all agents? Those without their own are signed in otherwise, or not at all."}
                yes="Remove it"
                onYes={() => void remove.run(() => secretsApi.removeClaude(channel)).then(changed)}
              />
            ) : null}
          </div>
        )}
      </div>
      {saved.value ? (
        <p class="told" role="status">
          It is stored, and counts from the next turn on.
        </p>
      ) : null}
      {remove.error.value ? <ErrorNote error={remove.error.value} /> : null}
      {setting.value ? (
        <SetToken
          channel={channel}
          whose={whose}
          close={() => (setting.value = false)}
          done={async () => {
            setting.value = false;
            saved.value = true;
            await changed();
          }}
        />
      ) : null}
    </li>
  );
}

function SetToken({ channel, whose, close, done }: { channel: string | undefined; whose: string; close: () => void; done: () => Promise<unknown> }) {
  const input = useRef<HTMLInputElement | HTMLTextAreaElement>(null);
  const action = useAction();
  const error = action.error.value;
  useLayoutEffect(() => input.current?.focus(), [error]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const token = input.current?.value.trim() ?? "";
    if (token === "") return;
    if (await action.run(() => secretsApi.setClaude(channel, token))) await done();
  };
  return (
    <form class="inner" onSubmit={submit} autocomplete="off" aria-label={`Set ${whose}`}>
      <Field
        id={`claude-${channel ?? "all"}`}
        label="Token"
        help={<Sentence text="Of `claude setup-token`, good for a year, or an API key. It goes to the daemon and nowhere else." />}
        problems={error && error.status === 400 ? [error.message] : undefined}
      >
        {(tied) => <SecretInput tied={tied} input={input} />}
      </Field>
      {error && error.status !== 400 ? <ErrorNote error={error} /> : null}
      {error ? <p class="hint">Nothing was stored. What you typed is still there.</p> : null}
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Storing…" : "Store it"}
        </button>
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
