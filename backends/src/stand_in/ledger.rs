//! An account of what was reported, for a test that compares it with what was recorded.

use std::fs::{File, OpenOptions};
use std::io::Write;

use serde_json::{Value, json};

/// Where the reports are written down too.
pub(super) struct Ledger {
    file: Option<File>,
    turn: String,
}

impl Ledger {
    /// As the environment asks.
    pub(super) fn open() -> Self {
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        // silent-ok: the account of a test that needs it does not add up without a file.
        let file = std::env::var_os("REVEILLE_TEST_LEDGER").and_then(|path| append(path).ok());
        Self {
            file,
            turn: std::env::var("REVEILLE_TURN").unwrap_or_default(),
        }
    }

    /// Adds what the process has spent until now, by its own report.
    pub(super) fn reported(&mut self, spent: &Value) {
        let Some(file) = &mut self.file else { return };
        let line = json!({"turn": self.turn, "process": std::process::id(), "spent": spent});
        // silent-ok: as above. One write, so that lines of several processes do not mix.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}
