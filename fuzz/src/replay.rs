//! Single inputs, without a fuzzer.

use std::process::ExitCode;
use std::sync::OnceLock;

use super::{TARGETS, Target, grown};

/// The target that the environment variable `REVEILLE_FUZZ_TARGET` names.
///
/// # Panics
/// When it names none, or when something does not hold.
pub fn chosen(input: &[u8]) {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    let target = CHOSEN.get_or_init(|| {
        let name = std::env::var("REVEILLE_FUZZ_TARGET").unwrap_or_default();
        let target = TARGETS.iter().find(|(known, _)| *known == name);
        target.map_or_else(
            || {
                let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
                panic!("REVEILLE_FUZZ_TARGET is none of {}", names.join(", "))
            },
            |(_, target)| *target,
        )
    });
    target(input);
}

/// Runs a target on the files of the command line.
///
/// # Panics
/// When a file cannot be read, or when something does not hold.
#[must_use]
pub fn replay(target: Target) -> ExitCode {
    for file in std::env::args_os().skip(1) {
        let input = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        grown(target, &input);
    }
    ExitCode::SUCCESS
}
