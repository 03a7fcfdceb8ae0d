import { Dialog } from "./Dialog";
import { keysShown } from "./keys";
import { ROOMS } from "./rooms";

const MORE: readonly (readonly [keys: readonly string[], what: string])[] = [
  [["/"], "Search in this room"],
  [["j", "k"], "Down and up in a list; Enter opens"],
  [["r", "e"], "Rename, or archive, the conversation in hand"],
  [["Ctrl S"], "Save a note"],
  [["?"], "These keys"],
  [["Esc"], "Leave a box, or go back"],
];

export function KeysDialog() {
  if (!keysShown.value) return null;
  const close = (): void => {
    keysShown.value = false;
  };
  const all = [...ROOMS.filter(({ narrow }) => !narrow).map(({ key, label }) => [["g", key], label] as const), [["g", "n"], "New agent"] as const, ...MORE];
  return (
    <Dialog title="Keys" onCancel={close}>
      <dl class="keys">
        {all.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="actions">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
