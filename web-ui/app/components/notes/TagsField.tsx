import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { failure } from "../../store";
import { vaultApi } from "../../vault/api";
import { tagOf } from "../../vault/edit";
import { abilities } from "./state";

interface TagsFieldProps {
  vault: string;
  tags: readonly string[];
  change: (tags: readonly string[]) => void;
}

/** The tags of a note: each can be taken away; Enter or a comma adds what was typed. */
export function TagsField({ vault, tags, change }: TagsFieldProps) {
  const text = useSignal("");
  const known = useSignal<readonly string[]>([]);
  useEffect(() => {
    if (!abilities(vault).tag_schemas) return;
    vaultApi.tags(vault).then(
      (all) => (known.value = all.map(({ name }) => name)),
      // Tags can be typed without.
      (error: unknown) => console.warn("the tags of the vault could not be loaded", failure(error).message),
    );
  }, []);
  const add = (): void => {
    const fresh = text.value.split(",").flatMap((part) => tagOf(part) ?? []);
    text.value = "";
    if (fresh.length > 0) change([...new Set([...tags, ...fresh])]);
  };
  return (
    <div class="field-box">
      <label for="note-tag">Tags</label>
      <ul class="chips" aria-label="Tags of the note">
        {tags.map((tag) => (
          <li key={tag}>
            <button type="button" class="chip" aria-label={`Tag ${tag}: take away`} onClick={() => change(tags.filter((other) => other !== tag))}>
              #{tag} <span aria-hidden="true">✕</span>
            </button>
          </li>
        ))}
      </ul>
      <input
        id="note-tag" type="text" list="known-tags" autocapitalize="none" spellcheck={false} placeholder="Add a tag" value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          if (text.value.endsWith(",")) add();
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.isComposing) {
            event.preventDefault();
            add();
          }
          if (event.key === "Backspace" && text.value === "") change(tags.slice(0, -1));
        }}
        onBlur={add}
      />
      <datalist id="known-tags">
        {known.value.map((tag) => (
          <option key={tag} value={tag} />
        ))}
      </datalist>
    </div>
  );
}
