import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError } from "../api";
import { ErrorNote } from "./ErrorNote";

/** A part of the page that is loaded when it is first shown; `what` it is, for who has to wait or cannot get it. */
export function Lazy<P extends object>(what: string, load: () => Promise<ComponentType<P>>): ComponentType<P> {
  const part = signal<ComponentType<P> | undefined>(undefined);
  const failed = signal(false);
  const fetchIt = async (): Promise<void> => {
    failed.value = false;
    try {
      part.value = await load();
    } catch (error) {
      console.warn(`${what} did not load`, error);
      failed.value = true;
    }
  };
  return function LazyPart(props: P) {
    useEffect(() => {
      if (!part.peek()) void fetchIt();
    }, []);
    const Part = part.value;
    if (Part) return <Part {...props} />;
    if (!failed.value) return <p class="lazy-wait quiet">Loading {what}…</p>;
    const error = new ApiError(0, "part", `The page could not load ${what}.`, "The daemon may be away, or be another version now. Try again, or reload the page; what you wrote is kept.");
    return (
      <div class="lazy-wait">
        <ErrorNote error={error}>
          <button type="button" onClick={() => void fetchIt()}>
            Try again
          </button>{" "}
          <button type="button" onClick={() => location.reload()}>
            Reload the page
          </button>
        </ErrorNote>
      </div>
    );
  };
}
