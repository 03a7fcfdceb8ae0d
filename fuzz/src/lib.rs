//! What must hold for whatever bytes come from outside: one function for each reader of them, which panics when it does
//! not. The functions are driven by libFuzzer (see the README of this directory) and by the tests here. Owns no reader: what
//! is found is mended where it belongs.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a panic is how a target says that something does not hold"
)]

mod agents;
mod cron;
mod egress;
mod growth;
mod http;
mod names;
mod query;
mod replay;
mod stream;
mod text;

pub use agents::{agent_notes, wants};
pub use cron::cron;
pub use egress::{egress_proxy, egress_rules};
pub use growth::grown;
pub use http::{job_changes, vault_api, webhooks};
pub use names::names;
pub use query::queries;
pub use replay::{chosen, replay};
pub use stream::stream_json;
pub use text::{front_matter, wikilinks};

/// What is run for one input.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("agent_notes", agent_notes),
    ("cron", cron),
    ("egress_proxy", egress_proxy),
    ("egress_rules", egress_rules),
    ("front_matter", front_matter),
    ("job_changes", job_changes),
    ("names", names),
    ("queries", queries),
    ("stream_json", stream_json),
    ("vault_api", vault_api),
    ("wants", wants),
    ("webhooks", webhooks),
    ("wikilinks", wikilinks),
];

/// Longest message for a person about an input, in characters.
const MESSAGE_CHARS: usize = 1000;

/// A message about an input says something, and not much of the input.
#[track_caller]
fn is_short(message: &str) {
    assert!(!message.trim().is_empty(), "a message without words");
    let chars = message.chars().count();
    assert!(
        chars <= MESSAGE_CHARS,
        "a message of {chars} characters: {message:.200}…"
    );
}

/// The program of a target.
#[macro_export]
macro_rules! target {
    ($check:path) => {
        #[cfg(any(fuzzing, feature = "libfuzzer"))]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::grown($check, input));

        #[cfg(not(any(fuzzing, feature = "libfuzzer")))]
        fn main() -> std::process::ExitCode {
            $crate::replay($check)
        }
    };
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn here(part: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(part)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_target_has_its_program_its_seeds_and_its_recipes() {
        let mut known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names(&here("seeds")), known);
        assert_eq!(names(&here("recipes")), known);
        known.push("any");
        known.sort_unstable();
        assert_eq!(names(&here("fuzz_targets")), known);
        let manifest = std::fs::read_to_string(here("Cargo.toml")).unwrap();
        let readme = std::fs::read_to_string(here("README.md")).unwrap();
        for (name, _) in TARGETS {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "{name}"
            );
            assert!(readme.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn every_seed_and_the_beginning_of_every_recipe_hold() {
        for (name, target) in TARGETS {
            for (kind, size) in [("seeds", None), ("recipes", Some(2000))] {
                for entry in std::fs::read_dir(here(kind).join(name)).unwrap() {
                    let input = std::fs::read(entry.unwrap().path()).unwrap();
                    target(&size.map_or(input.clone(), |size| growth::grow(&input, size)));
                }
            }
        }
    }
}
