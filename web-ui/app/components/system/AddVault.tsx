import { useLayoutEffect, useRef } from "preact/hooks";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { systemApi } from "../../system/api";
import { useKept } from "../../system/kept";
import { Field, FormError, More, useFirstInvalid } from "../Field";

const NONE = { name: "", url: "" };

/** A vault of a Parachute server. Secrets are in their inputs alone, and no longer than until they are sent. */
export function AddVault({ taken, added, close }: { taken: readonly string[]; added: (name: string) => void; close: () => void }) {
  const draft = useKept("vault", NONE, (found) => typeof (found as typeof NONE | null)?.name === "string" && typeof (found as typeof NONE).url === "string");
  const token = useRef<HTMLInputElement>(null);
  const hook = useRef<HTMLInputElement>(null);
  const action = useAction();
  const error = action.error.value;
  const form = useFirstInvalid(error);
  const { fields, rest } = sortProblems(error?.problems ?? [], (key) => (["vault", "url", "token", "webhook_secret"].includes(key) ? key : undefined));
  const name = draft.value.name.trim();
  const isTaken = taken.includes(name);
  useLayoutEffect(() => form.current?.querySelector("input")?.focus(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isTaken) return;
    const url = draft.value.url.trim();
    const [secret, hint] = [token, hook].map(({ current }) => {
      const typed = current?.value.trim() ?? "";
      if (current) current.value = "";
      return typed;
    });
    const vault = { vault: name, ...(url ? { url } : {}), ...(secret ? { token: secret } : {}), ...(hint ? { webhook_secret: hint } : {}) };
    if (!(await action.run(() => systemApi.addVault(vault)))) return;
    draft.value = NONE;
    added(name);
  };
  return (
    <form class="card vault-form" ref={form} onSubmit={submit} autocomplete="off" aria-label="Add a vault">
      <h2>Add a vault</h2>
      <div class="grid">
        <Field id="vault-name" label="Name" help="Of the vault, at its server and here." problems={isTaken ? ["There is a vault of this name already."] : fields.get("vault")}>
          {(tied) => (
            <input {...tied} type="text" required autocomplete="off" autocapitalize="none" spellcheck={false} value={draft.value.name} onInput={(event) => (draft.value = { ...draft.value, name: event.currentTarget.value })} />
          )}
        </Field>
        <Field id="vault-url" label="Address of its server (may be left out)" help="Such as http://127.0.0.1:1940. Left out: the usual one." problems={fields.get("url")}>
          {(tied) => <input {...tied} type="url" autocomplete="off" value={draft.value.url} onInput={(event) => (draft.value = { ...draft.value, url: event.currentTarget.value })} />}
        </Field>
        <Field id="vault-token" label="Token (may be left out)" help="Left out, the hub is asked for one. It goes to the daemon and nowhere else." problems={fields.get("token")}>
          {(tied) => <input {...tied} ref={token} type="password" autocomplete="off" spellcheck={false} data-1p-ignore data-lpignore="true" />}
        </Field>
      </div>
      <More title="More" objected={fields.has("webhook_secret")}>
        <Field id="vault-hook" label="Secret of its hints (may be left out)" help="What its server shows when it tells that something was written there. Without hints the vault is looked at now and then." problems={fields.get("webhook_secret")}>
          {(tied) => <input {...tied} ref={hook} type="password" autocomplete="off" spellcheck={false} data-1p-ignore data-lpignore="true" />}
        </Field>
      </More>
      {error ? (
        <>
          <FormError error={error} rest={rest} />
          <p class="hint">The name and the address are kept. What is secret was not: enter it again.</p>
        </>
      ) : null}
      <div class="row-actions">
        <button type="submit" class="primary" disabled={action.busy.value}>
          {action.busy.value ? "Opening it…" : "Add it"}
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
