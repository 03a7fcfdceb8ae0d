//! How the file comes to be open, and stays the right one: a file that cannot be opened is tried again, one that was put in
//! its place is noticed, and what failed is tried out until it works.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::{Fault, Place};
use super::readers::Readers;
use super::writer::Writer;
use super::{EmbeddedVault, files, read, schema, write};
use crate::note::NoteId;
use crate::store::{ChangeKind, Cursor, Key, VaultError};

/// Bytes that a trial write takes: it must not fit into what is left of a page.
const TRIAL_BYTES: i64 = 64 * 1024;
/// Key of the trial write.
const TRIAL: &str = "trial";

/// Which file it is, whatever it is called.
type Identity = (u64, u64);

/// The files that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    database: Identity,
    /// SQLite's log beside it; made with the first write.
    log: Option<Identity>,
}

/// Opens the file. One at a time.
pub(super) struct Opener {
    place: Arc<Place>,
    writer: Arc<Writer>,
    newest: watch::Sender<Cursor>,
    deliveries: watch::Sender<u64>,
    max_pages: Option<u32>,
    /// The log of a new file begins after this.
    first: Cursor,
    known: Mutex<Option<Known>>,
    closed: AtomicBool,
    /// When a damaged file gave way to a new one.
    begun_anew: Mutex<Option<Instant>>,
    pub(super) turn: tokio::sync::Mutex<()>,
}

