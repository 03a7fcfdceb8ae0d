/** Sending: the draft with its files, and messages that are sent once more. */
import { signal } from "@preact/signals";
import { ApiError } from "./api";
import { loadMessages } from "./conversation";
import { changeDraft, clearDraft, draftKey, draftOf } from "./drafts";
import { bytes } from "./format";
import { failure, refreshAgents, selected, sessionInfo } from "./store";
import { turnsApi, upload } from "./turns";

export const sending = signal<string | undefined>(undefined);
export const sendError = signal<ApiError | undefined>(undefined);

/** A file on its way to the vault. */
export interface Uploading {
  id: number;
  agent: string;
  name: string;
  /** 0 to 1. */
  part: number;
  error?: ApiError;
  cancel(): void;
}

export const uploads = signal<readonly Uploading[]>([]);
let uploadCount = 0;

/** Puts files into the vault of an agent, and into its draft when they are there. */
export async function addFiles(agent: string, vault: string, files: readonly File[]): Promise<void> {
  await Promise.all(files.map((file) => addFile(agent, vault, file)));
}

async function addFile(agent: string, vault: string, file: File): Promise<void> {
  const stop = new AbortController();
  const id = ++uploadCount;
  const change = (more: Partial<Uploading>): void => {
    uploads.value = uploads.value.map((one) => (one.id === id ? { ...one, ...more } : one));
  };
  const forget = (): void => {
    uploads.value = uploads.value.filter((one) => one.id !== id);
  };
  const cancel = (): void => {
    stop.abort();
    forget();
  };
  const name = file.name || "pasted";
  const most = sessionInfo.peek()?.limits?.upload_bytes;
  if (most !== undefined && file.size > most) {
    const error = new ApiError(413, "too_large", `It has ${bytes(file.size)}, and this daemon takes files of up to ${bytes(most)}.`, "Nothing was sent. Make it smaller, or put it where the agent can read it and write where that is.");
    uploads.value = [...uploads.value, { id, agent, name, part: 0, error, cancel }];
    return;
  }
  uploads.value = [...uploads.value, { id, agent, name, part: 0, cancel }];
  try {
    const stored = await upload(vault, file, (part) => change({ part }), stop.signal);
    forget();
    changeDraft(agent, { files: [...draftOf(agent).files, stored] });
  } catch (error) {
    // One that was taken away is not in the list any more.
    change({ error: failure(error) });
  }
}

/** Why a text cannot be sent as it is, if it cannot. */
export function tooLong(text: string): string | undefined {
  const most = sessionInfo.value?.limits?.message_bytes;
  // A character has at most three bytes for each of its units.
  if (most === undefined || text.length * 3 <= most) return undefined;
  const size = new TextEncoder().encode(text).length;
  return size > most ? `This message has ${bytes(size)}; at most ${bytes(most)} can be sent. Shorten it, or attach the rest as a file.` : undefined;
}

/** Sends the draft that is kept in `slot`; it is cleared only when the daemon has taken it. */
export async function sendDraft(name: string, slot = name, subject?: string): Promise<void> {
  if (sending.value !== undefined || uploads.value.some((one) => one.agent === slot && !one.error)) return;
  const before = draftOf(slot);
  if (before.text.trim() === "" && before.files.length === 0) return;
  if (tooLong(before.text)) return;
  const key = draftKey(slot);
  const attachments = before.files.map((file) => file.path);
  // A message says something: files alone are named.
  const text = before.text.trim() === "" ? before.files.map((file) => file.filename).join("\n") : before.text;
  const taken = await act(name, () => turnsApi.send(name, { text, ...(subject === undefined ? {} : { subject }), ...(attachments.length > 0 ? { attachments } : {}) }, key));
  if (taken) clearDraft(slot, before);
}

/** Sends the message of a turn that has ended once more, or what should have been said; answers whether the daemon took it. */
export function resend(name: string, turn: string, text?: string): Promise<boolean> {
  return act(name, () => turnsApi.resend(turn, text));
}

async function act(name: string, work: () => Promise<unknown>): Promise<boolean> {
  if (sending.value !== undefined) return false;
  sending.value = name;
  sendError.value = undefined;
  try {
    await work();
    await Promise.all([loadMessages(name), refreshAgents()]);
    return true;
  } catch (error) {
    const problem = failure(error);
    if (selected.peek() === name) sendError.value = problem;
    return false;
  } finally {
    sending.value = undefined;
  }
}
