//! A folder of Markdown files as a vault. The files are the truth; an embedded vault beside them is the index that answers
//! questions and keeps the change log.
//!
//! | Of a note | In its file |
//! |---|---|
//! | path | the name below the folder, without `.md` |
//! | content | the text behind the front matter, byte for byte |
//! | id | key `id`; without one it is made of the path at first sight, and kept under other names by the index |
//! | tags | key `tags` (a list, or a text with commas; `#` or not); without one the lines of nothing but `#tags` before the text |
//! | time of creation | key `created`; else the time of the file when it was first seen |
//! | time of the last change | the time of the file |
//! | metadata | every other key; one that is called `id`, `created`, `tags` or `reveille` stands in an object under `reveille` |
//!
//! Written are only files of notes, and in files that people made only those of the keys above that a change is about, and
//! `id`. A write is a new file that takes the place of the old one in one step, after a last look that nobody was faster.
//! Hidden files and directories, links, files that are no UTF-8 or too large, and everything that is not `*.md` are left
//! alone. Front matter that cannot be read is never rewritten.
//!
//! Attachments are in the file store of the index, not in the folder.

mod also;
mod backup;
mod carry;
mod disk;
mod document;
pub(crate) mod fuzzing;
pub mod markdown;
mod moved;
mod paths;
mod place;
mod scan;
mod stamp;
mod state;
mod take;
mod watch;
mod write;
mod yaml;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinHandle;

use self::place::Place;
use self::state::State;
use self::watch::{Hint, Watch};
use crate::attachment::Files;
use crate::embedded::elsewhere::Elsewhere;
use crate::embedded::mirror::Source;
use crate::embedded::{self, Clock, EmbeddedVault};
use crate::links::Links;
use crate::note::{Note, NoteId};
use crate::profile::Profile;
use crate::store::{
    Backup, Capabilities, Change, Cursor, Key, Kind, NewNote, Page, Patch, Precondition, Query, Vault, VaultError,
    VaultState,
};
use crate::tags::Tags;
use crate::triggers::Triggers;

/// How a folder is opened.
#[derive(Clone)]
pub struct Options {
    /// The folder with the notes. It need not be there yet: until it is, the vault is unavailable.
    pub folder: PathBuf,
    /// File of the index (SQLite), outside the folder. It can be removed while the vault is closed: it is made again from the
    /// files, and what is only in it is lost: attachments, triggers, what was said of tags, and the ids of files without the
    /// key `id` that were renamed. One that is damaged is put aside (`….damaged-<time>`) and made again by itself.
    pub index: PathBuf,
    /// Largest file that is a note, in bytes.
    pub max_bytes: u64,
    /// Time between looks at the whole folder. What changes is seen at once through the system's watcher; this is for what the
    /// watcher misses.
    pub scan_every: Duration,
    /// Whether the system is asked to tell of changes. Without, as on a network mount, changes are found by looking.
    pub watch: bool,
    /// Source of `created_at` and `updated_at`.
    pub clock: Clock,
}