fn identity(path: &Path) -> Option<Identity> {
    // silent-ok: a file that cannot be looked at is not the one that is open
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

impl Opener {
    pub(super) fn new(
        place: Arc<Place>,
        writer: Arc<Writer>,
        newest: watch::Sender<Cursor>,
        deliveries: watch::Sender<u64>,
        max_pages: Option<u32>,
        first: Cursor,
    ) -> Self {
        Self {
            place,
            writer,
            newest,
            deliveries,
            max_pages,
            first,
            known: Mutex::default(),
            closed: AtomicBool::new(false),
            begun_anew: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Nothing is opened any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// # Errors
    /// [`VaultError::Unavailable`]: the vault has been closed.
    pub(super) fn check_not_closed(&self) -> Result<(), VaultError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.place.closed());
        }
        Ok(())
    }

    /// When a damaged file gave way to a new one.
    pub(super) fn begun_anew(&self) -> Option<Instant> {
        *self.begun_anew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is put aside; the next one is a new one.
    pub(super) fn begin_anew(&self, now: Instant) {
        *self.begun_anew.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn known(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self) {
        let known = identity(&self.place.file).map(|database| Known {
            database,
            log: identity(&beside(&self.place.file, "-wal")),
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Opens the file and starts the writer. Blocks. A file that was open before and is gone is not begun anew.
    pub(super) fn open(&self) -> Result<(), VaultError> {
        let file = &self.place.file;
        let opened = (|| {
            if self.known().is_some() && !file.exists() {
                return Err(Fault::Unusable(format!(
                    "{} is gone; put it back, or restore it from a backup",
                    file.display()
                )));
            }
            let conn = schema::open_writer(file)?;
            if let Some(pages) = self.max_pages {
                schema::limit_pages(&conn, pages)?;
            }
            files::open_dir(&conn, file)?;
            let newest = match read::newest_cursor(&conn)?.max(*self.newest.borrow()) {
                0 => self.first,
                newest => newest,
            };
            // No position is given twice, also when an older copy has taken the place of the file.
            read::go_on_after(&conn, newest)?;
            Ok((conn, newest))
        })();
        let opened = opened
            .map_err(|fault| self.place.open_error(fault))
            .and_then(|(conn, newest)| {
                self.remember();
                self.place.health.opened();
                self.newest.send_replace(newest);
                self.writer.start(conn, self.newest.clone(), self.deliveries.clone())?;
                // What waits in a file that was put in the place of another one may be due.
                self.deliveries.send_modify(|count| *count = count.wrapping_add(1));
                Ok(())
            });
        if let Err(error) = &opened {
            let reason = match error {
                VaultError::Unavailable { reason, .. } => reason.clone(),
                other => other.to_string(),
            };
            self.place.health.shut(&reason);
        }
        opened
    }

    /// Whether another file stands under the name than the one that is open, or none.
    fn is_replaced(&self) -> bool {
        match self.known() {
            Some(known) => identity(&self.place.file) != Some(known.database),
            None => false,
        }
    }

    /// SQLite's log of a file that is no longer there would be taken for that of the file which is there now.
    fn put_log_aside(&self, known: Option<Known>) {
        let log = beside(&self.place.file, "-wal");
        if known.and_then(|known| known.log).is_none() || identity(&log) != known.and_then(|known| known.log) {
            return;
        }
        let aside = beside(&self.place.file, "-wal.old");
        match std::fs::rename(&log, &aside) {
            Ok(()) => tracing::warn!(log = %aside.display(), "the log of the file that was replaced was put aside"),
            Err(error) => {
                tracing::error!(%error, log = %log.display(), "the log of the file that was replaced is still there");
            }
        }
    }
}

impl EmbeddedVault {
    /// Looks after the file: opens it when it is not open, takes the one that was put in its place, and tries whether what
    /// failed works again.
    pub(super) async fn look_after(&self) -> Result<(), VaultError> {
        let _turn = self.opener.turn.lock().await;
        self.opener.check_not_closed()?;
        if self.place.health.why_shut().is_some() {
            return open_apart(Arc::clone(&self.opener)).await;
        }
        if self.opener.is_replaced() {
            return self.take_other_file().await;
        }
        self.opener.remember();
        self.try_out().await
    }

    async fn take_other_file(&self) -> Result<(), VaultError> {
        let file = self.place.file.display();
        tracing::error!(vault = self.place.vault, %file, "another file was put in the place of the vault's, or it is gone; it is opened anew");
        let (opener, writer, place) = (
            Arc::clone(&self.opener),
            Arc::clone(&self.writer),
            Arc::clone(&self.place),
        );
        let anew = async move {
            place.health.shut("its file was replaced; it is being opened");
            let known = opener.known();
            writer.close().await;
            opener.put_log_aside(known);
            open_apart(opener).await
        };
        self.readers.pause(anew).await?
    }

    /// Does again, in small, what failed last.
    async fn try_out(&self) -> Result<(), VaultError> {
        let (read, write) = self.place.health.has_failed();
        if read {
            self.readers.run(read::newest_cursor).await?;
        }
        if write {
            // The last one may be there still, because its removal failed or the process ended before it.
            const WRITE: &str = "INSERT OR REPLACE INTO memos (key, value) VALUES (?1, hex(zeroblob(?2)))";
            self.writer
                .run(|conn| Ok(conn.prepare_cached(WRITE)?.execute((TRIAL, TRIAL_BYTES / 2))?))
                .await?;
            self.writer
                .run(|conn| Ok(conn.execute("DELETE FROM memos WHERE key = ?1", [TRIAL])?))
                .await?;
        }
        for note in self.place.health.all_unreadable() {
            let id = NoteId::new(note.as_str());
            let found = match id {
                Ok(id) => self.readers.run(move |conn| read::find(conn, &Key::Id(id))).await,
                Err(_) => Ok(None),
            };
            let Ok(found) = found else { continue };
            if let Some(found) = found {
                // Whoever follows the log has passed it by.
                self.writer
                    .run(move |conn| write::log(conn, &found.note.id, ChangeKind::Updated))
                    .await?;
            }
            self.place.health.readable(&note);
        }
        Ok(())
    }
}

pub(super) async fn open_apart(opener: Arc<Opener>) -> Result<(), VaultError> {
    let place = Arc::clone(&opener.place);
    match tokio::task::spawn_blocking(move || opener.open()).await {
        Ok(opened) => opened,
        Err(error) => Err(place.unavailable(format!("opening it was given up ({error})"))),
    }
}

/// The parts of a vault whose file is not open yet.
pub(super) fn parts(
    place: &Arc<Place>,
    newest: watch::Sender<Cursor>,
    deliveries: watch::Sender<u64>,
    max_pages: Option<u32>,
    first: Cursor,
) -> (Readers, Arc<Writer>, Arc<Opener>) {
    let writer = Arc::new(Writer::new(Arc::clone(place)));
    let opener = Arc::new(Opener::new(
        Arc::clone(place),
        Arc::clone(&writer),
        newest,
        deliveries,
        max_pages,
        first,
    ));
    (Readers::new(Arc::clone(place)), writer, opener)
}
