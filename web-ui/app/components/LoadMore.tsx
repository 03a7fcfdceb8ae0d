import { useEffect, useRef } from "preact/hooks";

interface LoadMoreProps {
  label: string;
  busy: boolean;
  /** Changes with each page that came: one that did not fill the view is followed by the next. */
  shown: number;
  load: () => void;
}

/** Loads the next page of a list when the reader comes near its end; a button, for those who do not scroll. */
export function LoadMore({ label, busy, shown, load }: LoadMoreProps) {
  const own = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => entry?.isIntersecting && load(), { rootMargin: "0px 0px 300px" });
    if (own.current) watch.observe(own.current);
    return () => watch.disconnect();
  }, [shown]);
  return (
    <button ref={own} type="button" class="load-more" disabled={busy} onClick={load}>
      {busy ? "Loading more…" : label}
    </button>
  );
}
