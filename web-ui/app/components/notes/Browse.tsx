import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiError } from "../../api";
import { failure } from "../../store";
import { MESSAGE_TAG, type NotesFilter, type Place, type TagCount, vaultApi } from "../../vault/api";
import { foldersIn, trail } from "../../vault/browse";
import { tagOf } from "../../vault/edit";
import { ErrorNote } from "../ErrorNote";
import { abilities } from "./state";

/** From so many tags on there is a field to find one. */
const MANY = 12;

interface BrowseProps {
  vault: string;
  filter: NotesFilter;
  narrow: (change: Partial<NotesFilter>) => void;
}

/** The folders and tags of a vault; on a narrow screen folded away. */
export function Browse(props: BrowseProps) {
  const open = useSignal(!matchMedia("(max-width: 60rem)").matches);
  return (
    <details class="browse" open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Folders and tags</summary>
      {open.value ? (
        <>
          <Folders {...props} />
          <Tags {...props} />
        </>
      ) : null}
    </details>
  );
}

function Folders({ vault, filter, narrow }: BrowseProps) {
  const found = useSignal<{ places: Place[]; cut: boolean } | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const load = async (): Promise<void> => {
    try {
      found.value = await vaultApi.places(vault, filter.messages);
      error.value = undefined;
    } catch (thrown) {
      error.value = failure(thrown);
    }
  };
  useEffect(() => void load(), [filter.messages]);
  const here = foldersIn(found.value?.places ?? [], filter.folder);
  return (
    <section aria-labelledby="folders">
      <h2 id="folders">Folders</h2>
      {error.value ? (
        <ErrorNote error={error.value}>
          <button type="button" onClick={() => void load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {filter.folder ? (
        <nav class="trail" aria-label="Folder">
          <button type="button" class="link" onClick={() => narrow({ folder: "" })}>
            All
          </button>
          {trail(filter.folder).map(({ name, path }) => (
            <span key={path}>
              {" / "}
              <button type="button" class="link" disabled={path === filter.folder} onClick={() => narrow({ folder: path })}>
                <bdi>{name}</bdi>
              </button>
            </span>
          ))}
        </nav>
      ) : null}
      <ul>
        {here.map(({ name, path, count }) => (
          <li key={path}>
            <button type="button" class="pick" onClick={() => narrow({ folder: path })}>
              <bdi>{name}</bdi> <span class="quiet">{count}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.value && here.length === 0 ? <p class="hint">{filter.folder ? "No folders in this one." : "No note is in a folder."}</p> : null}
      {found.value?.cut ? <p class="hint">Of the first {found.value.places.length} notes; search finds the others.</p> : null}
    </section>
  );
}

function Tags({ vault, filter, narrow }: BrowseProps) {
  const can = abilities(vault).tag_schemas;
  const tags = useSignal<TagCount[] | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const find = useSignal("");
  const load = async (): Promise<void> => {
    try {
      tags.value = await vaultApi.tags(vault);
      error.value = undefined;
    } catch (thrown) {
      error.value = failure(thrown);
    }
  };
  useEffect(() => {
    if (can) void load();
  }, [can]);
  const pick = (tag: string): void => narrow({ tags: filter.tags.includes(tag) ? filter.tags.filter((other) => other !== tag) : [...filter.tags, tag] });
  const words = find.value.toLowerCase().replace(/^#/, "");
  const usable = (tags.value ?? []).filter(({ name, count }) => (count > 0 || filter.tags.includes(name)) && (filter.messages || !(name === MESSAGE_TAG || name.startsWith(`${MESSAGE_TAG}/`)) || filter.tags.includes(name)));
  const shown = usable.filter(({ name }) => name.toLowerCase().includes(words)).sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
  return (
    <section aria-labelledby="tags">
      <h2 id="tags">Tags</h2>
      {!can ? <OneTag pick={pick} /> : null}
      {error.value ? (
        <ErrorNote error={error.value}>
          <button type="button" onClick={() => void load()}>
            Try again
          </button>
        </ErrorNote>
      ) : null}
      {can && usable.length > MANY ? (
        <input type="search" class="find-tag" aria-label="Find a tag" placeholder="Find a tag" value={find.value} onInput={(event) => (find.value = event.currentTarget.value)} />
      ) : null}
      <ul class="tag-list">
        {shown.map(({ name, count }) => (
          <li key={name}>
            <button type="button" class="pick" aria-pressed={filter.tags.includes(name)} onClick={() => pick(name)}>
              <bdi>#{name}</bdi> <span class="quiet">{count}</span>
            </button>
          </li>
        ))}
      </ul>
      {tags.value && usable.length === 0 ? <p class="hint">No note has a tag.</p> : null}
      {can && usable.length > 0 && shown.length === 0 ? <p class="hint">No tag is like that.</p> : null}
    </section>
  );
}

/** Where a vault does not list its tags, one that is known can be named. */
function OneTag({ pick }: { pick: (tag: string) => void }) {
  const text = useSignal("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const tag = tagOf(text.value);
        if (!tag) return;
        text.value = "";
        pick(tag);
      }}
    >
      <p class="hint">This vault does not list its tags. Name one:</p>
      <div class="inline">
        <input type="text" aria-label="Tag" autocapitalize="none" spellcheck={false} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        <button type="submit" class="small">
          Show
        </button>
      </div>
    </form>
  );
}
