import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../api";
import { bytes } from "../../format";
import { useAction } from "../../resource";
import { failure } from "../../store";
import { fileUrl, upload } from "../../turns";
import { type NoteFile, vaultApi, type VaultNote } from "../../vault/api";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/** The files of a note: seen, saved, added and taken away. */
export function NoteFiles({ vault, note, reload }: { vault: string; note: VaultNote; reload: () => void }) {
  const files = note.attachments ?? [];
  return (
    <section class="note-part" aria-label="Attachments">
      <h2>Attachments</h2>
      {files.length > 0 ? (
        <ul class="files">
          {files.map((file) => (
            <li key={file.id}>
              <FileRow vault={vault} note={note.id} file={file} reload={reload} />
            </li>
          ))}
        </ul>
      ) : null}
      <AddFiles vault={vault} note={note.id} reload={reload} />
    </section>
  );
}

function FileRow({ vault, note, file, reload }: { vault: string; note: string; file: NoteFile; reload: () => void }) {
  const action = useAction();
  const source = fileUrl(vault, file);
  const picture = PICTURES.includes(file.mimeType);
  const remove = async (): Promise<void> => {
    if (await action.run(() => vaultApi.detach(vault, note, file.id))) reload();
  };
  return (
    <>
      <a href={source} download={file.filename} class={picture ? "picture" : "file"}>
        {picture ? <img src={source} alt={file.filename} loading="lazy" /> : null}
        <span>
          <bdi>{file.filename}</bdi> {file.size == null ? null : <span class="quiet">{bytes(file.size)}</span>}
        </span>
      </a>
      <Confirm label="Remove" question={`Remove ${file.filename}?`} yes="Remove" onYes={() => void remove()} />
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
    </>
  );
}

interface Coming {
  name: string;
  part: number;
  error?: ApiError;
  file: File;
}

function AddFiles({ vault, note, reload }: { vault: string; note: string; reload: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const coming = useSignal<readonly Coming[]>([]);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const add = async (file: File): Promise<void> => {
    const own: Coming = { name: file.name, part: 0, file };
    let last = own;
    const put = (next: Coming | undefined): void => {
      coming.value = coming.peek().flatMap((one) => (one === last ? (next ? [next] : []) : [one]));
      if (next) last = next;
    };
    coming.value = [...coming.peek(), own];
    try {
      const stored = await upload(vault, file, (part) => put({ ...last, part }), stop.current.signal);
      await vaultApi.attach(vault, note, stored);
      put(undefined);
      reload();
    } catch (error) {
      put({ ...last, error: failure(error) });
    }
  };
  return (
    <>
      {coming.value.map((one, index) =>
        one.error ? (
          <ErrorNote key={index} error={one.error}>
            <p>
              <bdi>{one.name}</bdi> is not attached.
            </p>
            <button
              type="button"
              onClick={() => {
                coming.value = coming.peek().filter((other) => other !== one);
                void add(one.file);
              }}
            >
              Try again
            </button>{" "}
            <button type="button" onClick={() => (coming.value = coming.peek().filter((other) => other !== one))}>
              Leave it
            </button>
          </ErrorNote>
        ) : (
          <p key={index}>
            <bdi>{one.name}</bdi> <progress value={one.part} max={1} aria-label={`${one.name} is being stored`} />
          </p>
        ),
      )}
      <button type="button" class="small" onClick={() => input.current?.click()}>
        Attach a file
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-hidden="true"
        tabIndex={-1}
        onChange={(event) => {
          for (const file of event.currentTarget.files ?? []) void add(file);
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}
