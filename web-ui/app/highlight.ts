/** Colours for code, loaded when there is code to colour. */
import type { LanguageFn } from "highlight.js";
import { safeSpans } from "./markdown";

/** By what people write behind the fence; all in one part of the bundle. */
const ALIASES: Readonly<Record<string, string>> = {
  sh: "bash", shell: "bash", zsh: "bash", console: "bash", js: "javascript", jsx: "javascript", mjs: "javascript", ts: "typescript",
  tsx: "typescript", py: "python", rs: "rust", golang: "go", "c++": "cpp", h: "cpp", c: "cpp", cc: "cpp", hpp: "cpp", html: "xml", svg: "xml",
  yml: "yaml", toml: "ini", md: "markdown", rb: "ruby", patch: "diff", docker: "dockerfile", jsonc: "json", json5: "json", kt: "kotlin",
};

/** Above this, colouring would stop the page for longer than it helps. */
const LONGEST = 50_000;

interface Highlighter {
  highlight(code: string, options: { language: string; ignoreIllegals: boolean }): { value: string };
  getLanguage(name: string): unknown;
  registerLanguage(name: string, language: LanguageFn): void;
}

let loading: Promise<Highlighter | undefined> | undefined;

/** A part that cannot be loaded (the daemon is away, or is another version now) leaves the code without colours, and is tried again. */
function load(): Promise<Highlighter | undefined> {
  loading ??= import("./highlight-languages")
    .then(({ highlighter }) => highlighter)
    .catch((error: unknown) => {
      console.warn("the highlighter did not load; code is shown without colours", error);
      loading = undefined;
      return undefined;
    });
  return loading;
}

/** Colours a `code` element by its `language-…` class, or by the name of a file. */
export async function colour(code: HTMLElement, language: string): Promise<void> {
  const text = code.textContent ?? "";
  if (text.length > LONGEST || language === "") return;
  const name = ALIASES[language] ?? language;
  const highlighter = await load();
  if (!highlighter?.getLanguage(name) || code.textContent !== text) return;
  code.innerHTML = safeSpans(highlighter.highlight(text, { language: name, ignoreIllegals: true }).value);
}

/** What a code element says of its language. */
export function languageOf(code: Element): string {
  return /language-([\w+#.-]+)/.exec(code.className)?.[1]?.toLowerCase() ?? "";
}
