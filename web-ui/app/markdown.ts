/** Markdown of messages to HTML that is safe to insert, whatever the message holds. */
import DOMPurify, { type Config } from "dompurify";
import { Marked, type Tokens } from "marked";
import { unturned } from "./format";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text: string): string => text.replace(/[&<>"']/g, (char) => escapes[char] ?? char);

const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    // HTML in a message is text, not markup.
    html({ text }: Tokens.HTML | Tokens.Tag) {
      return escape(text);
    },
    // A remote image would tell its server who reads when; a link leaves that to the reader.
    image({ href, text }: Tokens.Image) {
      return `<a href="${escape(href)}">${escape(text || href)}</a>`;
    },
    checkbox({ checked }: Tokens.Checkbox) {
      return checked ? "☑ " : "☐ ";
    },
  },
});

/** The second wall: even if the renderer let markup through, only these tags and attributes pass. */
const SAFE: Config = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i li ol p pre strong".split(" "),
    ..."table tbody td th thead tr ul".split(" "),
  ],
  ALLOWED_ATTR: ["href", "align", "start", "class"],
  // These hold no URL, so the pattern for URLs does not judge them.
  ADD_URI_SAFE_ATTR: ["align", "start", "class"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_TRUSTED_TYPE: true,
};

/** The only classes are what a code block says of its language, and what the highlighter says of its words. */
const CLASSES = /^(?:language-[\w+#.-]{1,40}|hljs-[\w-]+(?: (?:function_|class_|inherited__|language_|constant_|escape_|invoke__))*)$/;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  const named = node.getAttribute("class");
  if (named !== null && !(["CODE", "SPAN"].includes(node.nodeName) && CLASSES.test(named))) node.removeAttribute("class");
  if (!node.hasAttribute("href")) return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});

/** HTML for `innerHTML`: a TrustedHTML object where the browser knows it, else a string. */
export function toHtml(markdown: string): string {
  return DOMPurify.sanitize(parse(unturned(markdown)), SAFE) as unknown as string;
}

const KEPT = 600;
const LONGEST_KEPT = 10_000;
const kept = new Map<string, string>();

/** The same of a text that does not change any more: what is scrolled out of view and back is not read again. */
export function toHtmlKept(markdown: string): string {
  const known = kept.get(markdown);
  if (known !== undefined) return known;
  const html = toHtml(markdown);
  if (markdown.length > LONGEST_KEPT) return html;
  const oldest = kept.size >= KEPT ? kept.keys().next().value : undefined;
  if (oldest !== undefined) kept.delete(oldest);
  kept.set(markdown, html);
  return html;
}

/** The highlighter's markup for `innerHTML`, which holds nothing but words in spans. */
export function safeSpans(html: string): string {
  return DOMPurify.sanitize(html, { ...SAFE, ALLOWED_TAGS: ["span"] }) as unknown as string;
}

/** The parser recurses into nested quotes and lists; text made to exhaust the stack is shown as it is. */
function parse(markdown: string): string {
  try {
    return marked.parse(markdown) as string;
  } catch (error) {
    console.warn("a message could not be read as Markdown and is shown as plain text", error);
    return `<p>${escape(markdown).replace(/\n/g, "<br>")}</p>`;
  }
}
