//! Links in the body of a note, as Obsidian writes them: `[[Target]]`, `[[Target|shown text]]`, `[[Target#heading]]`, and
//! `![[Target]]`. What stands in code is no link. Pure: what a target means is for the vault to say.

use std::collections::HashMap;
use std::ops::Range;

use crate::note::normalise_path;

/// The relationship of the links that come of the body.
pub const RELATIONSHIP: &str = "wikilink";

/// Longest target, in bytes: no path is longer.
const TARGET_BYTES: usize = 1024;

/// A link where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wikilink {
    /// What it names, normalised like a path.
    pub target: String,
    /// The whole link in the text, from `[[` to `]]`.
    pub whole: Range<usize>,
    /// The target in the text, as its writer spelled it.
    pub name: Range<usize>,
}

/// All links of a text, in order.
#[must_use]
pub fn find(text: &str) -> Vec<Wikilink> {
    let mut found = Vec::new();
    if text.contains("[[") {
        lines_of_text(text, |line, start| find_in_line(line, start, &mut found));
    }
    found
}

/// Gives each line that is in no block of code, and where it begins.
pub(crate) fn lines_of_text(text: &str, mut each: impl FnMut(&str, usize)) {
    let mut fence: Option<Fence> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        match fence {
            Some(open) => fence = (!open.ends_at(line)).then_some(open),
            None => {
                fence = Fence::begun_by(line);
                if fence.is_none() {
                    each(line, start);
                }
            }
        }
        start += line.len();
    }
}

/// The text with other targets where `new_target` names one; `None` when it names none. Headings and shown texts stay.
pub(crate) fn retarget(text: &str, new_target: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut changed = String::new();
    let mut copied = 0;
    for link in find(text) {
        let Some(target) = new_target(&link.target) else {
            continue;
        };
        changed.push_str(&text[copied..link.name.start]);
        changed.push_str(&target);
        copied = link.name.end;
    }
    if copied == 0 {
        return None;
    }
    changed.push_str(&text[copied..]);
    Some(changed)
}

/// Whether a link can name this path at all: one with `]]` or `#` in it cannot be written so that it is read back.
pub(crate) fn can_name(path: &str) -> bool {
    matches!(find(&format!("[[{path}]]")).as_slice(), [link] if link.target == path)
}

/// The last segment of a path: what links name for short.
pub(crate) fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The beginning of a block of code.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn begun_by(line: &str) -> Option<Self> {
        let line = line.trim();
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let length = line.chars().take_while(|c| *c == mark).count();
        let rest = &line[length..];
        (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some(Self { mark, length })
    }

    fn ends_at(self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

/// `start`: where the line begins in the text.
fn find_in_line(line: &str, start: usize, found: &mut Vec<Wikilink>) {
    let bytes = line.as_bytes();
    let mut last = None;
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b'`' => code_length(line, at, last.get_or_insert_with(|| last_runs(line))),
            b'[' => match link_at(&line[at..], start + at) {
                Some(link) => {
                    let length = link.whole.len();
                    found.push(link);
                    length
                }
                None => 1,
            },
            _ => 1,
        };
    }
}

