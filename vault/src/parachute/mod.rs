//! A Parachute vault: notes behind the HTTP API of another server.
//!
//! The notes are there; here is an index (an embedded vault in a file of its own) of those that agents live on, and its change
//! log is this vault's. A scan compares both sides, so that no note depends on a webhook: a hint ([`Vault::look`]) only makes
//! the scan come sooner. What is written through this door goes to the peer, is answered by it, and stands in the index
//! before the writer is answered. Reading single notes and listings asks the peer; when it is silent, listings of the tags
//! that the scan follows are answered from the index.
//!
//! It needs nothing of the peer but the oldest API: no upsert, no triggers, no filters on metadata. `docs/parachute.md` says
//! what that means to those who use it.

mod files;
mod first;
mod health;
mod http;
mod listing;
mod profile;
mod scan;
mod touched;
mod unread;
mod wire;
mod worker;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};

use self::files::Sizes;
pub use self::first::FirstConnect;
use self::http::{Ask, Client, segment};
use self::touched::Touched;
use self::unread::Unread;
use self::wire::Raw;
use self::worker::Worker;
use crate::attachment::Files;
use crate::embedded::{self, EmbeddedVault};
use crate::links::Links;
use crate::note::{Note, NoteId};
use crate::profile::Profile;
use crate::store::{
    Capabilities, Change, Cursor, Key, Kind, NewNote, Page, Patch, Precondition, Query, Vault, VaultError, VaultState,
};
use crate::tags::Tags;
use crate::triggers::Triggers;

/// What reads a token; the error says what is in the way, and never what was read.
type Read = dyn Fn() -> Result<Option<String>, String> + Send + Sync;

/// What lets us in. It is read before the first request, and again when the peer has refused it: it may be renewed while
/// everything runs.
#[derive(Clone)]
pub struct Token(Arc<Read>);

impl Token {
    /// One that is always the same.
    pub fn fixed(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::read_by(move || Ok(Some(text.clone())))
    }

    /// One that is read where it is kept; `None`: nothing is shown to the peer.
    pub fn read_by(read: impl Fn() -> Result<Option<String>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    fn read(&self) -> Result<Option<String>, String> {
        (self.0)()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// How a Parachute vault is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the server, such as `http://127.0.0.1:1940`.
    pub url: String,
    /// Name of the vault there.
    pub vault: String,
    /// A token of that vault, with `vault:write`.
    pub token: Token,
    /// File of the index. It is made when it is missing, and may be thrown away while nothing runs: then everything counts
    /// as a first connection.
    pub index: PathBuf,
    /// Pause between two scans.
    pub poll: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// Pause between two scans of everything. It grows when such a scan takes long.
    pub full_scan: Duration,
    /// What happens to messages that are there at the first connection.
    pub first_connect: FirstConnect,
    /// Threads are followed as definitions are, for those to whom they define agents.
    pub follow_threads: bool,
}

impl Options {
    /// With the defaults: a scan each 2 s, one of everything each 5 minutes, 10 s for a request.
    #[must_use]
    pub fn new(url: impl Into<String>, vault: impl Into<String>, token: Token, index: PathBuf) -> Self {
        Self {
            url: url.into(),
            vault: vault.into(),
            token,
            index,
            poll: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            full_scan: Duration::from_secs(5 * 60),
            first_connect: FirstConnect::default(),
            follow_threads: false,
        }
    }
}

/// What the vault and its scan share.
struct Core {
    name: String,
    client: Client,
    index: Arc<EmbeddedVault>,
    touched: Touched,
    unread: Unread,
    /// Held while the index takes something over, so that it never goes back to what was read before.
    mirroring: Mutex<()>,
    first_connect: FirstConnect,
    follow_threads: bool,
    sizes: Sizes,
    locks: write::Locks,
}

impl Core {
    fn unsupported(&self, what: impl Into<String>) -> VaultError {
        VaultError::Unsupported {
            vault: self.name.clone(),
            what: what.into(),
        }
    }

    /// A note by its identity.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn fetch_id(&self, id: &NoteId) -> Result<Option<Raw>, VaultError> {
        Ok(self.fetch_segment(id.as_str()).await?.filter(|raw| raw.note.id == *id))
    }

    /// A note as the peer finds it: by identity, then by exact path.
    async fn fetch_segment(&self, text: &str) -> Result<Option<Raw>, VaultError> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut ask = Ask::new(::http::Method::GET, format!("/notes/{}", segment(text)));
        ask.query = vec![("include_content", "true".into())];
        let answer = self.client.ask(ask).await?;
        match answer.status.as_u16() {
            200..=299 => wire::one(answer.body)
                .map(Some)
                .map_err(|reason| self.client.garbled(&reason)),
            404 => Ok(None),
            _ => Err(self.client.garbled(&format!("it answered {} to a note", answer.status))),
        }
    }

