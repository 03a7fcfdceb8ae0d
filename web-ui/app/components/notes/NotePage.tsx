import { useSignal } from "@preact/signals";
import { useCallback, useMemo, useRef } from "preact/hooks";
import { fullTime, time } from "../../format";
import { useAction, useResource } from "../../resource";
import { agents, minute } from "../../store";
import { vaultApi, type VaultNote } from "../../vault/api";
import { folderOf, nameOf } from "../../vault/browse";
import { dropNoteDraft, keepNoteDraft, noteDraft } from "../../vault/drafts";
import { editOf, NEW, written } from "../../vault/edit";
import { followed } from "../../vault/keep";
import { backlinks, linked } from "../../vault/links";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { useFromTop } from "../useKeptScroll";
import { useEscape } from "../useListKeys";
import { NoteFiles } from "./NoteFiles";
import { NoteText } from "./NoteText";
import { abilities, editHref, listHref, newHref, noteHref, showOnly, told } from "./state";

/** One note as it is: what it says, what is known of it, and what belongs to it. */
export function NotePage({ vault, id }: { vault: string; id: string }) {
  const note = useResource(() => vaultApi.note(vault, id, abilities(vault)));
  useEscape(useCallback(() => (location.hash = listHref(vault)), [vault]));
  const error = note.error.value;
  const shown = note.value.value;
  const box = useRef<HTMLElement>(null);
  useFromTop(box);
  return (
    <article class="note-page" ref={box}>
      <a class="button small" data-search-at href={listHref(vault)}>
        ‹ All notes
      </a>
      {error?.status === 404 ? (
        <Missing vault={vault} id={id} />
      ) : error ? (
        <ErrorNote error={error}>
          <button type="button" onClick={() => void note.load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {shown === undefined && !error ? <p class="quiet center">Loading the note…</p> : null}
      {shown && error?.status !== 404 ? <Shown vault={vault} note={shown} reload={() => void note.load()} /> : null}
    </article>
  );
}

/** A link may lead to what nobody has written yet. */
function Missing({ vault, id }: { vault: string; id: string }) {
  const begin = (): void => {
    const edit = { ...editOf(NEW), path: id };
    if (!noteDraft(vault, "")) keepNoteDraft(vault, "", { base: NEW, edit, at: new Date().toISOString() });
    location.hash = newHref(vault);
  };
  const kept = noteDraft(vault, id);
  return (
    <div class="empty">
      <p>
        <strong>There is no note here.</strong>
      </p>
      <p>
        The vault {vault} has none with the id or path <bdi>{id}</bdi>: it was removed or moved, or nobody has written it yet.
      </p>
      {kept ? (
        <>
          <p>What you had written and not saved is kept.</p>
          <a class="button primary" href={editHref(vault, id)}>
            See what you wrote
          </a>
        </>
      ) : (
        <button type="button" class="primary" onClick={begin}>
          Write it
        </button>
      )}
    </div>
  );
}

function Shown({ vault, note, reload }: { vault: string; note: VaultNote; reload: () => void }) {
  const links = useMemo(() => note.links ?? [], [JSON.stringify(note.links)]);
  return (
    <>
      <header class="note-title">
        <div>
          <h1>
            <bdi>{nameOf(note)}</bdi>
          </h1>
          <p class="quiet">
            <Where vault={vault} note={note} /> changed{" "}
            <time dateTime={note.updatedAt} title={fullTime(note.updatedAt)}>
              {time(note.updatedAt, minute.value)}
            </time>
          </p>
        </div>
        <div class="row-actions">
          <a class="button primary" href={editHref(vault, note.id)}>
            Edit
          </a>
          <Delete vault={vault} note={note} />
        </div>
      </header>
      <DraftBanner vault={vault} id={note.id} />
      <Follows note={note} />
      {note.tags.length > 0 ? (
        <p class="note-tags" aria-label="Tags">
          {note.tags.map((tag) => (
            <button key={tag} type="button" class="tag" title={`Notes with the tag ${tag}`} onClick={() => showOnly(vault, { tags: [tag] })}>
              #{tag}
            </button>
          ))}
        </p>
      ) : null}
      {note.content?.trim() ? <NoteText text={note.content} vault={vault} id={note.id} links={links} /> : <p class="quiet">This note has no text.</p>}
      <NoteFiles vault={vault} note={note} reload={reload} />
      <Linked title="Links to" list={linked(links, note.id)} vault={vault} />
      <Linked title="Linked from" list={backlinks(links, note.id)} vault={vault} />
      <Metadata note={note} />
      {abilities(vault).links ? null : <p class="hint">This vault does not tell which notes link to this one.</p>}
    </>
  );
}

function Where({ vault, note }: { vault: string; note: VaultNote }) {
  const folder = folderOf(note.path);
  if (!folder) return <>In the vault {vault} ·</>;
  return (
    <>
      In{" "}
      <button type="button" class="link" title="Notes of this folder" onClick={() => showOnly(vault, { folder })}>
        <bdi>{folder}</bdi>
      </button>{" "}
      ·
    </>
  );
}

/** What was written and not saved, and what can become of it. */
function DraftBanner({ vault, id }: { vault: string; id: string }) {
  const draft = noteDraft(vault, id);
  if (!draft) return null;
  return (
    <div class="note warn draft-banner" role="note">
      <p>You have changes of this note from {time(draft.at, minute.value)} that are not saved.</p>
      <div class="row-actions">
        <a class="button small" href={editHref(vault, id)}>
          Restore
        </a>
        <Confirm label="Discard" question="Discard what you wrote?" yes="Discard" onYes={() => dropNoteDraft(vault, id)} />
      </div>
    </div>
  );
}

/** Says when Reveille itself keeps or follows a note. */
export function Follows({ note }: { note: Pick<VaultNote, "id" | "path" | "tags" | "metadata"> }) {
  const known = followed(note, agents.value ?? []);
  if (!known) return null;
  return (
    <div class="note follows" role="note">
      <p>
        <strong>{known.what}</strong> {known.change}
      </p>
      {known.links.map(({ href, label }) => (
        <a key={href} href={href}>
          {label}
        </a>
      ))}
    </div>
  );
}

function Delete({ vault, note }: { vault: string; note: VaultNote }) {
  const action = useAction();
  const gone = useSignal(false);
  const remove = async (): Promise<void> => {
    if (!(await action.run(() => vaultApi.remove(vault, note.id)))) return;
    gone.value = true;
    dropNoteDraft(vault, note.id);
    told.value = `The note “${nameOf(note)}” is deleted.`;
    location.hash = listHref(vault);
  };
  const effect = followed(note, agents.value ?? [])?.remove;
  return (
    <>
      <Confirm label={action.busy.value ? "Deleting…" : "Delete"} question={`Delete this note for good?${effect ? ` ${effect}` : ""}`} yes="Delete it" onYes={() => void remove()} />
      {action.error.value && !gone.value ? (
        <ErrorNote error={action.error.value}>
          <p>The note is as it was.</p>
        </ErrorNote>
      ) : null}
    </>
  );
}

function Linked({ title, list, vault }: { title: string; list: readonly { id: string; path?: string }[]; vault: string }) {
  if (list.length === 0) return null;
  return (
    <section class="note-part" aria-label={title}>
      <h2>{title}</h2>
      <ul class="note-links">
        {list.map(({ id, path }) => (
          <li key={id}>
            <a href={noteHref(vault, id)}>
              <bdi>{path ?? id}</bdi>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Metadata({ note }: { note: VaultNote }) {
  const entries = Object.entries(note.metadata ?? {});
  return (
    <section class="note-part" aria-label="Metadata">
      <h2>Metadata</h2>
      <table class="metadata">
        <tbody>
          {entries.map(([key, value]) => (
            <tr key={key}>
              <th scope="row">
                <bdi>{key}</bdi>
              </th>
              <td>
                <Value value={value} />
              </td>
            </tr>
          ))}
          <tr>
            <th scope="row" class="quiet">id</th>
            <td class="quiet">{note.id}</td>
          </tr>
          {note.path ? (
            <tr>
              <th scope="row" class="quiet">path</th>
              <td class="quiet">
                <bdi>{note.path}</bdi>
              </td>
            </tr>
          ) : null}
          <tr>
            <th scope="row" class="quiet">made</th>
            <td class="quiet">{fullTime(note.createdAt)}</td>
          </tr>
        </tbody>
      </table>
    </section>
  );
}

function Value({ value }: { value: unknown }) {
  const { kind, text } = written(value);
  if (kind === "nothing") return <span class="quiet">nothing</span>;
  if (kind === "text") return text === "" ? <span class="quiet">empty</span> : <bdi>{text}</bdi>;
  if (kind === "json") return <pre>{JSON.stringify(value, null, 2)}</pre>;
  return <code>{text}</code>;
}
