//! How far the updates of the bot were taken, in a file that is written as a whole (mode 0600) and synced.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Telegram numbers updates anew when there were none for a week; a day earlier the old number counts no more.
const STALE: SignedDuration = SignedDuration::from_hours(6 * 24);

/// Of so many messages it is known which turn answers them.
const RECENT: usize = 100;

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    pub(super) chat: i64,
    pub(super) message: i64,
    pub(super) thread: Option<i64>,
    pub(super) turn: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    /// The number after that of the last update that was taken.
    next: Option<i64>,
    /// When that was.
    at: Timestamp,
    /// The bot whose numbers these are, and its server; each counts for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default)]
    recent: VecDeque<Recent>,
}

/// The place in the updates.
#[derive(Debug)]
pub(super) struct Position {
    path: PathBuf,
    stored: Stored,
}

impl Position {
    /// Of the bridge with this name, in this directory.
    ///
    /// What another `source` has left there does not count: with its numbers, messages from this one would be passed over.
    ///
    /// A file that does not hold together is put aside: the server still knows what it has not been told to forget, and a message
    /// that comes again is the same message.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(super) fn open(dir: &Path, name: &str, source: &str) -> io::Result<Self> {
        let safe: String = name
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
                _ => format!("_{byte:02x}"),
            })
            .collect();
        let path = dir.join(format!("telegram-{safe}.json"));
        let stored = match std::fs::read(&path) {
            Ok(text) => match serde_json::from_slice::<Stored>(&text) {
                Ok(stored) => stored,
                Err(error) => {
                    let aside = path.with_extension("broken");
                    std::fs::rename(&path, &aside)?;
                    tracing::warn!(%error, aside = %aside.display(), "the place in Telegram's updates was not readable and is put aside");
                    Stored::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(error) => {
                let text = format!("{} cannot be read: {error}", path.display());
                return Err(io::Error::new(error.kind(), text));
            }
        };
        let is_ours = stored.source.as_ref().is_none_or(|there| there == source);
        let mut stored = if is_ours { stored } else { Stored::default() };
        stored.source = Some(source.to_owned());
        Ok(Self { path, stored })
    }

    /// The number of the next update; `None` if nothing is known of it.
    pub(super) fn next(&self) -> Option<i64> {
        let age = Timestamp::now().duration_since(self.stored.at);
        self.stored.next.filter(|_| age < STALE)
    }

    /// An update is done with, and the turn of its message if it was one.
    ///
    /// # Errors
    /// It is not on disk. It counts until the process ends; after that, updates that are delivered again are the same messages.
    pub(super) async fn advance(&mut self, update: i64, recent: Option<Recent>) -> io::Result<()> {
        self.stored.next = Some(update.saturating_add(1));
        self.stored.at = Timestamp::now();
        if let Some(recent) = recent {
            self.stored.recent.push_back(recent);
            while self.stored.recent.len() > RECENT {
                self.stored.recent.pop_front();
            }
        }
        let (path, stored) = (self.path.clone(), self.stored.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &stored)).await;
        written.map_err(io::Error::other)?
    }

    /// The turn of a message that was taken not long ago.
    pub(super) fn turn_of(&self, chat: i64, message: i64) -> Option<&str> {
        let found = self
            .stored
            .recent
            .iter()
            .rev()
            .find(|recent| (recent.chat, recent.message) == (chat, message));
        found.map(|recent| recent.turn.as_str())
    }

    /// The messages that were taken last, oldest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.stored.recent.iter()
    }
}

fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let dir = path
        .parent()
        .ok_or_else(|| io::Error::other("the file is in no directory"))?;
    // Made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".telegram-").tempfile_in(dir)?;
    serde_json::to_writer(&mut file, stored)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;

    use super::*;

    fn recent(message: i64) -> Recent {
        Recent {
            chat: 42,
            message,
            thread: None,
            turn: format!("turn {message}"),
        }
    }

    #[tokio::test]
    async fn the_place_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut position = Position::open(dir.path(), "my/phone", "4711").unwrap();
        assert_eq!(position.next(), None);
        for message in 1..=150 {
            position.advance(1000 + message, Some(recent(message))).await.unwrap();
        }
        position.advance(2000, None).await.unwrap();
        let mode = std::fs::metadata(&position.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let position = Position::open(dir.path(), "my/phone", "4711").unwrap();
        assert_eq!(position.next(), Some(2001));
        assert_eq!(
            (
                position.turn_of(42, 150),
                position.turn_of(42, 50),
                position.turn_of(7, 150)
            ),
            (Some("turn 150"), None, None)
        );
        assert_eq!(position.recent().count(), RECENT);
        assert_eq!(Position::open(dir.path(), "my phone", "4711").unwrap().next(), None);
    }

    #[tokio::test]
    async fn the_numbers_of_another_bot_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let open = |source| Position::open(dir.path(), "p", source).unwrap();
        // As earlier versions wrote it, without the bot.
        let old = format!("{{\"next\": 900, \"at\": \"{}\"}}", Timestamp::now());
        std::fs::write(&open("4711").path, old).unwrap();
        let mut position = open("4711");
        assert_eq!(position.next(), Some(900));
        position.advance(900, Some(recent(1))).await.unwrap();
        assert_eq!(open("4711").next(), Some(901));
        let other = open("4712");
        assert_eq!((other.next(), other.recent().count()), (None, 0));
    }

    #[tokio::test]
    async fn after_a_week_of_silence_the_numbers_may_be_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut position = Position::open(dir.path(), "p", "4711").unwrap();
        position.advance(7, None).await.unwrap();
        position.stored.at = Timestamp::now() - STALE;
        assert_eq!(position.next(), None);
    }

    #[tokio::test]
    async fn a_broken_file_is_put_aside_and_an_unreadable_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = Position::open(dir.path(), "p", "4711").unwrap().path;
        std::fs::write(&path, "{\"next\": 12").unwrap();
        assert_eq!(Position::open(dir.path(), "p", "4711").unwrap().next(), None);
        assert_eq!(
            std::fs::read_to_string(path.with_extension("broken")).unwrap(),
            "{\"next\": 12"
        );
        std::fs::create_dir(&path).unwrap();
        let error = Position::open(dir.path(), "p", "4711").unwrap_err().to_string();
        assert!(error.contains("telegram-p.json"), "{error}");
    }
}