    async fn fetch(&self, key: &Key) -> Result<Option<Raw>, VaultError> {
        match key {
            Key::Id(id) => self.fetch_id(id).await,
            Key::IdOrPath(text) => self.fetch_segment(text).await,
            Key::Path(path) => match self.fetch_segment(path).await? {
                Some(raw) if raw.note.path.as_deref() != Some(path) => self.fetch_path(path).await,
                found => Ok(found),
            },
        }
    }

    /// A note whose path is another one's identity.
    async fn fetch_path(&self, path: &str) -> Result<Option<Raw>, VaultError> {
        let mut ask = Ask::new(::http::Method::GET, "/notes".into());
        ask.query = vec![
            ("path", path.to_owned()),
            ("include_content", "true".into()),
            ("limit", "200".into()),
        ];
        // The peer does not look at case.
        let mut found = self.list(ask).await?.into_iter();
        Ok(found.find(|raw| raw.note.path.as_deref() == Some(path)))
    }
}

/// A vault behind the HTTP API of a Parachute vault.
pub struct ParachuteVault {
    core: Arc<Core>,
    worker: Worker,
}

impl ParachuteVault {
    /// Opens the vault `name`. The peer is not asked: when it is down, the vault says so ([`Vault::state`]) and what is known
    /// of it goes on. The scan begins at once. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`VaultError::Invalid`]: the address can be none.
    pub fn open(name: &str, options: Options) -> Result<Arc<Self>, VaultError> {
        let client = Client::new(name, &options.url, &options.vault, options.token, options.timeout)?;
        let core = Arc::new(Core {
            name: name.to_owned(),
            client,
            index: EmbeddedVault::index(name, &options.index, embedded::Options::default(), None),
            touched: Touched::default(),
            unread: Unread::default(),
            mirroring: Mutex::default(),
            first_connect: options.first_connect,
            follow_threads: options.follow_threads,
            sizes: Sizes::default(),
            locks: write::Locks::default(),
        });
        let worker = Worker::start(Arc::clone(&core), options.poll, options.full_scan);
        Ok(Arc::new(Self { core, worker }))
    }
}

#[async_trait]
impl Vault for ParachuteVault {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn kind(&self) -> Kind {
        Kind::Parachute
    }

    /// The peer writes several notes one by one, and cannot take a metadata key away: it becomes `""`, which counts as absent.
    /// It lists by time of creation only, and what its search finds has no pages. Conditions are looked at here. Schemas,
    /// links and triggers are left to those who work with the server itself: in the oldest one, fields of a schema are written
    /// into the notes of everybody.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            atomic_batches: false,
            remove_metadata: false,
            search: false,
            order_by: false,
            operators: true,
            tag_schemas: false,
            tag_parents: false,
            links: false,
            triggers: false,
            without_path: true,
        }
    }

    /// The worse of the index and the peer.
    fn state(&self) -> VaultState {
        match self.core.index.state() {
            VaultState::Ready => self.core.client.state(),
            trouble => trouble,
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        Ok(self.core.fetch(key).await?.map(|raw| raw.note))
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        match self.core.page_of(query).await {
            Err(VaultError::Unavailable { .. }) if query.after.is_none() && self.core.are_followed(&query.tags) => {
                self.core.index.query(query).await
            }
            outcome => outcome,
        }
    }

    async fn create_all(&self, mut notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        match (notes.pop(), notes.is_empty()) {
            (None, _) => Ok(Vec::new()),
            (Some(note), true) => Ok(vec![self.core.create(note).await?]),
            (Some(_), false) => Err(self
                .core
                .unsupported("write several notes all or none; write them one by one")),
        }
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        self.core.patch(key, patch, precondition).await
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        self.core.upsert(path, patch, create).await
    }

    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        self.core.delete(key).await
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.core.index.changes(since, limit).await
    }

    async fn log(&self) -> Result<String, VaultError> {
        self.core.index.log().await
    }

    fn files(&self) -> &dyn Files {
        self
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        Err(self.core.unsupported("describe its tags; do that there"))
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        Err(self.core.unsupported("tell its links; they are there"))
    }

    fn profile(&self) -> &dyn Profile {
        self
    }

    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        Err(self.core.unsupported("tell others of writes; its own server does"))
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.core.index.watch()
    }

    /// Compares what is new, and then looks at the note itself: whoever names one may have been preceded by others whose
    /// hints were lost, and those come first.
    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
        self.worker.scan_now().await?;
        match note {
            Some(note) if self.core.index.source_of(note).await?.is_none() => self.core.look_at(note).await,
            _ => Ok(()),
        }
    }

    async fn looked_through(&self) {
        self.worker.next_scan().await;
    }

    async fn close(&self) {
        self.worker.stop().await;
        self.core.index.close().await;
    }
}
