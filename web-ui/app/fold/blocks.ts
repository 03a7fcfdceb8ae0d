/**
 * Cuts Markdown into blocks that mean the same alone as together, so that a text that grows is read again only in its last
 * block. Pure.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
/** A line that belongs to what stands before it even after an empty line, or that may. */
const GOES_ON = /^(?:\s|>|[-+*]\s|\d+[.)]\s|\|)/;
/** A last line that may yet become one. */
const MAY_GO_ON = /^(?:\d{1,9}[.)]?|[-+*|]+)$/;
/** What is defined in one place and used in another binds the whole together. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

/** The blocks joined by an empty line are the text; a text that cannot be cut is one block. */
export function blocksOf(markdown: string): string[] {
  if (DEFINITION.test(markdown)) return [markdown];
  const blocks: string[] = [];
  let start = 0;
  let fence: string | undefined;
  let blank = false;
  for (let at = 0; at < markdown.length; ) {
    const found = markdown.indexOf("\n", at);
    const end = found < 0 ? markdown.length : found;
    const line = markdown.slice(at, end);
    if (fence === undefined && blank && line.trim() !== "" && !GOES_ON.test(line) && !(found < 0 && MAY_GO_ON.test(line))) {
      blocks.push(markdown.slice(start, at).trimEnd());
      start = at;
    }
    fence = fenceAfter(fence, line);
    blank = line.trim() === "";
    at = end + 1;
  }
  blocks.push(markdown.slice(start));
  return blocks.filter((block, index) => block !== "" || index === 0);
}

/** The fence that is open behind the line. */
function fenceAfter(fence: string | undefined, line: string): string | undefined {
  const [, marks = "", info = ""] = FENCE.exec(line) ?? [];
  if (!marks) return fence;
  if (fence === undefined) return marks.startsWith("`") && info.includes("`") ? undefined : marks;
  const closes = marks[0] === fence[0] && marks.length >= fence.length && info.trim() === "";
  return closes ? undefined : fence;
}

/** A block that grows, with what is bold or code in it closed for now: the marks are not seen first and taken back later. */
export function closedForNow(block: string): string {
  if (/^ {0,3}(?:`{3}|~{3})/m.test(block)) return block;
  const ticks = block.split("`");
  if (ticks.length % 2 === 0) return ticks.at(-1)?.trim() ? `${block}\`` : block.replace(/`$/, "");
  const words = ticks.filter((_, index) => index % 2 === 0).join("");
  if (words.split("**").length % 2 === 1) return block;
  return /\*\*\s*$/.test(block) ? block.replace(/\*\*\s*$/, "") : `${block.trimEnd()}**`;
}
