import { useLayoutEffect } from "preact/hooks";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { health } from "../../store";
import { systemApi, type TokenMade } from "../../system/api";
import { useKept } from "../../system/kept";
import { DAEMON_SCOPES, isIncluded, newTokenOf, NO_TOKEN, scopesOf, type DaemonVerb, type TokenDraft, VAULT_SCOPES } from "../../system/words";
import { Field, FormError, useFirstInvalid } from "../Field";

const LIVES = [
  ["1", "One day"],
  ["7", "A week"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "A year"],
  ["", "Until it is revoked"],
] as const;

/** What a token is to be for. What is chosen is kept; the token itself is not. */
export function NewToken({ made, close }: { made: (token: TokenMade) => void; close: () => void }) {
  const draft = useKept<TokenDraft>("token", NO_TOKEN, isDraft);
  const action = useAction();
  const error = action.error.value;
  const form = useFirstInvalid(error);
  const { fields, rest } = sortProblems(error?.problems ?? [], (key) => (key in NO_TOKEN ? key : undefined));
  const { label, daemon, vaults, tags, days } = draft.value;
  const scopes = scopesOf(draft.value);
  const set = (change: Partial<TokenDraft>): void => {
    draft.value = { ...draft.value, ...change };
  };
  useLayoutEffect(() => form.current?.querySelector("input")?.focus(), []);
  const toggle = (verb: DaemonVerb, on: boolean): void => set({ daemon: on ? [...daemon, verb] : daemon.filter((one) => one !== verb) });
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (scopes.length === 0) return;
    let token: TokenMade | undefined;
    await action.run(async () => {
      token = await systemApi.makeToken(newTokenOf(draft.value, Date.now()));
    });
    if (!token) return;
    draft.value = NO_TOKEN;
    made(token);
  };
  const names = (health.value?.vaults ?? []).map(({ name }) => name);
  return (
    <form class="card token-form" ref={form} onSubmit={submit} aria-label="New token">
      <h2>New token</h2>
      <div class="grid">
        <Field id="token-label" label="What it is for" help="A name by which you know it again, such as laptop." problems={fields.get("label")}>
          {(tied) => <input {...tied} type="text" maxLength={200} autocomplete="off" value={label} onInput={(event) => set({ label: event.currentTarget.value })} />}
        </Field>
        <Field id="token-days" label="It works for" problems={fields.get("expires_at")}>
          {(tied) => (
            <select {...tied} value={days} onChange={(event) => set({ days: event.currentTarget.value })}>
              {LIVES.map(([value, text]) => (
                <option key={value} value={value}>{text}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <fieldset class="scopes">
        <legend>With agents</legend>
        {DAEMON_SCOPES.map(({ verb, label: name, means }) => {
          const included = isIncluded(verb, daemon);
          return (
            <label key={verb} class="scope-choice">
              <input type="checkbox" checked={included || daemon.includes(verb)} disabled={included} onChange={(event) => toggle(verb, event.currentTarget.checked)} />
              <span>
                <strong>{name}</strong> <span class="quiet">{means}</span>
              </span>
            </label>
          );
        })}
      </fieldset>
      {names.length > 0 ? (
        <fieldset class="scopes">
          <legend>With vaults</legend>
          <div class="grid">
            {names.map((name) => (
              <Field key={name} id={`token-vault-${name}`} label={name}>
                {(tied) => (
                  <select {...tied} value={vaults[name] ?? ""} onChange={(event) => set({ vaults: { ...vaults, [name]: event.currentTarget.value } })}>
                    {VAULT_SCOPES.map(({ verb, label: text }) => (
                      <option key={verb} value={verb}>{text}</option>
                    ))}
                  </select>
                )}
              </Field>
            ))}
          </div>
          <Field
            id="token-tags" label="Only notes with these tags (may be left out)" problems={fields.get("tags")}
            help={daemon.length > 0 ? "Only for a token of vaults alone: what agents do is not limited to tags." : "With commas between them; tags below them count as well."}
          >
            {(tied) => <input {...tied} type="text" autocomplete="off" autocapitalize="none" disabled={daemon.length > 0} value={tags} onInput={(event) => set({ tags: event.currentTarget.value })} />}
          </Field>
        </fieldset>
      ) : null}
      {error ? (
        <>
          <FormError error={error} rest={rest} />
          <p class="hint">What you chose is kept.</p>
        </>
      ) : null}
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value || scopes.length === 0}>
          {action.busy.value ? "Making it…" : "Make the token"}
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
        {scopes.length === 0 ? <span class="quiet">Choose what it may do.</span> : <code class="quiet">{scopes.join(" ")}</code>}
      </div>
    </form>
  );
}

function isDraft(found: unknown): boolean {
  const draft = found as TokenDraft | null;
  return typeof draft === "object" && draft !== null && Array.isArray(draft.daemon) && typeof draft.vaults === "object" && draft.vaults !== null && typeof draft.label === "string" && typeof draft.tags === "string" && typeof draft.days === "string";
}
