//! Files that a text shows: `![[name]]`, as Obsidian writes it, and `![words](name)`, as Markdown does. What stands in code
//! shows nothing. Pure: whether there is such a file is for others to find out.

use crate::wikilink::{code_length, last_runs, lines_of_text, link_at};

/// Longest name, in bytes.
const NAME_BYTES: usize = 1024;
/// So far its end is looked for: a text of nothing but beginnings would be read once for each of them.
const LOOKED_AT: usize = 2048;

/// What is shown, as its writer spelled it, each once and in order. Addresses are no files.
#[must_use]
pub fn find(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if !text.contains("![") {
        return found;
    }
    lines_of_text(text, |line, start| {
        let (bytes, mut last, mut at) = (line.as_bytes(), None, 0);
        while at < bytes.len() {
            let rest = &line[at..];
            at += match bytes[at] {
                b'`' => code_length(line, at, last.get_or_insert_with(|| last_runs(line))),
                b'!' if rest.starts_with("![") => {
                    let (name, length) = match link_at(&rest[1..], start + at + 1) {
                        Some(link) => {
                            let begin = start + at;
                            let name = &rest[link.name.start - begin..link.name.end - begin];
                            (Some(name.to_owned()), 1 + link.whole.len())
                        }
                        None => image(rest).unwrap_or((None, 1)),
                    };
                    if let Some(name) = name.filter(|name| is_file(name) && !found.contains(name)) {
                        found.push(name);
                    }
                    length
                }
                // A character that is written as it is.
                b'\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
                _ => 1,
            };
            while !line.is_char_boundary(at) {
                at += 1;
            }
        }
    });
    found
}

/// `![words](name "title")` at the beginning of a text, and its length.
fn image(text: &str) -> Option<(Option<String>, usize)> {
    let most = (0..=LOOKED_AT.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))?;
    let text = &text[..most];
    let words = text[2..].find([']', '['])? + 2;
    let inside = text[words..].strip_prefix("](")?;
    let begin = words + 2;
    if let Some(inside) = inside.strip_prefix('<') {
        let end = inside.find(['<', '>'])?;
        let after = inside[end..].strip_prefix('>')?;
        let close = after.find(')')?;
        return Some((Some(inside[..end].to_owned()), begin + 1 + end + 1 + close + 1));
    }
    // Brackets in a name come in pairs.
    let mut depth = 0_u32;
    let end = inside.char_indices().find_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
        None
    })?;
    let name = inside[..end].trim();
    let name = name.split_once([' ', '\t']).map_or(name, |(name, _title)| name);
    Some((Some(name.to_owned()), begin + end + 1))
}

fn is_file(name: &str) -> bool {
    let scheme = name.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+.-".contains(&c))
    });
    let sized = (1..=NAME_BYTES).contains(&name.len());
    sized && !scheme && !name.starts_with("//") && !name.starts_with('#') && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_shown_is_found_once_and_in_order() {
        for (text, expected) in [
            ("no picture", &[][..]),
            ("![[report.pdf]]", &["report.pdf"]),
            (
                "See ![[out/a b.png|the picture]] and ![x](b.png).",
                &["out/a b.png", "b.png"],
            ),
            ("![x](b.png) ![y](b.png)\n![[b.png]]", &["b.png"]),
            ("![x](b.png \"A title\") ![](<c d.png>)", &["b.png", "c d.png"]),
            (
                "![x](a(1).png) ![ü](ä.png)é![z](z.png)",
                &["a(1).png", "ä.png", "z.png"],
            ),
            ("![[../up]] ![x](/etc/passwd)", &["../up", "/etc/passwd"]),
            // A link shows nothing, nor does what stands in code or is written with a backslash.
            ("[x](a.png) [[a.png]] `![[a.png]]` \\![x](a.png)", &[]),
            ("```\n![[a.png]]\n![x](b.png)\n```\n![[c.png]]", &["c.png"]),
            ("~~~md\n![[a.png]]", &[]),
            ("``a ` ![x](a.png)`` ![x](b.png)", &["b.png"]),
            // Addresses.
            (
                "![x](https://a.b/c.png) ![x](data:image/png;base64,AA) ![x](//a.b/c) ![x](#a)",
                &[],
            ),
            // What is not finished, and nothing.
            ("![", &[]),
            ("![x", &[]),
            ("![x](", &[]),
            ("![x](a", &[]),
            ("![](<a.png", &[]),
            ("![[a.png]", &[]),
            ("![]() ![[]] ![ ]( )", &[]),
            ("![a](C:\\a.png)", &["C:\\a.png"]),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hostile_text_is_read_quickly() {
        for part in ["![", "![[", "![x](", "`![", "![](<", "![x](("] {
            assert_eq!(find(&part.repeat(20_000)), Vec::<String>::new());
        }
    }
}
