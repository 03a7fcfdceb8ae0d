import { useLayoutEffect, useRef } from "preact/hooks";
import { type Kind, recast, type Row } from "../../vault/edit";

const KINDS: readonly { kind: Kind; label: string }[] = [
  { kind: "text", label: "Text" },
  { kind: "number", label: "Number" },
  { kind: "switch", label: "Yes or no" },
  { kind: "json", label: "JSON" },
  { kind: "nothing", label: "Nothing" },
];

interface MetadataRowsProps {
  rows: readonly Row[];
  wrong: ReadonlyMap<string, string>;
  /** Whether the vault can take a key away. */
  canRemove: boolean;
  change: (rows: readonly Row[]) => void;
}

/** The metadata of a note, a key in each row; a value stays what it is: a number a number, a list a list. */
export function MetadataRows({ rows, wrong, canRemove, change }: MetadataRowsProps) {
  const box = useRef<HTMLFieldSetElement>(null);
  const added = useRef(false);
  const put = (row: Row): void => change(rows.map((other) => (other.id === row.id ? row : other)));
  const add = (): void => {
    change([...rows, { id: Math.max(-1, ...rows.map(({ id }) => id)) + 1, key: "", kind: "text", text: "" }]);
    added.current = true;
  };
  useLayoutEffect(() => {
    if (added.current) [...(box.current?.querySelectorAll<HTMLElement>(".row-key") ?? [])].at(-1)?.focus();
    added.current = false;
  }, [rows.length]);
  return (
    <fieldset class="metadata-rows" ref={box}>
      <legend>Metadata</legend>
      {rows.map((row) => (
        <RowView key={row.id} row={row} wrong={wrong.get(`row ${row.id}`)} put={put} remove={() => change(rows.filter(({ id }) => id !== row.id))} />
      ))}
      {canRemove ? null : <p class="hint">This vault cannot take a key away: one that you remove stays, with an empty text.</p>}
      <button type="button" class="small" onClick={add}>
        Add a key
      </button>
    </fieldset>
  );
}

/** Rows of the field: those of the text, within bounds. */
function linesOf(text: string): number {
  return Math.min(8, text.split("\n").reduce((all, line) => all + Math.max(1, Math.ceil(line.length / 48)), 0));
}

interface RowViewProps {
  row: Row;
  wrong: string | undefined;
  put: (row: Row) => void;
  remove: () => void;
}

function RowView({ row, wrong, put, remove }: RowViewProps) {
  const name = row.key || "new key";
  const tied = { "aria-label": `Value of ${name}`, "aria-invalid": wrong ? true : undefined, "aria-describedby": wrong ? `row-${row.id}-bad` : undefined };
  return (
    <div class={wrong ? "metadata-row invalid" : "metadata-row"}>
      <input
        type="text" class="row-key" aria-label={row.key ? `Key ${row.key}` : "Key"} placeholder="key" autocapitalize="none" spellcheck={false} value={row.key}
        onInput={(event) => put({ ...row, key: event.currentTarget.value })}
      />
      <select aria-label={`Kind of ${name}`} value={row.kind} onChange={(event) => put(recast(row, event.currentTarget.value as Kind))}>
        {KINDS.map(({ kind, label }) => (
          <option key={kind} value={kind}>{label}</option>
        ))}
      </select>
      {row.kind === "switch" ? (
        <select {...tied} value={row.text === "true" ? "true" : "false"} onChange={(event) => put({ ...row, text: event.currentTarget.value })}>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      ) : row.kind === "nothing" ? (
        <span class="quiet row-nothing">nothing</span>
      ) : row.kind === "number" ? (
        <input {...tied} type="text" inputMode="decimal" value={row.text} onInput={(event) => put({ ...row, text: event.currentTarget.value })} />
      ) : (
        <textarea
          {...tied} rows={linesOf(row.text)} dir="auto" spellcheck={row.kind === "text"} value={row.text}
          onInput={(event) => put({ ...row, text: event.currentTarget.value })}
          onKeyDown={(event) => {
            // A value of one line stays one, unless somebody means it.
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !row.text.includes("\n")) event.preventDefault();
          }}
        />
      )}
      <button type="button" class="small" aria-label={`Remove ${name}`} onClick={remove}>
        ✕
      </button>
      {wrong ? (
        <p class="field-bad" id={`row-${row.id}-bad`}>
          {wrong}
        </p>
      ) : null}
    </div>
  );
}
