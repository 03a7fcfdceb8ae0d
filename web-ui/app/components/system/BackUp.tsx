import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { bytes, plural } from "../../format";
import { useAction } from "../../resource";
import { type Backup, systemApi } from "../../system/api";
import { useKept } from "../../system/kept";
import { CopyButton } from "../CopyButton";
import { Field, FormError } from "../Field";

/** Copies a vault to a directory of the daemon's machine, which is written down for the next time. */
export function BackUp({ vault }: { vault: string }) {
  const asking = useSignal(false);
  const directory = useKept(`backup:${vault}`, "", (found) => typeof found === "string");
  const made = useSignal<Backup | undefined>(undefined);
  const action = useAction();
  const opener = useRef<HTMLButtonElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const was = useRef(false);
  useLayoutEffect(() => {
    if (asking.value) form.current?.querySelector("input")?.focus();
    else if (was.current) opener.current?.focus();
    was.current = asking.value;
  }, [asking.value]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    made.value = undefined;
    const done = await action.run(async () => {
      made.value = await systemApi.backUp(vault, directory.value.trim());
    });
    if (done) asking.value = false;
  };
  const close = (): void => {
    asking.value = false;
    action.forget();
  };
  if (!asking.value) {
    return (
      <>
        <button ref={opener} type="button" class="small" onClick={() => (asking.value = true)} aria-label={`Back up ${vault}…`}>
          Back up…
        </button>
        <div role="status">
          {made.value ? (
            <p class="made">
              The copy is whole: {plural(made.value.notes, "note")}, {plural(made.value.files, "file")}, {bytes(made.value.bytes)}. <code>{made.value.file}</code>
              <CopyButton text={made.value.file} label="Copy the path" />
            </p>
          ) : null}
        </div>
      </>
    );
  }
  return (
    <form ref={form} class="inner" onSubmit={submit} aria-label={`Back up ${vault}`}>
      <Field id={`backup-${vault}`} label="Directory" help="On the machine where the daemon runs, from the root, such as /srv/backups. The vault stays in use meanwhile.">
        {(tied) => (
          <input
            {...tied} class="mono" type="text" required pattern="(/|[A-Za-z]:).*" title="A path from the root" autocomplete="off" autocapitalize="none" spellcheck={false} value={directory.value}
            onInput={(event) => (directory.value = event.currentTarget.value)}
          />
        )}
      </Field>
      {action.error.value ? <FormError error={action.error.value} rest={action.error.value.problems} /> : null}
      <div class="row-actions">
        <button type="submit" class="primary small" disabled={action.busy.value}>
          {action.busy.value ? "Copying…" : "Back up now"}
        </button>
        <button type="button" class="small" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
