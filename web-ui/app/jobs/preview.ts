/** What the daemon would make of a form while it is filled in: what is wrong with it, and when it would be due. */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, isNoRoute, type Problem } from "../api";
import { jobsApi } from "./api";
import { type JobDraft, newJob } from "./form";
import { nextRuns } from "./next";
import { localZone, momentOf } from "./when";

export interface Preview {
  /** `undefined` until it is known. */
  next: readonly { at: string; local?: string }[] | undefined;
  problems: readonly Problem[];
  warnings: readonly Problem[];
  /** Whose clock counts, when the form says nothing. */
  zone?: string;
  /** The daemon has not told: the page has reckoned by itself. */
  own: boolean;
  /** Why the daemon has not told. */
  error?: ApiError;
}

export const PREVIEWED = 5;
const TYPING_MS = 300;
/** An older daemon tells nothing of this; it is not asked again. */
let silent = false;

/** For as long as a form is shown. What was told last stays while the next is asked for. */
export function usePreview(draft: JobDraft, agent: string): ReadonlySignal<Preview> {
  const preview = useSignal<Preview>({ next: undefined, problems: [], warnings: [], own: false });
  const zone = localZone();
  const opened = useRef(false);
  const { kind, cron, at, tz, id, message, catchUp, overlap } = draft;
  useEffect(() => {
    let over = false;
    const look = async (): Promise<void> => {
      const answer = await judge(draft, agent, zone);
      if (!over) preview.value = answer;
    };
    const timer = setTimeout(() => void look(), opened.current ? TYPING_MS : 0);
    opened.current = true;
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [kind, cron, at, tz, id, message, catchUp, overlap, agent]);
  return preview;
}

async function judge(draft: JobDraft, agent: string, zone: string): Promise<Preview> {
  if (silent) return reckoned(draft, zone);
  try {
    const { next, problems, warnings, tz } = await jobsApi.validate(newJob(draft, agent, zone));
    return { next, problems, warnings, ...(tz ? { zone: tz } : {}), own: false };
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    if (isNoRoute(thrown)) silent = true;
    return silent ? reckoned(draft, zone) : { ...reckoned(draft, zone), error: thrown };
  }
}

/** What the page makes of it by itself. */
export function reckoned(draft: JobDraft, zone: string, now = Date.now()): Preview {
  const there = draft.tz.trim() || zone;
  const once = draft.kind === "at" ? momentOf(draft.at, there) : undefined;
  const moments = draft.kind === "cron" ? nextRuns(draft.cron, there, now, PREVIEWED) : once && Date.parse(once) > now ? [once] : [];
  return { next: moments.map((at) => ({ at })), problems: [], warnings: [], own: true };
}
