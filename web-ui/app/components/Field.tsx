import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { ApiError, Problem } from "../api";
import { ErrorNote } from "./ErrorNote";
import { Sentence } from "./Text";

/** What ties an input to its label, its help and what is wrong with it. */
export interface Tied {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface FieldProps {
  id: string;
  label: ComponentChildren;
  help?: ComponentChildren;
  problems?: readonly string[] | undefined;
  /** What looks odd, and is taken all the same. */
  warnings?: readonly string[] | undefined;
  children: (tied: Tied) => JSX.Element;
}

/** A label, its input, and what the daemon objects to. */
export function Field({ id, label, help, problems = [], warnings = [], children }: FieldProps) {
  const told = [help ? `${id}-help` : "", problems.length > 0 ? `${id}-bad` : "", warnings.length > 0 ? `${id}-odd` : ""];
  const described = told.filter(Boolean).join(" ");
  return (
    <div class={problems.length > 0 ? "field-box invalid" : "field-box"}>
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": problems.length > 0 || undefined })}
      {problems.length > 0 ? (
        <p class="field-bad" id={`${id}-bad`}>
          {problems.map((problem) => (
            <Sentence key={problem} text={`${problem} `} />
          ))}
        </p>
      ) : null}
      {warnings.length > 0 ? (
        <p class="field-odd" id={`${id}-odd`}>
          {warnings.map((warning) => (
            <Sentence key={warning} text={`${warning} `} />
          ))}
        </p>
      ) : null}
      {help ? (
        <p class="hint" id={`${id}-help`}>
          {help}
        </p>
      ) : null}
    </div>
  );
}

/** Problems with their keys. */
export function Problems({ list }: { list: readonly Problem[] }) {
  return (
    <ul class="problems">
      {list.map(({ key, message }) => (
        <li key={`${key} ${message}`}>
          <code>{key}</code> <Sentence text={message} />
        </li>
      ))}
    </ul>
  );
}

/** What the daemon said to a whole form; `rest` are the problems that stand at no field. */
export function FormError({ error, rest }: { error: ApiError; rest: readonly Problem[] }) {
  if (error.problems.length === 0) return <ErrorNote error={error} />;
  return (
    <div class="note bad" role="alert">
      <p>
        <strong>Nothing was changed.</strong> {rest.length < error.problems.length ? "What is to be corrected stands at its field." : null}
      </p>
      {rest.length > 0 ? <Problems list={rest} /> : null}
    </div>
  );
}

/** Puts the reader at the first field that was objected to, each time that the daemon answers. */
export function useFirstInvalid(error: ApiError | undefined) {
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => {
    const first = error ? form.current?.querySelector<HTMLElement>("[aria-invalid=true]") : undefined;
    first?.closest("details")?.setAttribute("open", "");
    first?.focus();
  }, [error]);
  return form;
}

/** What is folded away, unless something in it was objected to; it does not close by itself under a reader's hands. */
export function More({ title, objected, children }: { title: string; objected: boolean; children: ComponentChildren }) {
  const opened = useRef(objected);
  opened.current ||= objected;
  return (
    <details class="more" open={opened.current}>
      <summary>{title}</summary>
      {children}
    </details>
  );
}
