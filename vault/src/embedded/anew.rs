//! A damaged index gives way to a new one: what it said is elsewhere too, and it can be made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

use super::EmbeddedVault;
use super::fault::Place;
use super::opening::{beside, open_apart};
use crate::store::VaultError;

/// A new index that is damaged within this time is left as it is: the disk is what has to be mended, and copies would fill it.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// What belongs to a database, by the ends of the names.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-files"];

/// An index that was put aside.
#[derive(Debug)]
pub(crate) struct Aside {
    /// Where it is now.
    pub(crate) file: PathBuf,
    /// When something was written to it last, as far as is known.
    pub(crate) written_at: Option<Timestamp>,
}

impl EmbeddedVault {
    /// Whether the file holds what this program never wrote, or cannot be read. That does not heal.
    pub(crate) fn is_damaged(&self) -> bool {
        self.place.health.is_damaged()
    }

    /// Puts the damaged file aside, with all that belongs to it, and begins a new one, whose log goes on behind the old one.
    /// Until [`EmbeddedVault::is_made`] the vault says so.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: why not. What could be put aside is aside.
    pub(crate) async fn begin_anew(&self) -> Result<Aside, VaultError> {
        let _turn = self.opener.turn.lock().await;
        self.opener.check_not_closed()?;
        let opener = Arc::clone(&self.opener);
        let anew = async {
            let why = self.place.health.why_damaged().unwrap_or_default();
            if opener.begun_anew().is_some_and(|begun| begun.elapsed() < AGAIN) {
                let reason = format!("the index that was made anew is damaged too: check the disk ({why})");
                self.place.health.shut(&reason);
                return Err(self.place.unavailable(reason));
            }
            self.place.health.shut("its index is damaged and is being made anew");
            self.writer.close().await;
            let place = Arc::clone(&self.place);
            let aside = tokio::task::spawn_blocking(move || put_aside(&place));
            let aside = aside.await.unwrap_or_else(|error| {
                let reason = format!("putting its damaged index aside was given up ({error})");
                Err(self.place.unavailable(reason))
            })?;
            opener.begin_anew(Instant::now());
            open_apart(opener).await?;
            let kept = aside.file.display();
            tracing::error!(
                vault = self.place.vault,
                reason = why,
                %kept,
                "the index was damaged and is made anew from the notes; what was only in it (attachments, triggers, what was \
                 said of tags) is in the file that was kept"
            );
            self.place.health.is_being_made(&format!(
                "its index was damaged and is being made anew; the old one is kept: {kept}"
            ));
            Ok(aside)
        };
        let outcome = self.readers.pause(anew).await?;
        if outcome.is_err() {
            // It is tried again, and for that it must still be known why.
            self.place.health.damaged("its index is damaged");
        }
        outcome
    }

    /// The index is as it should be: it was compared with all that it is made of.
    pub(crate) fn is_made(&self) {
        self.place.health.is_made();
    }
}

fn put_aside(place: &Place) -> Result<Aside, VaultError> {
    let now = Timestamp::now();
    let aside = beside(&place.file, &format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")));
    let written = ["", "-wal"]
        .iter()
        .filter_map(|part| written_at(&beside(&place.file, part)));
    let written_at = written.max();
    for part in PARTS {
        match std::fs::rename(beside(&place.file, part), beside(&aside, part)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let file = place.file.display();
                let reason = format!("its damaged index {file} cannot be put aside ({error}): move it away");
                return Err(place.unavailable(reason));
            }
        }
    }
    Ok(Aside {
        file: aside,
        written_at,
    })
}

fn written_at(file: &Path) -> Option<Timestamp> {
    // silent-ok: then it is not known
    let modified: SystemTime = std::fs::metadata(file).and_then(|meta| meta.modified()).ok()?;
    Timestamp::try_from(modified).ok() // silent-ok: see above
}
