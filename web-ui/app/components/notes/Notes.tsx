import { useEffect } from "preact/hooks";
import { useResource } from "../../resource";
import { health, route } from "../../store";
import { vaultApi } from "../../vault/api";
import "../../styles/notes.css";
import { ErrorNote } from "../ErrorNote";
import { EditNote, WriteNote } from "./Editor";
import { NoteList } from "./NoteList";
import { NotePage } from "./NotePage";
import { known, lastVault, listHref } from "./state";

/** The notes of the vaults: which are there, what is in one, and how it is changed. */
export function Notes() {
  const at = route.value;
  const [vault, id, part] = (at.view === "notes" && at.path) || [];
  // What a vault cannot do must not be asked of it.
  const ready = health.value !== undefined;
  useEffect(() => {
    if (vault !== undefined) lastVault.value = vault;
  }, [vault]);
  return (
    <main class="notes-page" id="main" tabIndex={-1}>
      {!ready ? (
        <p class="quiet center">Loading vaults…</p>
      ) : vault === undefined ? (
        <Vaults />
      ) : id === undefined ? (
        <NoteList key={vault} vault={vault} />
      ) : id === "-" && part === "new" ? (
        <WriteNote key={vault} vault={vault} />
      ) : part === "edit" ? (
        <EditNote key={`${vault} ${id}`} vault={vault} id={id} />
      ) : (
        <NotePage key={`${vault} ${id}`} vault={vault} id={id} />
      )}
    </main>
  );
}

/** Goes on with the vault that was looked at last, else the one that is used when nobody says which. */
function Vaults() {
  const names = useResource(vaultApi.names);
  const list = known.value;
  const all = list && list.length > 0 ? list.map(({ name }) => name) : names.value.value?.vaults;
  const first = all?.find((name) => name === lastVault.value) ?? list?.find((vault) => vault.default)?.name ?? all?.[0];
  useEffect(() => {
    if (first !== undefined) location.replace(listHref(first));
  }, [first]);
  if (names.error.value && first === undefined) {
    return (
      <ErrorNote error={names.error.value}>
        <button type="button" onClick={() => void names.load()}>
          Try again
        </button>
      </ErrorNote>
    );
  }
  if (all?.length === 0) {
    return (
      <div class="empty">
        <p>
          <strong>No vault is connected.</strong>
        </p>
        <p>
          <code>reveille doctor</code> says what is missing.
        </p>
      </div>
    );
  }
  return <p class="quiet center">Loading vaults…</p>;
}
