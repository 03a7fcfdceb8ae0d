import type { ComponentChildren } from "preact";
import type { ApiError } from "../api";
import { Sentence } from "./Text";

/** What happened and what to do, next to what it is about. */
export function ErrorNote({ error, children }: { error: ApiError; children?: ComponentChildren }) {
  return (
    <div class="note bad" role="alert">
      <p>
        <strong>{error.message}</strong> {error.nextStep ? <Sentence text={error.nextStep} /> : null}
      </p>
      {children}
    </div>
  );
}
