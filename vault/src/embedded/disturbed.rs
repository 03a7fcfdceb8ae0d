//! Waits until something has happened to the file that is worth a look. While all is well nobody looks at the file again and
//! again: an idle machine shall sleep.

use std::path::Path;
use std::time::Duration;

use super::EmbeddedVault;
use crate::store::VaultState;

/// Pause where nobody tells: what failed is tried again, and not every system or directory can be watched.
const LOOK: Duration = Duration::from_secs(1);

/// Tells when files of these names come to a directory or leave it.
#[derive(Default)]
pub(super) struct Lookout(tokio::sync::Mutex<Option<sys::Watched>>);

impl Lookout {
    /// Returns when one of the files came or went since the last time, or after [`LOOK`] where that cannot be told.
    async fn stirred(&self, database: &Path) {
        let mut watched = self.0.lock().await;
        if watched.is_none() {
            match sys::Watched::of(database) {
                Ok(new) => *watched = Some(new),
                Err(error) => {
                    tracing::debug!(%error, file = %database.display(), "the directory of the vault cannot be watched");
                    return tokio::time::sleep(LOOK).await;
                }
            }
            // What happened before it was watched.
            return;
        }
        let Some(open) = watched.as_mut() else { return };
        if let Err(error) = open.next().await {
            tracing::debug!(%error, file = %database.display(), "the directory of the vault is watched anew");
            *watched = None;
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl EmbeddedVault {
    /// Returns when [`crate::Vault::look`] may find something. Dropping it loses nothing.
    pub(super) async fn is_disturbed(&self) {
        let health = &self.place.health;
        if health.state() != VaultState::Ready {
            return tokio::time::sleep(LOOK).await;
        }
        tokio::select! {
            () = health.troubled() => {}
            () = self.lookout.stirred(&self.place.file) => {}
        }
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::ffi::OsString;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use tokio::net::unix::pipe;

    /// Bytes of events that are read at once: some dozens of them.
    const EVENTS: usize = 4096;
    /// Bytes of an event before its name: what is watched, what happened, which two belong together, bytes of the name.
    const HEAD: usize = 16;

    /// A directory that is watched. Not what is written into its files: only what comes and goes.
    pub(super) struct Watched {
        /// Of inotify, which is read like a pipe.
        events: pipe::Receiver,
        /// Names that matter.
        names: [OsString; 2],
    }

    impl Watched {
        pub(super) fn of(database: &Path) -> io::Result<Self> {
            let (Some(dir), Some(name)) = (database.parent(), database.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let comes_and_goes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
            inotify::add_watch(&events, dir, comes_and_goes | itself)?;
            let mut log = name.to_owned();
            log.push("-wal");
            Ok(Self {
                events: pipe::Receiver::from_owned_fd_unchecked(events)?,
                names: [name.to_owned(), log],
            })
        }

        /// Waits for the next event that matters. An error: the directory has to be watched anew.
        pub(super) async fn next(&mut self) -> io::Result<()> {
            loop {
                self.events.readable().await?;
                let mut buffer = [0; EVENTS];
                let count = match self.events.try_read(&mut buffer) {
                    Ok(count) => count,
                    Err(none) if none.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error),
                };
                if self.matters(&buffer[..count])? {
                    return Ok(());
                }
            }
        }

        fn matters(&self, mut events: &[u8]) -> io::Result<bool> {
            let mut matters = false;
            while !events.is_empty() {
                let strange = || io::Error::from(io::ErrorKind::InvalidData);
                let word = |at: usize| {
                    let bytes = events.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                    bytes.map(u32::from_ne_bytes).ok_or_else(strange)
                };
                let happened = ReadFlags::from_bits_retain(word(4)?);
                let end = HEAD + usize::try_from(word(12)?).map_err(|_| strange())?;
                let name = events.get(HEAD..end).ok_or_else(strange)?;
                // Filled up with zeros; without one it is about the directory itself.
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                let gone = ReadFlags::IGNORED | ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT;
                if name.is_empty() || happened.intersects(gone) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                matters |= self.names.iter().any(|one| one.as_bytes() == name);
                events = events.get(end..).unwrap_or_default();
            }
            Ok(matters)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::io;
    use std::path::Path;

    /// Nothing is watched here.
    pub(super) enum Watched {}

    impl Watched {
        pub(super) fn of(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) async fn next(&mut self) -> io::Result<()> {
            match *self {}
        }
    }
}
