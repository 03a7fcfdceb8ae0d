/** The files of messages: where their bytes are, also for a tab that shows a token, which no `<img>` and no link does. */
import { way } from "./access";
import { ApiError, authorized, url } from "./api";
import type { Attached } from "./conversation-api";
import { unturned } from "./format";

/** What a browser shows as a picture and cannot run as a program. */
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];
const TEXTS = /^(text\/|application\/(json|xml|toml|yaml|x-yaml|x-ndjson|javascript|sql)\b)/;
/** More of a text is not shown, but can be saved. */
export const TEXT_SHOWN = 200_000;

export function shownAs(file: Attached): "picture" | "text" | undefined {
  const mime = file.mime.split(";")[0]?.trim().toLowerCase() ?? "";
  if (PICTURES.includes(mime)) return "picture";
  // A text of another program's making, such as HTML, is shown as it is written.
  return TEXTS.test(mime) ? "text" : undefined;
}

/** The daemon says where a file is, below itself and not below its host: a mount comes before. */
export function fileUrl(file: Attached): string {
  return url(file.url.replace(/^\/+/, ""));
}

async function read(file: Attached): Promise<Response> {
  const response = await authorized(file.url.replace(/^\/+/, ""), {});
  if (response.ok) return response;
  const gone = response.status === 404;
  throw new ApiError(response.status, "no_file", gone ? "This file is not there any more." : `The file was refused with status ${response.status}.`, gone ? "It was taken out of its vault." : "Try again.");
}

/** An address that a picture or a link can have, and how to be done with it. */
export async function openFile(file: Attached): Promise<{ href: string; done: () => void }> {
  if (way.peek().kind === "cookie") return { href: fileUrl(file), done: () => {} };
  const href = URL.createObjectURL(await (await read(file)).blob());
  return { href, done: () => URL.revokeObjectURL(href) };
}

/** The beginning of a text, and whether there is more. */
export async function readText(file: Attached): Promise<{ text: string; more: boolean }> {
  const text = await (await read(file)).text();
  return { text: text.slice(0, TEXT_SHOWN), more: text.length > TEXT_SHOWN };
}

/** Saves a file where the browser puts such. */
export async function saveFile(file: Attached): Promise<void> {
  const { href, done } = await openFile(file);
  const link = document.createElement("a");
  link.href = href;
  link.download = unturned(file.name);
  document.body.append(link);
  link.click();
  link.remove();
  // Not before the browser has begun.
  setTimeout(done, 60_000);
}
