//! Keys that look like a known one.

/// A key without what people write differently: case, `_` and `-`.
fn plain(key: &str) -> String {
    let letters = key.chars().filter(|c| *c != '_' && *c != '-');
    letters.flat_map(char::to_lowercase).collect()
}

/// The known key that was probably meant: the same but for case, `_` and `-`, or one letter in four away. `None` for a known
/// key, and for one that is simply somebody else's.
pub(super) fn meant(given: &str, known: &[&'static str]) -> Option<&'static str> {
    if known.contains(&given) {
        return None;
    }
    let given = plain(given);
    let distances = known
        .iter()
        .map(|key| (*key, strsim::osa_distance(&given, &plain(key))));
    let near = distances.filter(|(key, distance)| *distance <= plain(key).len() / 4);
    near.min_by_key(|(_, distance)| *distance).map(|(key, _)| key)
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
            assert_eq!(meant(given, &known), expected, "{given}");
        }
    }
}
