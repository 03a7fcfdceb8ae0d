/** Forms of jobs that were written and not saved yet. They outlive a reload, another room and a new sign-in. */
import type { JobDraft } from "./form";

export interface KeptForm {
  /** The agent that a new job is for. */
  agent: string;
  /** As the form was opened: only what differs from that is sent. */
  opened: JobDraft;
  draft: JobDraft;
}

const PREFIX = "reveille:job:";

/** `key` is the note of a job, or says where a new one is being written. */
export function keptForm(key: string): KeptForm | undefined {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PREFIX + key) ?? "null");
    return isForm(found) ? found : undefined;
  } catch {
    // Written by something else, or storage is forbidden: as if there were none.
    return undefined;
  }
}

export function keepForm(key: string, form: KeptForm): void {
  try {
    if (isSame(form.draft, form.opened)) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(form));
  } catch (error) {
    // Full or forbidden: the form is kept as long as it is open.
    console.warn("the form could not be stored", error);
  }
}

export function dropForm(key: string): void {
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // Then nothing was kept, either.
  }
}

function isSame(one: JobDraft, other: JobDraft): boolean {
  return (Object.keys(one) as (keyof JobDraft)[]).every((key) => one[key] === other[key]);
}

function isForm(value: unknown): value is KeptForm {
  const form = value as KeptForm | null;
  return typeof form === "object" && form !== null && typeof form.agent === "string" && isDraft(form.opened) && isDraft(form.draft);
}

function isDraft(value: unknown): value is JobDraft {
  const draft = value as JobDraft | null;
  return typeof draft === "object" && draft !== null && typeof draft.message === "string" && typeof draft.cron === "string" && typeof draft.id === "string";
}
