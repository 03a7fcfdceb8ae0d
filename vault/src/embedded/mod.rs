//! The embedded vault: one SQLite file, one thread that writes (group commit), a few connections that read.
//!
//! Every write and its row of the change log are one transaction, synced to the disk before the caller is answered. Cursors
//! are given in the order of commits, because only one thread gives them.

pub(crate) mod anew;
pub(crate) mod backup;
mod damage;
mod disturbed;
pub(crate) mod elsewhere;
mod fault;
mod fields;
mod files;
mod filling;
mod health;
mod links;
mod listing;
pub(crate) mod mirror;
mod narrow;
mod opening;
mod position;
mod profile;
mod read;
mod readers;
pub(crate) mod reading;
pub(crate) mod rules;
mod schema;
mod scope;
mod search;
mod sources;
mod tags;
mod triggers;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;

use self::disturbed::Lookout;
use self::elsewhere::Elsewhere;
pub(crate) use self::fault::Fault;
use self::fault::Place;
use self::files::FileDir;
use self::opening::Opener;
use self::readers::Readers;
use self::triggers::Tx;
use self::writer::Writer;
use crate::attachment::Files;
use crate::links::Links;
use crate::note::{Note, NoteId};
use crate::profile::Profile;
use crate::store::{
    Backup, Capabilities, Change, Cursor, Key, Kind, NewNote, Page, Patch, Precondition, Query, Vault, VaultError,
    VaultState, Write,
};
use crate::tags::Tags;
use crate::triggers::Triggers;

/// Changes that are read where they are asked for.
const FEW: Cursor = 16;

/// Tells the time. Tests give one that stands still.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a vault is opened. `default()` is right outside of tests.
#[derive(Clone)]
pub struct Options {
    /// Source of `created_at` and `updated_at`. Default: the system clock.
    pub clock: Clock,
    /// Largest size of the file, in pages of 4 KiB. Default: SQLite's (about 16 TiB). At the limit writes fail like on a
    /// full disk, with [`VaultError::Unavailable`].
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(Timestamp::now),
            max_pages: None,
        }
    }
}

/// A vault in one SQLite file.
///
/// Reads and writes need a Tokio runtime; opening does not. Dropping the vault ends its thread after what was accepted has
/// been written; [`Vault::close`] also waits for it.
pub struct EmbeddedVault {
    place: Arc<Place>,
    clock: Clock,
    readers: Readers,
    writer: Arc<Writer>,
    dir: FileDir,
    newest: watch::Receiver<Cursor>,
    opener: Arc<Opener>,
    lookout: Lookout,
    deliveries: watch::Receiver<u64>,
    /// Where the notes are in truth, when this is their index.
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl EmbeddedVault {
    /// The newest version of the tables that this program knows (`user_version`). A file with a newer one is refused, and left as it
    /// is.
    pub const TABLES: usize = schema::MIGRATIONS.len();

    /// Opens the vault in the file at `path`. The file (0600), its directory (0700) and the directory `<path>-files` (0700)
    /// for the bytes of attachments are made when they are missing, and an older schema is brought up to date. Takes a few milliseconds, however many notes there are; blocks for as long.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the file cannot be made, is damaged, belongs to another program, or was written by a
    /// newer version of this one. It is left as it was.
    pub fn open(name: &str, path: &Path) -> Result<Arc<Self>, VaultError> {
        Self::open_with(name, path, Options::default())
    }

    /// As [`EmbeddedVault::open`], with options.
    ///
    /// # Errors
    /// As [`EmbeddedVault::open`].
    pub fn open_with(name: &str, path: &Path, options: Options) -> Result<Arc<Self>, VaultError> {
        let vault = Self::shut(name, path, options, 0, None);
        vault.opener.open()?;
        Ok(vault)
    }

    /// As [`EmbeddedVault::open`], but a file that cannot be opened now does no harm: the vault says so in its state, answers
    /// [`VaultError::Unavailable`] with the reason, and [`Vault::look`] tries again.
    #[must_use]
    pub fn open_late(name: &str, path: &Path) -> Arc<Self> {
        let vault = Self::shut(name, path, Options::default(), 0, None);
        if let Err(error) = vault.opener.open() {
            tracing::error!(%error, "the vault is not open; it is tried again");
        }
        vault
    }

    /// As [`EmbeddedVault::open_late`], for the index of notes that are elsewhere; with `elsewhere`, what is written to it is
    /// carried there. The log of a new index begins behind all cursors of one that was lost: they are all smaller than the time.
    pub(crate) fn index(name: &str, path: &Path, options: Options, elsewhere: Option<Arc<dyn Elsewhere>>) -> Arc<Self> {
        let first = Cursor::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        let vault = Self::shut(name, path, options, first, elsewhere);
        if let Err(error) = vault.opener.open() {
            tracing::error!(%error, "the index of the vault is not open; it is tried again");
        }
        vault
    }

    fn shut(
        name: &str,
        path: &Path,
        options: Options,
        first: Cursor,
        elsewhere: Option<Arc<dyn Elsewhere>>,
    ) -> Arc<Self> {
        let place = Arc::new(Place::new(name, path));
        let (sender, newest) = watch::channel(0);
        let (wake, deliveries) = watch::channel(0);
        let (readers, writer, opener) = opening::parts(&place, sender, wake, options.max_pages, first);
        Arc::new(Self {
            place,
            clock: options.clock,
            readers,
            writer,
            dir: FileDir::beside(path),
            newest,
            opener,
            lookout: Lookout::default(),
            deliveries,
            elsewhere,
        })
    }

    /// Changes [`Options::max_pages`] of the open vault. A limit below the present size stops growth and cuts nothing.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub async fn set_max_pages(&self, pages: u32) -> Result<(), VaultError> {
        self.writer.run(move |conn| schema::limit_pages(conn, pages)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>, Timestamp) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        let Some(elsewhere) = self.elsewhere.clone() else {
            return self.write_here(work).await;
        };
        self.write_here(move |conn, now| {
            let before = read::newest_cursor(conn)?;
            let value = work(conn, now)?;
            elsewhere::carry(conn, before, &*elsewhere)?;
            Ok(value)
        })
        .await
    }

