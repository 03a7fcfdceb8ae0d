//! Long texts in pieces that Telegram takes.

/// The most that one message of Telegram holds, in UTF-16 units (Bot API, `sendMessage`).
pub(super) const MAX: usize = 4096;

/// Below this a piece has no room for closing and opening a fence, so none is looked for.
const ROOM_FOR_FENCES: usize = 128;

/// Longest line that opens a fence and is repeated in the next piece; of a longer one only the fence is.
const LONGEST_OPENING: usize = 40;

/// Splits `text` into pieces of at most `max` UTF-16 units (at least 2, so that every character fits).
///
/// It cuts at the last line break if that lies in the back half of a piece, else where the piece is full, but never
/// inside a character; the line break at a cut is left out. A fenced block that a cut goes through is closed at the end of the
/// piece and opened again in the next one.
#[must_use]
pub(super) fn split(text: &str, max: usize) -> Vec<String> {
    let max = max.max(2);
    let mut pieces = Vec::new();
    let mut rest = text.to_owned();
    while units(&rest) > max {
        let Cut { at, fence } = cut(&rest, max);
        let (head, tail) = rest.split_at(at);
        let mut piece = head.to_owned();
        let mut tail = tail.strip_prefix('\n').unwrap_or(tail);
        let mut next = String::new();
        if let Some(fence) = fence {
            piece.push('\n');
            piece.push_str(&fence.marker());
            let (line, after) = tail.split_once('\n').unwrap_or((tail, ""));
            if fence.is_closed_by(line) {
                // The piece has closed it already.
                tail = after;
            } else {
                next.push_str(&fence.opening);
                next.push('\n');
            }
        }
        next.push_str(tail);
        pieces.push(piece);
        rest = next;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// As much of the beginning of `text` as fits into `max` UTF-16 units, with an ellipsis if that is not all.
#[must_use]
pub(super) fn shorten(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    let mut short = text[..within(text, max.saturating_sub(1))].to_owned();
    short.push('…');
    short
}

/// The length that Telegram counts.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

struct Cut {
    /// Where, in bytes.
    at: usize,
    /// The fenced block that it goes through.
    fence: Option<Fence>,
}

fn cut(text: &str, max: usize) -> Cut {
    let at = place(text, max);
    if max < ROOM_FOR_FENCES {
        return Cut { at, fence: None };
    }
    let Some(fence) = open_fence(&text[..at]) else {
        return Cut { at, fence: None };
    };
    // Room for the line that closes it.
    let at = place(text, max - 1 - fence.len);
    // An earlier cut may lie before the fence, or in another one that needs as much room or less: it is closed by then.
    match open_fence(&text[..at]) {
        Some(open) if open.len <= fence.len => Cut { at, fence: Some(open) },
        _ => Cut { at, fence: None },
    }
}

/// The last line break at or before `max` units if it is in the back half, else the last boundary of a character there.
fn place(text: &str, max: usize) -> usize {
    let full = within(text, max);
    // The line break itself goes into neither piece, so it may be one further.
    let reach = text[full..].chars().next().map_or(full, |next| full + next.len_utf8());
    let line = text[..reach].rfind('\n').filter(|&at| at <= full);
    match line {
        Some(at) if units(&text[..at]) > max / 2 => at,
        _ => full,
    }
}

/// The longest beginning of at most `max` units, in bytes; at least one character.
fn within(text: &str, max: usize) -> usize {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.len_utf16();
        if used > max {
            return at;
        }
    }
    text.len()
}

/// A fenced block of Markdown that is open.
struct Fence {
    sign: char,
    len: usize,
    /// The line that opens it again.
    opening: String,
}

impl Fence {
    /// The fence that a line opens.
    fn opened_by(line: &str) -> Option<Self> {
        let inner = line.trim_start_matches(' ');
        let sign = inner.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
        let len = inner.chars().take_while(|&other| other == sign).count();
        let info = &inner[len..];
        // Three backticks and more text with backticks is code inside a line.
        if !(3..=LONGEST_OPENING).contains(&len) || line.len() - inner.len() > 3 || (sign == '`' && info.contains('`'))
        {
            return None;
        }
        let opening = if units(line) <= LONGEST_OPENING {
            line.trim_end().to_owned()
        } else {
            sign.to_string().repeat(len)
        };
        Some(Self { sign, len, opening })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.len && line.chars().all(|other| other == self.sign)
    }

    fn marker(&self) -> String {
        self.sign.to_string().repeat(self.len)
    }
}

/// The fence that is open at the end of `text`.
fn open_fence(text: &str) -> Option<Fence> {
    let mut open: Option<Fence> = None;
    for line in text.split('\n') {
        open = match open {
            Some(fence) if fence.is_closed_by(line) => None,
            Some(fence) => Some(fence),
            None => Fence::opened_by(line),
        };
    }
    open
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_one_piece() {
        assert_eq!(split("hello", MAX), ["hello"]);
        assert_eq!(split("", MAX), [""]);
        assert_eq!(split(&"a".repeat(MAX), MAX).len(), 1);
    }

    #[test]
    fn a_long_line_is_cut_where_a_piece_is_full() {
        let text = "a".repeat(10_000);
        let pieces = split(&text, MAX);
        assert_eq!(pieces.iter().map(String::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn a_line_break_in_the_back_half_is_where_it_is_cut() {
        let (xs, ys) = ("x".repeat(3000), "y".repeat(3000));
        assert_eq!(split(&format!("{xs}\n{ys}"), MAX), [xs.clone(), ys.clone()]);
        // Only one of two line breaks is left out.
        assert_eq!(split(&format!("{xs}\n\n{ys}"), MAX), [format!("{xs}\n"), ys.clone()]);
        // In the front half it is no reason.
        let front = format!("x\n{}", "y".repeat(5000));
        assert_eq!(split(&front, MAX).concat(), front);
        // Right behind a full piece.
        let full = "x".repeat(MAX);
        assert_eq!(split(&format!("{full}\n{ys}"), MAX), [full, ys]);
    }

    #[test]
    fn characters_of_two_units_stay_whole() {
        let text = format!("a{}", "😀".repeat(3000));
        let pieces = split(&text, MAX);
        assert_eq!(
            pieces.iter().map(|piece| units(piece)).collect::<Vec<_>>(),
            [4095, 1906]
        );
        assert_eq!(pieces.concat(), text);
        assert_eq!(split("😀😀", 1), ["😀", "😀"]);
    }

    #[test]
    fn a_fence_is_closed_and_opened_again() {
        let code = "let a = 1;\n".repeat(30);
        let text = format!("Look:\n```rust\n{code}```\nThat was it.");
        let pieces = split(&text, 200);
        assert_eq!(pieces.len(), 2, "{pieces:#?}");
        assert!(pieces[0].starts_with("Look:\n```rust\nlet a") && pieces[0].ends_with("\n```"));
        assert!(pieces[1].starts_with("```rust\nlet a") && pieces[1].ends_with("```\nThat was it."));
        let lines = |text: &str| text.matches("let a = 1;").count();
        assert_eq!(pieces.iter().map(|piece| lines(piece)).sum::<usize>(), 30);
    }

    #[test]
    fn a_fence_that_ends_at_the_cut_is_closed_once() {
        let text = format!("~~~\n{}\n~~~\n{}", "x".repeat(120), "y".repeat(100));
        let pieces = split(&text, 128);
        assert_eq!(pieces, [format!("~~~\n{}\n~~~", "x".repeat(120)), "y".repeat(100)]);
    }

    #[test]
    fn a_shortened_text_says_so() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abcd", 3), "ab…");
        assert_eq!(shorten("😀😀", 3), "😀…");
    }

    /// The text as GWT of R-TG-41 has it, in UTF-16 units.
    fn plainly(text: &str, max: usize) -> Vec<String> {
        let mut units: Vec<u16> = text.encode_utf16().collect();
        let mut pieces = Vec::new();
        while units.len() > max {
            let line = (0..=max).rev().find(|&at| units[at] == u16::from(b'\n'));
            let mut at = line.filter(|&at| at > max / 2).unwrap_or(max);
            if (0xdc00..0xe000).contains(&units[at]) {
                at -= 1;
            }
            pieces.push(String::from_utf16(&units[..at]).unwrap());
            units.drain(..at);
            if units.first() == Some(&u16::from(b'\n')) {
                units.remove(0);
            }
        }
        if !units.is_empty() || pieces.is_empty() {
            pieces.push(String::from_utf16(&units).unwrap());
        }
        pieces
    }

    proptest! {
        #[test]
        fn without_fences_it_is_the_plain_rule(text in "[a-c\n 😀é]{0,600}", max in 2usize..200) {
            prop_assert_eq!(split(&text, max), plainly(&text, max));
        }

        #[test]
        fn every_piece_fits_and_every_letter_is_there_once(
            lines in prop::collection::vec("(```[a-z]{0,5}|~~~~|`{3,8}|[A-Z😀]{0,90}|   ```x|```[a-z ]{30,60})", 0..60),
            max in ROOM_FOR_FENCES..400,
        ) {
            let text = lines.join("\n");
            let pieces = split(&text, max);
            for piece in &pieces {
                prop_assert!(units(piece) <= max, "{} > {max}", units(piece));
            }
            // What stands in capitals is never part of a fence.
            let letters = |text: &str| text.chars().filter(|c| c.is_uppercase() || *c == '😀').collect::<String>();
            prop_assert_eq!(letters(&pieces.concat()), letters(&text));
            for piece in &pieces[..pieces.len() - 1] {
                prop_assert!(open_fence(piece).is_none(), "an open fence: {piece:?}");
            }
        }

        #[test]
        fn anything_is_split(text in any::<String>(), max in 0usize..300) {
            let pieces = split(&text, max);
            prop_assert!(pieces.iter().all(|piece| units(piece) <= max.max(2)));
        }
    }
}
