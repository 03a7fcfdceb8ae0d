import { useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { fullTime, plural, time } from "../../format";
import { minute } from "../../store";
import { useResource } from "../../resource";
import { ALL_NOTES, type NotesFilter, vaultApi, type VaultNote } from "../../vault/api";
import { folderOf, hits, nameOf, wordsOf } from "../../vault/browse";
import { draftsIn } from "../../vault/drafts";
import { ErrorNote } from "../ErrorNote";
import { LoadMore } from "../LoadMore";
import { useKeptScroll } from "../useKeptScroll";
import { useListKeys } from "../useListKeys";
import { usePages } from "../usePages";
import { Browse } from "./Browse";
import { abilities, filterOf, known, listHref, newHref, noteHref, told } from "./state";

const TYPING_MS = 200;

/** The notes of a vault, the last changed first, and how to find one. */
export function NoteList({ vault }: { vault: string }) {
  const filter = filterOf(vault);
  const can = abilities(vault);
  const pages = usePages<VaultNote>(
    async (cursor) => {
      const { notes, next } = await vaultApi.list(vault, filter.peek(), abilities(vault), cursor);
      return { items: notes, next };
    },
    ({ id }) => id,
    () => `notes ${vault} ${JSON.stringify(filter.peek())}`,
  );
  const box = useRef<HTMLDivElement>(null);
  useListKeys(box);
  // Now and then, too: agents write notes as well.
  useResource(() => pages.load());
  useEffect(() => () => void (told.value = undefined), []);
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(typing.current), []);
  const narrow = (change: Partial<NotesFilter>): void => {
    filter.value = { ...filter.peek(), ...change };
    clearTimeout(typing.current);
    typing.current = setTimeout(() => void pages.load(true), "text" in change ? TYPING_MS : 0);
  };
  // What a vault can do is perhaps told after the list was asked for.
  const able = JSON.stringify(can);
  const asked = useRef(able);
  useEffect(() => {
    if (asked.current !== able) void pages.load(true);
    asked.current = able;
  }, [able]);
  const list = pages.items.value;
  useKeptScroll(box, `notes ${vault}`, list !== undefined);
  const error = pages.error.value;
  return (
    <>
      <header class="notes-head">
        <h1>Notes</h1>
        <VaultChoice vault={vault} />
        <a class="button primary" href={newHref(vault)}>
          New note
        </a>
      </header>
      <div role="status">{told.value ? <p class="note">{told.value}</p> : null}</div>
      <Unsaved vault={vault} />
      <div class="notes-tools" role="search">
        <input
          type="search" data-search aria-label="Search in notes" placeholder={can.search ? "Search in notes" : "This vault cannot be searched here"} disabled={!can.search}
          value={filter.value.text} onInput={(event) => narrow({ text: event.currentTarget.value })}
        />
        <label class="tick">
          <input type="checkbox" checked={filter.value.messages} onChange={(event) => narrow({ messages: event.currentTarget.checked })} />
          Messages of agents, too
        </label>
      </div>
      {can.search ? null : <p class="hint">Browse it by folder or tag, or search in the program that it belongs to.</p>}
      <p class="visually-hidden" role="status">
        {list && (filter.value.text || filter.value.folder || filter.value.tags.length > 0) ? `${plural(list.length, "note")}${pages.more.value ? " and more" : ""} found.` : ""}
      </p>
      <Chosen filter={filter.value} narrow={narrow} />
      <div class="notes-body">
        <Browse vault={vault} filter={filter.value} narrow={narrow} />
        <div ref={box} class="notes-list">
          {error ? (
            <ErrorNote error={error}>
              <button type="button" onClick={() => void pages.load()}>
                Try again
              </button>
            </ErrorNote>
          ) : null}
          {list === undefined && !error ? <p class="quiet center">Loading notes…</p> : null}
          {list?.length === 0 ? <Empty vault={vault} filter={filter.value} narrow={narrow} /> : null}
          <ul aria-label="Notes">
            {list?.map((note) => (
              <Item key={note.id} note={note} vault={vault} search={filter.value.text} pick={(tag) => narrow({ tags: [...new Set([...filter.peek().tags, tag])] })} />
            ))}
          </ul>
          {pages.more.value ? <LoadMore label="More notes" busy={pages.busy.value} shown={list?.length ?? 0} load={() => void pages.loadMore()} /> : null}
        </div>
      </div>
    </>
  );
}

