/** Turns, the line of an agent, and what the notes of its messages say: calls of the daemon. */
import { authorization } from "./access";
import { ApiError, type Message, type Part, request, segment, url } from "./api";
import type { components } from "./api/schema";
import type { StepDetail, TurnSteps } from "./conversation-api";

type Schemas = components["schemas"];
/** A turn as listings show it. */
export type TurnBrief = Part<
  Schemas["Turn"],
  "turn" | "channel" | "vault" | "message" | "text" | "sender" | "thread" | "state" | "held" | "chain" | "delegation_depth" | "accepted_at" | "claimed_at" | "settled_at" | "cost_usd"
>;
/** A turn with everything that is kept of it. */
export type TurnDetail = Schemas["TurnDetail"];
/** Those that run, then those that wait, in order. */
export type Line = Omit<Schemas["Queue"], "turns"> & { turns: readonly TurnBrief[] };
/** A file in a vault. */
export type StoredFile = Schemas["StoredFileBody"];
export type Place = "first" | "last" | { before: string };

const of = (turn: string, action = ""): string => `api/turns/${segment(turn)}${action}`;

export const turnsApi = {
  line: (channel: string) => request<Line>("GET", `api/channels/${segment(channel)}/queue`),
  recent: (channel: string, thread?: string) =>
    request<{ turns: TurnBrief[] }>("GET", `api/turns?channel=${segment(channel)}&limit=200${thread ? `&thread=${segment(thread)}` : ""}`),
  turn: (turn: string) => request<TurnDetail>("GET", of(turn)),
  hold: (turn: string) => request<TurnBrief>("POST", of(turn, "/hold")),
  release: (turn: string) => request<TurnBrief>("POST", of(turn, "/release")),
  move: (turn: string, to: Place) => request<TurnBrief>("POST", of(turn, "/move"), { to }),
  edit: (turn: string, text: string) => request<TurnBrief>("PATCH", of(turn), { text }),
  /** A new message that says the same, or `text`. */
  resend: (turn: string, text?: string) => request<{ id: string }>("POST", of(turn, "/resend"), text === undefined ? {} : { text }),
  messages: (channel: string, cursor?: string, thread?: string) =>
    request<{ messages: Message[]; next_cursor: string | null }>(
      "GET",
      `api/channels/${segment(channel)}/messages?limit=200${cursor ? `&cursor=${segment(cursor)}` : ""}${thread ? `&thread=${segment(thread)}` : ""}`,
    ),
  send: (channel: string, message: { text: string; subject?: string; attachments?: readonly string[] }, key: string) =>
    keyed<{ id: string; turn: string | null }>(`api/channels/${segment(channel)}/send`, message, key),
  /** All turns of a chain of hand-overs, whoever did them. */
  chain: (chain: string) => request<{ turns: TurnBrief[] }>("GET", `api/turns?chain=${segment(chain)}&limit=200`),
  /** What happened in a turn: all of it when it has ended, so far when it runs. */
  steps: (turn: string) => request<TurnSteps>("GET", of(turn, "/steps")),
  /** A tool call with all that went in and came out. */
  step: (turn: string, id: string) => request<StepDetail>("GET", of(turn, `/steps/${segment(id)}`)),
};

/** A POST that is done once, however often it is sent. */
async function keyed<T>(path: string, body: unknown, key: string): Promise<T> {
  return request<T>("POST", path, body, { "idempotency-key": key });
}

/** Where the bytes of a file are. */
export function fileUrl(vault: string, file: Pick<StoredFile, "path">): string {
  return url(`vault/${segment(vault)}/api/storage/${segment(file.path)}`);
}

/** Stores a file in a vault. `progress` hears of the part that is there, 0 to 1. */
export async function upload(vault: string, file: File, progress: (part: number) => void, cancel: AbortSignal): Promise<StoredFile> {
  const shown = await authorization();
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", url(`vault/${segment(vault)}/api/storage/upload`));
    for (const [name, value] of Object.entries(shown)) call.setRequestHeader(name, value);
    call.responseType = "json";
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    call.addEventListener("load", () => {
      const answer = call.response as (StoredFile & { message?: string; error?: string; next_step?: string }) | null;
      if (call.status === 201 && answer) resolve(answer);
      else reject(new ApiError(call.status, answer?.error ?? "unknown", answer?.message ?? `The file was refused with status ${call.status}.`, answer?.next_step));
    });
    call.addEventListener("error", () => reject(new ApiError(0, "unreachable", "The file did not arrive.", "Check that `reveille serve` runs, then add it again.")));
    call.addEventListener("abort", () => reject(new ApiError(0, "aborted", "The file was not sent.")));
    cancel.addEventListener("abort", () => call.abort());
    const form = new FormData();
    form.append("file", file, file.name || "pasted");
    call.send(form);
  });
}