impl Options {
    /// The usual: 16 MiB, every 5 minutes, watched.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, index: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            index: index.into(),
            max_bytes: 16 << 20,
            scan_every: Duration::from_secs(300),
            watch: true,
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// A vault in a folder of Markdown files.
///
/// What is asked waits until the folder was read for the first time. Dropping the vault ends its work in the background;
/// [`Vault::close`] also waits for it.
pub struct FolderVault {
    folder: Arc<Folder>,
    end: channel::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What the vault and its work in the background share.
struct Folder {
    place: Arc<Place>,
    index: Arc<EmbeddedVault>,
    index_file: PathBuf,
    scan_every: Duration,
    clock: Clock,
    watch: Watch,
    /// Of the triggers.
    wake: channel::Receiver<u64>,
    /// Held by whoever brings files and index together.
    order: tokio::sync::Mutex<()>,
    /// Held by whoever looks at everything.
    scanning: tokio::sync::Mutex<()>,
    /// Sources that are read although they look as they did.
    reread: Mutex<HashSet<String>>,
    /// The folder was read, or could not be.
    ready: channel::Sender<bool>,
}

impl FolderVault {
    /// Opens the folder. The index and its directory are made when they are missing. The folder is read in the background,
    /// beginning at once; must be called on a Tokio runtime.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the path of the folder is none. A folder or an index that cannot be used is no error but a
    /// state.
    pub fn open(name: &str, options: Options) -> Result<Arc<Self>, VaultError> {
        let unusable = |reason: String| VaultError::Unavailable {
            vault: name.to_owned(),
            reason,
        };
        let root = std::path::absolute(&options.folder)
            .map_err(|error| unusable(format!("{} is no path of a folder ({error})", options.folder.display())))?;
        let of_index = embedded::Options {
            clock: Arc::clone(&options.clock),
            ..embedded::Options::default()
        };
        let (hints, heard) = mpsc::unbounded_channel();
        let state = State::new(name.to_owned(), root.clone());
        let watch = Watch::start(options.watch.then(|| root.clone()), hints.clone(), &state);
        let place = Arc::new(Place {
            name: name.to_owned(),
            root,
            max_bytes: options.max_bytes,
            state,
            hints,
            journal: beside(&options.index, ".batch"),
            identity: Mutex::default(),
            marks: Mutex::default(),
            done: Mutex::default(),
        });
        let elsewhere: Arc<dyn Elsewhere> = Arc::clone(&place) as Arc<dyn Elsewhere>;
        let index = EmbeddedVault::index(name, &options.index, of_index, Some(elsewhere));
        let wake = index.triggers()?.wake();
        let folder = Arc::new(Folder {
            place,
            index,
            index_file: options.index,
            scan_every: options.scan_every,
            clock: options.clock,
            watch,
            wake,
            order: tokio::sync::Mutex::default(),
            scanning: tokio::sync::Mutex::default(),
            reread: Mutex::default(),
            ready: channel::Sender::new(false),
        });
        let (end, ended) = channel::channel(false);
        let task = tokio::spawn(watch::follow(Arc::clone(&folder), heard, ended));
        Ok(Arc::new(Self {
            folder,
            end,
            task: Mutex::new(Some(task)),
        }))
    }
}

impl Drop for FolderVault {
    fn drop(&mut self) {
        // The task holds the folder until it hears of the end.
        self.end.send_replace(true);
        self.folder.watch.stop();
    }
}

impl Folder {
    /// Waits until the folder was read for the first time.
    async fn ready(&self) {
        // silent-ok: the sender lives as long as `self`
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    fn tell_ready(&self) {
        self.ready.send_replace(true);
    }

    /// Finishes what a crash has cut off, at first, and looks at everything.
    async fn start_or_scan(self: &Arc<Self>, first: bool) -> Result<(), VaultError> {
        let anew = self.mend_index().await?;
        if first {
            let place = Arc::clone(&self.place);
            self.blocking(move || place.finish_batch()).await?;
        }
        self.scan(first, first || anew).await
    }

    /// Opens the index when it is not open, and tries whether it works. One that is damaged is made anew: then the answer is
    /// `true`.
    async fn mend_index(self: &Arc<Self>) -> Result<bool, VaultError> {
        let looked = self.index.look(None).await;
        if !self.index.is_damaged() {
            return looked.map(|()| false);
        }
        let this = Arc::clone(self);
        let is_empty = self.blocking(move || Ok(this.walk("").files.is_empty())).await?;
        if is_empty {
            let folder = self.place.root.display();
            let reason = format!(
                "its index is damaged, and there is no note in {folder} of which it could be made anew: is the disk mounted?"
            );
            return Err(self.place.state.unavailable(reason));
        }
        let _order = self.order.lock().await;
        // Nobody is told that notes are not there.
        self.ready.send_replace(false);
        self.index.begin_anew().await?;
        Ok(true)
    }

    /// Passes an outcome on. When it shows that the index is damaged, that is dealt with at once.
    fn noticed<T>(&self, outcome: Result<T, VaultError>) -> Result<T, VaultError> {
        if outcome.is_err() && self.index.is_damaged() {
            self.place.hint(Hint::Everything);
        }
        outcome
    }

    fn reread(&self, name: String) {
        self.reread.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Those of the names that must be read.
    fn take_reread(&self, names: &[(String, Option<Source>)]) -> HashSet<String> {
        let mut reread = self.reread.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().filter_map(|(name, _)| reread.take(name)).collect()
    }

    /// Runs work on files on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(self
                .place
                .state
                .unavailable(format!("work on its files was given up ({error})"))),
        }
    }
}

/// A file beside another one.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Paths are compared in composed form.
fn composed(key: &Key) -> Key {
    match key {
        Key::Id(id) => Key::Id(id.clone()),
        Key::Path(path) => Key::Path(paths::composed(path)),
        Key::IdOrPath(text) => Key::IdOrPath(paths::composed(text)),
    }
}

#[async_trait]
impl Vault for FolderVault {
    fn name(&self) -> &str {
        &self.folder.place.name
    }

