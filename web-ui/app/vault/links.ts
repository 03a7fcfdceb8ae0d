/** Links between notes, as they are written in them: `[[Target]]`, `[[Target|shown]]`, `[[Target#heading]]`. Pure. */
import type { NoteLink } from "./api";

export type Piece = { text: string } | { target: string; shown: string };

/** A text, with its links apart. */
export function pieces(text: string): Piece[] {
  const all: Piece[] = [];
  let at = 0;
  for (const link of text.matchAll(/!?\[\[([^[\]\n|#]*)(#[^[\]\n|]*)?(?:\|([^[\]\n]*))?\]\]/g)) {
    const target = link[1]?.trim() ?? "";
    if (!target) continue;
    if (link.index > at) all.push({ text: text.slice(at, link.index) });
    all.push({ target, shown: link[3]?.trim() || `${target}${link[2] ?? ""}` });
    at = link.index + link[0].length;
  }
  if (at < text.length) all.push({ text: text.slice(at) });
  return all;
}

/** Of the links of a note, the note that a text in it names: by its path, or by the end of that. Without one, the text is a path. */
export function noteOf(target: string, links: readonly NoteLink[], own: string): string {
  const name = plain(target);
  const out = links.filter(({ sourceId }) => sourceId === own);
  const whole = out.find(({ targetPath }) => targetPath != null && plain(targetPath) === name);
  const end = out.find(({ targetPath }) => targetPath != null && plain(targetPath).endsWith(`/${name}`));
  return (whole ?? end)?.targetId ?? target.replace(/\.md$/i, "");
}

const plain = (path: string): string => path.trim().replace(/\.md$/i, "").replace(/^\/|\/$/g, "").toLowerCase();

/** Notes that link here, each once. */
export function backlinks(links: readonly NoteLink[], own: string): { id: string; path?: string }[] {
  return other(links.filter(({ targetId, sourceId }) => targetId === own && sourceId !== own).map((link) => [link.sourceId, link.sourcePath] as const));
}

/** Notes that this one links to, each once. */
export function linked(links: readonly NoteLink[], own: string): { id: string; path?: string }[] {
  return other(links.filter(({ targetId, sourceId }) => sourceId === own && targetId !== own).map((link) => [link.targetId, link.targetPath] as const));
}

function other(pairs: readonly (readonly [id: string, path: string | null | undefined])[]): { id: string; path?: string }[] {
  return [...new Map(pairs)].map(([id, path]) => (path ? { id, path } : { id }));
}
