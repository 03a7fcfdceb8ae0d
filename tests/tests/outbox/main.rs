//! What a turn leaves to do gets into the vault once, whatever the vault does meanwhile, and nothing false is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod outage;
mod threads;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Daemon, JournalNote, Sent};

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

fn turn_of(sent: &Sent) -> Result<String> {
    sent.turn.clone().context("a turn")
}

fn outbound<'a>(notes: &'a [JournalNote], turn: &str) -> Result<&'a JournalNote> {
    let mut found = notes
        .iter()
        .filter(|note| note.is_outbound() && note.text("turn") == turn);
    let note = found.next().context("an answer")?;
    anyhow::ensure!(found.next().is_none(), "two answers of {turn}");
    Ok(note)
}
