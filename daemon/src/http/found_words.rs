//! Where in a text the words stand that somebody looked for.

use serde::Serialize;
use utoipa::ToSchema;

/// Characters that are shown before the words, and behind them.
const AROUND: usize = 80;
/// Words of the search language.
const OPERATORS: [&str; 4] = ["AND", "OR", "NOT", "NEAR"];

/// A piece of a text with what was found in it.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FoundWords)]
pub(super) struct Found {
    before: String,
    hit: String,
    after: String,
}

/// The words of a text, each with its place.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The first of the asked words in the text. None, when none is written there as it was asked for.
pub(super) fn find_words(text: &str, asked: &str) -> Option<Found> {
    let wanted: Vec<(String, bool)> = words(asked)
        .filter(|(_, word)| !OPERATORS.contains(word))
        .map(|(at, word)| (word.to_lowercase(), asked[at + word.len()..].starts_with('*')))
        .collect();
    let (at, word) = words(text).find(|(_, word)| {
        let word = word.to_lowercase();
        let is = |(wanted, open): &(String, bool)| word == *wanted || (*open && word.starts_with(wanted.as_str()));
        wanted.iter().any(is)
    })?;
    let end = at + word.len();
    let from = text[..at]
        .char_indices()
        .rev()
        .nth(AROUND - 1)
        .map_or(0, |(from, _)| from);
    let to = text[end..]
        .char_indices()
        .nth(AROUND)
        .map_or(text.len(), |(to, _)| end + to);
    Some(Found {
        before: text[from..at].to_owned(),
        hit: word.to_owned(),
        after: text[end..to].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn found(text: &str, asked: &str) -> Option<(String, String, String)> {
        find_words(text, asked).map(|found| (found.before, found.hit, found.after))
    }

    #[test]
    fn the_first_word_is_shown_in_its_place() {
        let some = |before: &str, hit: &str, after: &str| Some((before.to_owned(), hit.to_owned(), after.to_owned()));
        for (text, asked, expected) in [
            ("We ship on Friday.", "friday", some("We ship on ", "Friday", ".")),
            (
                "We ship on Friday.",
                "\"on friday\"",
                some("We ship ", "on", " Friday."),
            ),
            ("We ship on Friday.", "fri*", some("We ship on ", "Friday", ".")),
            ("We ship on Friday.", "fri", None),
            ("Über alles", "NOT über", some("", "Über", " alles")),
            ("banana-2", "banana-2", some("", "banana", "-2")),
            ("a", "", None),
            ("", "a", None),
        ] {
            assert_eq!(found(text, asked), expected, "{text} {asked}");
        }
        let long = format!("{} needle {}", "ä".repeat(500), "ö".repeat(500));
        let (before, hit, after) = found(&long, "needle").unwrap();
        assert_eq!(
            (before.chars().count(), hit.as_str(), after.chars().count()),
            (80, "needle", 80)
        );
    }
}