    fn kind(&self) -> Kind {
        Kind::Folder
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            without_path: false,
            ..Capabilities::ALL
        }
    }

    fn state(&self) -> VaultState {
        match self.folder.index.state() {
            VaultState::Ready => self.folder.place.state.get(),
            VaultState::Degraded { reason, since } => match self.folder.place.state.get() {
                VaultState::Ready => VaultState::Degraded { reason, since },
                worse => worse,
            },
            VaultState::Unavailable { reason, since } => VaultState::Unavailable {
                reason: format!(
                    "its index cannot be used: {reason}. It can be removed: it is made again from the files"
                ),
                since,
            },
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        self.folder.ready().await;
        self.folder.noticed(self.folder.index.get(&composed(key)).await)
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        self.folder.ready().await;
        self.folder.noticed(self.folder.index.query(query).await)
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.folder.ready().await;
        self.folder.noticed(self.folder.create_all(notes).await)
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        self.folder.ready().await;
        self.folder
            .noticed(self.folder.patch(&composed(key), &patch, precondition).await)
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        self.folder.ready().await;
        self.folder.noticed(self.folder.upsert(path, &patch, create).await)
    }

    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        self.folder.ready().await;
        self.folder.noticed(self.folder.delete(&composed(key)).await)
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.folder.noticed(self.folder.index.changes(since, limit).await)
    }

    async fn log(&self) -> Result<String, VaultError> {
        self.folder.noticed(self.folder.index.log().await)
    }

    fn files(&self) -> &dyn Files {
        self.folder.index.files()
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        Ok(self)
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        self.folder.index.links()
    }

    fn profile(&self) -> &dyn Profile {
        self.folder.index.profile()
    }

    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        Ok(self)
    }

    fn watch(&self) -> channel::Receiver<Cursor> {
        self.folder.index.watch()
    }

    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
        self.folder.ready().await;
        match note {
            None => {
                let outcome = self.folder.scan(false, true).await;
                if outcome.is_err() {
                    self.folder.place.hint(Hint::Trouble);
                }
                outcome
            }
            Some(id) => self.folder.look_at_note(id).await,
        }
    }

    async fn back_up(&self, dir: &Path, replace: bool) -> Result<Backup, VaultError> {
        self.copy_into(dir, replace).await
    }

    async fn close(&self) {
        self.end.send_replace(true);
        self.folder.watch.stop();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::warn!(vault = self.folder.place.name, %error, "the work on the folder did not end well");
        }
        let _order = self.folder.order.lock().await;
        self.folder.index.close().await;
    }
}
