import { describe, expect, it, vi } from "vitest";
import { toHtml } from "../app/markdown";

/** What a browser makes of the message. */
function render(markdown: string): HTMLElement {
  const box = document.createElement("div");
  box.innerHTML = toHtml(markdown);
  return box;
}

describe("toHtml", () => {
  it("does not let a message turn what stands behind it", () => {
    expect(render("\u202egnp.exe\u202c and \u2067\u05d0\u2069").textContent).toBe("gnp.exe\u202c and \u2067\u05d0\u2069\n");
  });

  it("formats", () => {
    const box = render("**bold** *it* `code`\nnext\n\n- [x] done\n- [ ] open\n\n7. seventh\n\n```js\nlet a = '**';\n```\n\n|a|b|\n|-|-:|\n|1|2|");
    expect(box.querySelector("strong")?.textContent).toBe("bold");
    expect(box.querySelector("em")?.textContent).toBe("it");
    expect(box.querySelector("p br")).not.toBeNull();
    expect(box.querySelector("ol")?.start).toBe(7);
    expect([...box.querySelectorAll("ul li")].map((li) => li.textContent?.trim())).toEqual(["☑ done", "☐ open"]);
    expect(box.querySelector("pre")?.textContent).toBe("let a = '**';\n");
    expect([...box.querySelectorAll("td")].map((td) => td.getAttribute("align"))).toEqual([null, "right"]);
  });

  it("opens web links in a new tab that knows nothing of this one", () => {
    const link = render("[x](https://example.org/a?b=1&c=2#d)").querySelector("a");
    expect([link?.href, link?.target, link?.rel]).toEqual(["https://example.org/a?b=1&c=2#d", "_blank", "noopener noreferrer nofollow"]);
    expect(render("see https://example.org.").querySelector("a")?.textContent).toBe("https://example.org");
  });

  it.each([
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/x)",
    "[x](/api/turns/1/stop)",
    "[x](#sign-in=stolen)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
  ])("leaves the link of %s dead", (markdown) => {
    expect([...render(markdown).querySelectorAll("a[href]")]).toEqual([]);
  });

  it.each([
    "<script>alert(1)</script>",
    "text <img src=x onerror=alert(1)> text",
    "<svg onload=alert(1)>",
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    '<p style="position:fixed">x</p>',
    '<a href="javascript:alert(1)">x</a>',
    "<form action=//evil.example><input name=x></form>",
    "<base href=//evil.example>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<div><svg><style><a title='</style><img src onerror=alert(1)>'></a></style></svg></div>",
  ])("shows %s as text", (html) => {
    const box = render(html);
    expect(box.querySelector("script, img, svg, iframe, style, form, input, base, math, [onerror], [onload], [style]")).toBeNull();
    expect(box.textContent).toContain(html.startsWith("text") ? "<img src=x onerror=alert(1)>" : html.slice(0, 5));
  });

  it("shows an image as a link, so that nothing is fetched", () => {
    const box = render("![a chart](https://example.org/c.png)");
    expect([box.querySelector("img"), box.querySelector("a")?.href, box.textContent?.trim()]).toEqual([null, "https://example.org/c.png", "a chart"]);
  });

  it("does not let attributes out of a language or a title", () => {
    const box = render('```"><img src=x onerror=alert(1)>\nx\n```\n\n[x](https://e.org "\\" onmouseover=\\"alert(1)")');
    expect(box.querySelector("img, [onmouseover], [class], [title]")).toBeNull();
  });

  it("stands text of any direction and odd bytes", () => {
    expect(render("שלום \u202Eevil\u202C \u0000 \uFFFE 🎺").textContent).toContain("שלום");
  });

  it.each(["[", "*a **b ", "`", "<!--", "![](", "- a\n  ", "a@", "|-", "http://", "\\"])("reads 20 000 characters of %j in time", (piece) => {
    // Of this process alone: a machine that is busy with others makes it no slower.
    const before = process.cpuUsage();
    toHtml(piece.repeat(20_000 / piece.length));
    // Generous: what is not in time takes hours.
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(30_000);
  });

  it("shows text that is nested too deeply to parse as it is", () => {
    const complaint = vi.spyOn(console, "warn").mockImplementation(() => {});
    const text = `${"> ".repeat(10_000)}<img src=x>`;
    expect(render(text).textContent).toBe(text);
    expect(complaint).toHaveBeenCalledOnce();
  });
});
