import type { Resource } from "../../resource";
import { ErrorNote } from "../ErrorNote";

/** Why a part could not be read (again), and another try. What was last seen stays. */
export function Unreachable({ of }: { of: Resource<unknown> }) {
  const error = of.error.value;
  if (!error) return null;
  return (
    <ErrorNote error={error}>
      <button type="button" onClick={() => void of.load()}>
        Try again
      </button>
    </ErrorNote>
  );
}