/// How many backticks a text begins with.
fn ticks(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// Where in a line the last run of so many backticks is.
pub(crate) fn last_runs(line: &str) -> HashMap<usize, usize> {
    let mut last = HashMap::new();
    let mut at = 0;
    while let Some(next) = line[at..].find('`') {
        at += next;
        let run = ticks(&line[at..]);
        last.insert(run, at);
        at += run;
    }
    last
}

/// Length of the code that begins with the backticks at `start`; of the backticks only when nothing closes them. Runs that
/// nothing closes are many in a hostile line: none of them is looked for in the rest of it.
pub(crate) fn code_length(line: &str, start: usize, last: &HashMap<usize, usize>) -> usize {
    let text = &line[start..];
    let length = ticks(text);
    if last.get(&length).is_none_or(|at| *at <= start) {
        return length;
    }
    let mut at = length;
    while let Some(next) = text[at..].find('`') {
        at += next;
        let run = ticks(&text[at..]);
        at += run;
        if run == length {
            return at;
        }
    }
    length
}

/// The link that `text` begins with. `start`: where that is in the whole text.
pub(crate) fn link_at(text: &str, start: usize) -> Option<Wikilink> {
    let inner = text.strip_prefix("[[")?;
    // Not looked for behind the next bracket: a line of nothing but brackets would be read once for each of them.
    let inner = &inner[..inner.find(['[', ']'])?];
    if !text[2 + inner.len()..].starts_with("]]") {
        return None;
    }
    let shown = inner.find('|');
    let mut name = &inner[..inner.find(['|', '#']).unwrap_or(inner.len())];
    // In a table the bar is written `\|`.
    if shown == Some(name.len()) {
        name = name.strip_suffix('\\').unwrap_or(name);
    }
    let begin = start + 2 + (name.len() - name.trim_start().len());
    let name = name.trim();
    // Code binds tighter; and another name in its place would make code of what is none, or the reverse.
    if name.contains('`') {
        return None;
    }
    let target = normalise_path(name).filter(|target| target.len() <= TARGET_BYTES)?;
    if target.chars().any(char::is_control) {
        return None;
    }
    Some(Wikilink {
        target,
        whole: start..start + inner.len() + 4,
        name: begin..begin + name.len(),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn targets(text: &str) -> Vec<String> {
        let links = find(text);
        for link in &links {
            assert!(text[link.whole.clone()].starts_with("[[") && text[link.whole.clone()].ends_with("]]"));
            assert_eq!(normalise_path(&text[link.name.clone()]).as_ref(), Some(&link.target));
        }
        links.into_iter().map(|link| link.target).collect()
    }

    #[test]
    fn links_are_found_with_their_targets() {
        for (text, expected) in [
            ("[[A]] and [[dir/B|shown]]", &["A", "dir/B"][..]),
            ("![[A#heading]] [[B#^block|x]]", &["A", "B"]),
            ("[[ A.md ]] [[/dir\\B/]]", &["A", "dir/B"]),
            ("| [[A\\|x]] |", &["A"]),
            ("[[[A]]] [[A]]]", &["A", "A"]),
            ("[[ü|é]] ä[[b]]", &["ü", "b"]),
            ("[[]] [[ ]] [[|x]] [[#heading]] [[/]]", &[]),
            ("[[A\nB]] [A] [[A] ]", &[]),
            ("[[a [b] c]]", &[]),
            ("", &[]),
        ] {
            assert_eq!(targets(text), expected, "{text:?}");
        }
        assert_eq!(targets(&format!("[[{}]]", "x".repeat(1025))), Vec::<&str>::new());
    }

    #[test]
    fn what_stands_in_code_is_no_link() {
        for (text, expected) in [
            ("`[[A]]` [[B]]", &["B"][..]),
            ("``a ` [[A]]`` [[B]]", &["B"]),
            ("it`s [[A]]", &["A"]),
            ("```sh\nif [[ -f x ]]; then\n```\n[[B]]", &["B"]),
            ("~~~\n[[A]]\n```\n[[A]]\n~~~~\n[[B]]", &["B"]),
            ("  ````\n```\n[[A]]\n````\n[[B]]", &["B"]),
            ("```\n[[A]] never closed", &[]),
            ("``` `not a fence`\n[[B]]", &["B"]),
            ("[[A`]] `[[B]]", &["B"]),
            ("[[A|`x`]] [[b``a  `]]", &["A"]),
        ] {
            assert_eq!(targets(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_of_brackets_or_backticks_is_read_once() {
        // Read once for each of them, it would take hours.
        let size = 2_000_000;
        assert_eq!(targets(&format!("{}A]]", "[".repeat(size))), ["A"]);
        assert_eq!(targets(&"[[A] ".repeat(size / 5)), Vec::<&str>::new());
        let runs: String = (1..2_000).map(|length| "`".repeat(length) + " ").collect();
        assert_eq!(targets(&format!("{runs}[[A]]")), ["A"]);
    }

    #[test]
    fn targets_are_changed_and_the_rest_stays() {
        let text = "é [[Old]] `[[Old]]` ![[ Old.md #h|x]] [[Other]]\n[[Old|y]]";
        let changed = retarget(text, |target| (target == "Old").then(|| "dir/New".into()));
        let expected = "é [[dir/New]] `[[Old]]` ![[ dir/New #h|x]] [[Other]]\n[[dir/New|y]]";
        assert_eq!(changed.as_deref(), Some(expected));
        assert_eq!(retarget(text, |_| None), None);
    }

    #[test]
    fn a_change_of_targets_makes_no_code() {
        let text = "```shE]][[b``a  `]] [[c]]";
        assert_eq!(targets(text), ["c"]);
        let changed = retarget(text, |_| Some("new".into())).unwrap();
        assert_eq!(targets(&changed), ["new"], "{changed:?}");
    }

    #[test]
    fn a_path_that_no_link_can_name_is_known() {
        assert!(can_name("dir/Some note, 2026 (ü)"));
        for path in ["a]]b", "a#b", "a|b", "a[b", "a.md", "a\\", " a", "a`b"] {
            assert!(!can_name(path), "{path:?}");
        }
    }
}
