import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { askedFor, connectionsApi, type Grant } from "../../connections";
import { sortProblems } from "../../problems";
import { useAction } from "../../resource";
import { Field, FormError, useFirstInvalid } from "../Field";

/** Gives a connection, with what is needed for it. The token is in its input alone, and no longer than until it is taken. */
export function Approve({ grant, changed, close }: { grant: Grant; changed: () => Promise<unknown>; close: () => void }) {
  const { holder, key, kind, target } = grant;
  const asked = askedFor(kind);
  const token = useRef<HTMLInputElement>(null);
  const url = useSignal("");
  const action = useAction();
  const error = action.error.value;
  const form = useFirstInvalid(error);
  const { fields, rest } = sortProblems(error?.problems ?? [], (name) => (name === "token" || name === "url" ? name : undefined));
  const id = `grant-${holder}-${key}`.replace(/\s/g, "-");

  useLayoutEffect(() => form.current?.querySelector("input")?.focus(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const input = token.current;
    const secret = input?.value.trim();
    const address = url.value.trim();
    const body = { holder, key, ...(secret ? { token: secret } : {}), ...(asked.url && address ? { url: address } : {}) };
    if (await action.run(() => connectionsApi.approve(body))) {
      await changed();
      close();
    } else {
      token.current?.focus();
    }
  };

  return (
    <form class="inner" ref={form} onSubmit={submit} autocomplete="off" aria-label={`Approve ${target}`}>
      {asked.help ? <p class="hint">{asked.help}</p> : null}
      {asked.url ? (
        <Field id={`${id}-url`} label={`Address${optional(asked.url)}`} help={asked.urlHelp} problems={fields.get("url")}>
          {(tied) => (
            <input {...tied} type="url" required={asked.url === "required"} autocomplete="off" value={url.value} onInput={(event) => (url.value = event.currentTarget.value)} />
          )}
        </Field>
      ) : null}
      <Field
        id={`${id}-token`}
        label={`Token${optional(asked.token)}`}
        help="It goes to the daemon and nowhere else; this page does not keep it."
        problems={fields.get("token")}
      >
        {(tied) => (
          <input {...tied} ref={token} type="password" required={asked.token === "required"} autocomplete="off" spellcheck={false} data-1p-ignore data-lpignore="true" />
        )}
      </Field>
      {error ? (
        <>
          <FormError error={error} rest={rest} />
          <p class="hint">Nothing was given. What you typed is still there.</p>
        </>
      ) : null}
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Approving…" : "Approve"}
        </button>
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}

const optional = (how: "required" | "optional"): string => (how === "optional" ? " (may be left out)" : "");
