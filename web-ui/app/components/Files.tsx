import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Attached } from "../conversation-api";
import { openFile, readText, saveFile, shownAs } from "../files";
import { bytes, unturned } from "../format";
import { useAction } from "../resource";
import { ErrorNote } from "./ErrorNote";
import { Dialog } from "./frame/Dialog";

/** The files of a message: pictures are shown, texts can be looked at, and all can be saved. */
export function Files({ files }: { files: readonly Attached[] }) {
  const open = useSignal<Attached | undefined>(undefined);
  const action = useAction();
  if (files.length === 0) return null;
  const save = (file: Attached) => () => void action.run(() => saveFile(file));
  return (
    <>
      <ul class="files" aria-label="Attached files">
        {files.map((file) => (
          <li key={file.id}>
            {shownAs(file) === "picture" ? (
              <button type="button" class="picture" aria-label={`See ${file.name}`} onClick={() => (open.value = file)}>
                <Picture file={file} />
              </button>
            ) : null}
            <span class="file">
              <bdi>{unturned(file.name)}</bdi> <span class="quiet">{bytes(file.size_bytes)}</span>
              {shownAs(file) === "text" ? (
                <button type="button" class="link" aria-label={`See ${file.name}`} onClick={() => (open.value = file)}>
                  See
                </button>
              ) : null}
              <button type="button" class="link" aria-label={`Save ${file.name}`} onClick={save(file)}>
                Save
              </button>
            </span>
          </li>
        ))}
      </ul>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      {open.value ? <Preview file={open.value} close={() => (open.value = undefined)} save={save(open.value)} /> : null}
    </>
  );
}

function Preview({ file, close, save }: { file: Attached; close: () => void; save: () => void }) {
  return (
    <Dialog title={unturned(file.name)} onCancel={close}>
      {shownAs(file) === "picture" ? <Picture file={file} large /> : <TextFile file={file} />}
      <div class="actions">
        <button type="button" class="primary" onClick={save}>
          Save
        </button>
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

function Picture({ file, large = false }: { file: Attached; large?: boolean }) {
  const src = useSignal<string | undefined>(undefined);
  const broken = useSignal(false);
  const action = useAction();
  useEffect(() => {
    let finish: (() => void) | undefined;
    let current = true;
    void action.run(async () => {
      const { href, done } = await openFile(file);
      finish = done;
      if (current) src.value = href;
      else done();
    });
    return () => {
      current = false;
      finish?.();
    };
  }, [file.url]);
  if (action.error.value) return <span class="quiet">{action.error.value.message}</span>;
  if (broken.value) return <span class="quiet">This picture cannot be shown.</span>;
  return src.value ? <img src={src.value} alt={file.name} loading={large ? "eager" : "lazy"} class={large ? "large" : ""} onError={() => (broken.value = true)} /> : <span class="quiet">Loading…</span>;
}

function TextFile({ file }: { file: Attached }) {
  const found = useSignal<{ text: string; more: boolean } | undefined>(undefined);
  const action = useAction();
  useEffect(() => void action.run(async () => (found.value = await readText(file))), [file.url]);
  if (action.error.value) return <ErrorNote error={action.error.value} />;
  if (!found.value) return <p class="quiet">Loading…</p>;
  return (
    <>
      <pre class="file-text" tabIndex={0} role="region" aria-label={`Text of ${file.name}`} dir="auto">
        {found.value.text}
      </pre>
      {found.value.more ? <p class="hint">This is the beginning. Save the file to see all of it.</p> : null}
    </>
  );
}
