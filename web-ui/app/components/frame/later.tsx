import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError } from "../../api";
import { ErrorNote } from "../ErrorNote";

/** A part of the page whose code is loaded when it is first shown, so that the first page is there soon. */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let known: ComponentType<P> | undefined;
  return function Later(props: P) {
    const part = useSignal(known);
    const error = useSignal<ApiError | undefined>(undefined);
    const get = async (): Promise<void> => {
      error.value = undefined;
      try {
        part.value = known = await load();
      } catch (thrown) {
        console.error("a part of the page was not loaded", thrown);
        error.value = new ApiError(0, "page", "This part of the page could not be loaded.", "Try again; if the daemon was updated meanwhile, reload the page.");
      }
    };
    useEffect(() => {
      if (!known) void get();
    }, []);
    const Part = part.value;
    if (Part) return <Part {...props} />;
    return (
      <div class="later">
        {error.value ? (
          <ErrorNote error={error.value}>
            <button type="button" onClick={() => void get()}>
              Try again
            </button>{" "}
            <button type="button" onClick={() => location.reload()}>
              Reload the page
            </button>
          </ErrorNote>
        ) : (
          <p class="quiet pad">Loading…</p>
        )}
      </div>
    );
  };
}
