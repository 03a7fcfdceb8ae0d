//! Keys that look like a known one.

/// Longest key that is compared, in bytes.
const GIVEN: usize = 128;

/// A key as different hands write it: `timeoutWall`, `Timeout-Wall` and `timeout_wall` are one.
fn folded(key: &str) -> String {
    let letters = key.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// The words of a key in order of the alphabet: `idleTimeout` is made of those of `timeout_idle`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in key.chars() {
        let separates = matches!(c, '_' | '-' | ' ');
        if separates || c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && !separates
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.sort();
    words
}

fn letters(key: &str) -> Vec<char> {
    let mut letters: Vec<char> = key.chars().collect();
    letters.sort_unstable();
    letters
}

/// The known key that was probably meant: the same but for case, `_`, `-` and the order of its words, or a letter or two away.
/// Short words are near to many others, so of those only two letters that changed places, or an `s`, count. `None` for a known
/// key, and for one that is simply somebody else's: people keep metadata of their own.
pub(super) fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Far from all of them, and slow to compare.
    if given.len() > GIVEN {
        return None;
    }
    let (plain, parts) = (folded(given), words(given));
    let mut nearest: Option<(usize, &str)> = None;
    for key in known {
        if key == given {
            return None;
        }
        let folded = folded(key);
        let distance = strsim::osa_distance(&plain, &folded);
        let near = match folded.len() {
            ..=4 => {
                let one_more = |a: &str, b: &str| a.strip_suffix('s') == Some(b);
                let swapped = distance == 1 && letters(&plain) == letters(&folded);
                plain == folded || swapped || one_more(&plain, &folded) || one_more(&folded, &plain)
            }
            5..=7 => distance <= 1,
            _ => distance <= 2,
        };
        let near = near || parts == words(key);
        if near && nearest.is_none_or(|(best, _)| distance < best) {
            nearest = Some((distance, key));
        }
    }
    nearest.map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_let_alone() {
        let known = ["cron", "at", "tz", "catch_up", "enabled", "lastStatus"];
        for (given, expected) in [
            ("cron", None),
            ("corn", Some("cron")),
            ("Cron", Some("cron")),
            ("catchUp", Some("catch_up")),
            ("catch-up", Some("catch_up")),
            ("catchup", Some("catch_up")),
            ("enable", Some("enabled")),
            ("last_status", Some("lastStatus")),
            ("as", None),
            ("to", None),
            ("project", None),
            ("", None),
        ] {
            assert_eq!(meant(given, known), expected, "{given}");
        }
    }
}