    /// Writes what is elsewhere already.
    async fn write_here<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>, Timestamp) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        let clock = Arc::clone(&self.clock);
        self.writer.run(move |conn| work(conn, clock())).await
    }
}

#[async_trait]
impl Vault for EmbeddedVault {
    fn name(&self) -> &str {
        &self.place.vault
    }

    fn kind(&self) -> Kind {
        Kind::Embedded
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn state(&self) -> VaultState {
        self.place.health.state()
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        let key = key.clone();
        self.readers
            .glance(move |conn| Ok(read::find(conn, &key)?.map(|stored| stored.note)))
            .await
    }

    async fn back_up(&self, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        self.copy_into(dir, replace).await
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        let query = query.clone();
        self.readers.run(move |conn| listing::page(conn, &query)).await
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.write(move |conn, now| write::create_all(conn, notes, now)).await
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        let key = key.clone();
        self.write(move |conn, now| write::patch(conn, &key, patch, precondition, now))
            .await
    }

    async fn write_together(&self, writes: Vec<Write>) -> Result<bool, VaultError> {
        self.write(move |conn, now| write::together(conn, writes, now)).await?;
        Ok(true)
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        let path = path.to_owned();
        self.write(move |conn, now| write::upsert(conn, &path, patch, create, now))
            .await
    }

    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        let key = key.clone();
        let (id, doomed) = self.write(move |conn, now| write::delete(conn, &key, now)).await?;
        self.discard(doomed).await;
        Ok(id)
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        let few = self.newest.borrow().saturating_sub(since) <= FEW;
        let work = move |conn: &Connection| read::changes(conn, since, limit);
        if few {
            return self.readers.glance(work).await;
        }
        self.readers.run(work).await
    }

    async fn log(&self) -> Result<String, VaultError> {
        let log = self.memo("log").await?;
        log.ok_or_else(|| {
            self.place
                .unavailable("its change log has no identity; restore the file from a backup")
        })
    }

    fn files(&self) -> &dyn Files {
        self
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        Ok(self)
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        Ok(self)
    }

    fn profile(&self) -> &dyn Profile {
        self
    }

    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        Ok(self)
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.newest.clone()
    }

    async fn look(&self, _: Option<&NoteId>) -> Result<(), VaultError> {
        self.look_after().await
    }

    async fn disturbed(&self) {
        self.is_disturbed().await;
    }

    async fn close(&self) {
        self.opener.close();
        // The writer closes last: the last connection folds the log file into the database.
        self.readers.close().await;
        self.writer.close().await;
    }
}