function VaultChoice({ vault }: { vault: string }) {
  const names = useResource(vaultApi.names);
  const all = useComputed(() => [...new Set([...(known.value?.map(({ name }) => name) ?? []), ...(names.value.value?.vaults ?? []), vault])]);
  if (all.value.length < 2) return <span class="quiet vault-name">in the vault {vault}</span>;
  return (
    <select class="vault-choice" aria-label="Vault" value={vault} onChange={(event) => (location.hash = listHref(event.currentTarget.value))}>
      {all.value.map((name) => (
        <option key={name} value={name}>{name}</option>
      ))}
    </select>
  );
}

/** What was written and not saved. */
function Unsaved({ vault }: { vault: string }) {
  if (!draftsIn(vault).includes("")) return null;
  return (
    <p class="note warn">
      A new note is not saved yet. <a href={newHref(vault)}>Go on with it</a>
    </p>
  );
}

/** What the list is narrowed to, to be taken away again. */
function Chosen({ filter, narrow }: { filter: NotesFilter; narrow: (change: Partial<NotesFilter>) => void }) {
  if (filter.tags.length === 0 && !filter.folder) return null;
  return (
    <ul class="chips" aria-label="Only notes">
      {filter.folder ? (
        <li>
          <button type="button" class="chip" aria-label={`In ${filter.folder}: take away`} onClick={() => narrow({ folder: "" })}>
            in {filter.folder} <span aria-hidden="true">✕</span>
          </button>
        </li>
      ) : null}
      {filter.tags.map((tag) => (
        <li key={tag}>
          <button type="button" class="chip" aria-label={`Tag ${tag}: take away`} onClick={() => narrow({ tags: filter.tags.filter((other) => other !== tag) })}>
            #{tag} <span aria-hidden="true">✕</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Empty({ vault, filter, narrow }: { vault: string; filter: NotesFilter; narrow: (change: Partial<NotesFilter>) => void }) {
  const narrowed = filter.text.trim() !== "" || filter.tags.length > 0 || filter.folder !== "";
  return (
    <div class="empty">
      <p>
        <strong>{filter.text.trim() ? `No note has “${filter.text.trim()}” in it.` : narrowed ? "No note is like that." : "There are no notes yet."}</strong>
      </p>
      <p>{narrowed ? "Search for other words, or look at all of them." : "Agents write notes, and so can you."}</p>
      {narrowed ? (
        <button type="button" onClick={() => narrow(ALL_NOTES)}>
          Show all
        </button>
      ) : (
        <a class="button primary" href={newHref(vault)}>
          Write the first one
        </a>
      )}
    </div>
  );
}

interface ItemProps {
  note: VaultNote;
  vault: string;
  search: string;
  pick: (tag: string) => void;
}

function Item({ note, vault, search, pick }: ItemProps) {
  const name = nameOf(note);
  const folder = folderOf(note.path);
  const words = wordsOf(note.preview ?? "", name);
  return (
    <li class="note-item">
      <div class="note-line">
        <a data-entry href={noteHref(vault, note.id)}>
          <bdi>
            <Hits text={name} search={search} />
          </bdi>
        </a>
        {draftsIn(vault).includes(note.id) ? <span class="tag-mark unsaved">Unsaved changes</span> : null}
        {folder ? <bdi class="note-folder">{folder}</bdi> : null}
        <time dateTime={note.updatedAt} title={`Changed ${fullTime(note.updatedAt)}, made ${fullTime(note.createdAt)}`}>
          {time(note.updatedAt, minute.value)}
        </time>
      </div>
      {words ? (
        <p class="note-words" dir="auto">
          <Hits text={words} search={search} />
        </p>
      ) : null}
      {note.tags.length > 0 ? (
        <p class="note-tags">
          {note.tags.map((tag) => (
            <button key={tag} type="button" class="tag" title={`Only notes with the tag ${tag}`} onClick={() => pick(tag)}>
              #{tag}
            </button>
          ))}
        </p>
      ) : null}
    </li>
  );
}

function Hits({ text, search }: { text: string; search: string }) {
  return <>{hits(text, search).map(({ text: part, hit }, index) => (hit ? <mark key={index}>{part}</mark> : part))}</>;
}
