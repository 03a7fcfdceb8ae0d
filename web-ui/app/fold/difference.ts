/** The lines of two texts side by side: what came, what went, and a little of what stayed. */

export type DiffLine = { kind: "added" | "removed" | "same"; text: string } | { kind: "gap"; count: number };

/** Lines that stayed, shown around a change. */
const CONTEXT = 3;
/** Longer runs of changes are not worth the time: the whole text then goes, and the other comes. */
const EFFORT = 5_000;

export async function diffLines(before: string, after: string): Promise<DiffLine[]> {
  const { diffArrays } = await import("diff");
  const parts = diffArrays(linesOf(before), linesOf(after), { maxEditLength: EFFORT }) ?? [
    { removed: true, added: false, value: linesOf(before) },
    { removed: false, added: true, value: linesOf(after) },
  ];
  return parts.flatMap((part, index): DiffLine[] => {
    if (part.added || part.removed) return part.value.map((text) => ({ kind: part.added ? "added" : "removed", text }));
    return context(part.value, index > 0, index < parts.length - 1);
  });
}

function linesOf(text: string): string[] {
  if (text === "") return [];
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

/** Of lines that stayed, those next to a change. */
function context(lines: readonly string[], after: boolean, before: boolean): DiffLine[] {
  const head = after ? CONTEXT : 0;
  const tail = before ? CONTEXT : 0;
  const same = (text: string): DiffLine => ({ kind: "same", text });
  if (lines.length <= head + tail + 1) return lines.map(same);
  const gap: DiffLine = { kind: "gap", count: lines.length - head - tail };
  return [...lines.slice(0, head).map(same), gap, ...(tail > 0 ? lines.slice(-tail).map(same) : [])];
}

export function lineCounts(lines: readonly DiffLine[]): { added: number; removed: number } {
  const count = (kind: DiffLine["kind"]): number => lines.filter((line) => line.kind === kind).length;
  return { added: count("added"), removed: count("removed") };
}
