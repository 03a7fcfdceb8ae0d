//! `step-up.json`: the hash of the PIN, and the guesses that count, so that a restart frees nobody.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{GUESSES, WINDOW};
use crate::state_dir::write_private;

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// In the form of the PHC: `$argon2id$…`.
    pub(super) pin: Option<String>,
    /// When each subject has guessed, oldest first.
    #[serde(default)]
    pub(super) guesses: BTreeMap<String, Vec<Timestamp>>,
    /// Wrong guesses since the last right one.
    #[serde(default)]
    pub(super) wrong: u32,
}

impl Kept {
    /// Drops the guesses that do not count any more. One that a clock has put far into the future does not either.
    pub(super) fn forget(&mut self, now: Timestamp) {
        for times in self.guesses.values_mut() {
            times.retain(|at| now.duration_since(*at).unsigned_abs() < WINDOW);
        }
        self.guesses.retain(|_, times| !times.is_empty());
    }

    /// How long until that subject may guess again, if not now.
    pub(super) fn wait(&self, subject: &str, now: Timestamp) -> Option<Duration> {
        let times = self.guesses.get(subject).filter(|times| times.len() >= GUESSES)?;
        let oldest = *times.first()?;
        Some(WINDOW.saturating_sub(now.duration_since(oldest).unsigned_abs()))
    }

    pub(super) fn count(&mut self, subject: &str, now: Timestamp) {
        self.guesses.entry(subject.to_owned()).or_default().push(now);
        self.wrong = self.wrong.saturating_add(1);
    }

    /// The last guess of that subject was right.
    pub(super) fn right(&mut self, subject: &str) {
        self.guesses.remove(subject);
        self.wrong = 0;
    }
}

/// No file means that there is no PIN.
///
/// # Errors
/// Why nobody knows. What the file holds is not in it.
pub(super) fn read(path: &Path) -> Result<Kept, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(error.to_string()),
    };
    let kept: Kept = serde_json::from_slice(&text)
        .map_err(|error| format!("it is damaged near line {} column {}", error.line(), error.column()))?;
    match &kept.pin {
        Some(hash) if argon2::password_hash::phc::PasswordHash::new(hash).is_err() => {
            Err("what it holds is no hash of a PIN".into())
        }
        _ => Ok(kept),
    }
}

/// Replaces the file, readable for its owner alone.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    write_private(path, &serde_json::to_vec_pretty(kept)?)
}
