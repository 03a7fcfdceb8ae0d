//! The contract that every kind of vault keeps.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::attachment::{Files, NewAttachment};
use crate::embedded::rules;
use crate::links::{Links, Near, NewLink, OldLink};
use crate::note::{Metadata, Note, NoteId};
use crate::profile::Profile;
use crate::query::{FieldSpan, Filter, OrderBy, Span};
use crate::scope::TagScope;
use crate::tags::Tags;
use crate::triggers::Triggers;

/// Position in a vault's change log. Starts at 0; grows by one or more with each change; never reused.
pub type Cursor = u64;

/// How a note is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// By identity only.
    Id(NoteId),
    /// By exact path only.
    Path(String),
    /// As in a URL: the identity first, then the exact path.
    IdOrPath(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Path(text) | Self::IdOrPath(text) => f.write_str(text),
        }
    }
}

/// A note to be created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewNote {
    /// Chosen by the writer, or made by the vault.
    pub id: Option<NoteId>,
    /// Normalised on write.
    pub path: Option<String>,
    /// The body. A note needs a body that is not blank, or a path.
    pub content: String,
    /// A leading `#` is cut off, duplicates are dropped.
    pub tags: Vec<String>,
    /// Free JSON object.
    pub metadata: Metadata,
    /// Now, when absent.
    pub created_at: Option<Timestamp>,
    /// Stored files that belong to it from the beginning.
    pub attachments: Vec<NewAttachment>,
    /// Links to other notes, beside those that stand in the body.
    pub links: Vec<NewLink>,
}

impl NewNote {
    /// The note that comes of it, without writing one: for what depends on how it will be stored.
    ///
    /// # Errors
    /// [`VaultError::Empty`], [`VaultError::Invalid`].
    pub fn preview(&self) -> Result<Note, VaultError> {
        rules::created(self.clone(), Timestamp::now())
    }
}

/// What a patch does to the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ContentChange {
    /// Left alone.
    #[default]
    Keep,
    /// Replaced.
    Replace(String),
    /// Text put in front (after a leading `---` front-matter block) and behind, without separators.
    Extend {
        /// In front.
        prepend: String,
        /// Behind.
        append: String,
    },
    /// The one place where `old` stands becomes `new`.
    Edit {
        /// Must occur exactly once.
        old: String,
        /// Its replacement.
        new: String,
    },
}

/// A change of one note. `default()` changes nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// The body.
    pub content: ContentChange,
    /// `Some(None)` takes the path away, `Some(Some(p))` renames.
    pub path: Option<Option<String>>,
    /// Merged key by key at the top level; a null value is stored as null.
    pub metadata: Metadata,
    /// Keys to take away, after the merge.
    pub remove_metadata: Vec<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to take away.
    pub remove_tags: Vec<String>,
    /// New time of creation.
    pub created_at: Option<Timestamp>,
    /// Links to add; one with the same target and relationship gets the metadata of this one.
    pub add_links: Vec<NewLink>,
    /// Links to take away, before others are added. Those of the body stay.
    pub remove_links: Vec<OldLink>,
}

impl Patch {
    /// What it makes of a note, without writing it. Links are no part of that.
    ///
    /// # Errors
    /// [`VaultError::Empty`], [`VaultError::EditNotFound`], [`VaultError::EditAmbiguous`], [`VaultError::Invalid`].
    pub fn preview(&self, note: &Note) -> Result<Note, VaultError> {
        let after = rules::patched(note, self.clone(), Precondition::Force, note.updated_at)?;
        Ok(after.unwrap_or_else(|| note.clone()))
    }
}

/// What must hold for a patch to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// None (`force`).
    Force,
    /// The note's `updated_at` is still this.
    UpdatedAt(Timestamp),
}

/// Which notes to list. `default()`: all of them, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Any of these tags (all of them with `all_tags`), or a kind of them (see [`Tags`]); empty: every note.
    pub tags: Vec<String>,
    /// The tags literally, without what is a kind of them.
    pub exact_tags: bool,
    /// Every tag of `tags` must be there.
    pub all_tags: bool,
    /// None of these, literally.
    pub exclude_tags: Vec<String>,
    /// Equal, without regard to ASCII case.
    pub path: Option<String>,
    /// Literal prefix, without regard to ASCII case.
    pub path_prefix: Option<String>,
    /// Metadata keys that must have exactly this text, number or boolean.
    pub metadata: Vec<(String, String)>,
    /// Notes with (`true`) or without (`false`) links from or to another note.
    pub has_links: Option<bool>,
    /// Notes near this one.
    pub near: Option<Near>,
    /// Conditions on metadata fields, all of them.
    pub filters: Vec<Filter>,
    /// Carries a tag at all, or none. Means nothing beside `tags`.
    pub has_tags: Option<bool>,
    /// When it was created.
    pub created: Span,
    /// When it was changed last. `from` is what a client asks that looks for news.
    pub updated: Span,
    /// A range of an indexed metadata field.
    pub dated: Option<FieldSpan>,
    /// Words of the body: an FTS5 expression, or plain text, of which every word must occur. Blank text finds nothing.
    pub search: Option<String>,
    /// Default: the best match first for a `search` (whatever `descending` says), the time of creation otherwise.
    pub order_by: Option<OrderBy>,
    /// Last comes first.
    pub descending: bool,
    /// Most notes to answer. `None`: all.
    pub limit: Option<u32>,
    /// Notes to pass over.
    pub offset: u32,
    /// Continue after this cursor of an earlier [`Page`].
    pub after: Option<String>,
    /// Only notes that this scope sees, whatever else is asked for. `None`: no bounds.
    pub scope: Option<TagScope>,
}

/// A part of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// In the asked order.
    pub notes: Vec<Note>,
    /// For [`Query::after`]; absent on the last page.
    pub next: Option<String>,
}

/// What happened to a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was written for the first time.
    Created,
    /// Anything of it changed.
    Updated,
    /// It is gone.
    Deleted,
}

/// One row of the change log. The note is as it is *now*: two changes of one note may show the same state.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Position of the row.
    pub cursor: Cursor,
    /// The note.
    pub id: NoteId,
    /// What happened.
    pub kind: ChangeKind,
    /// Present state; `None` when it has been deleted since, or cannot be read.
    pub note: Option<Note>,
    /// Why the note, which is there, cannot be read.
    pub unreadable: Option<String>,
}

/// A vault could not do what was asked. The message is for a person and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No note under that key.
    #[error("no note {key:?}")]
    NotFound {
        /// The key as asked.
        key: String,
    },
    /// The note has changed since it was read.
    #[error("note {id} has changed since it was read (now {current})")]
    Conflict {
        /// The note.
        id: NoteId,
        /// Its path.
        path: Option<String>,
        /// Its present `updated_at`.
        current: Timestamp,
        /// The asked one.
        expected: Timestamp,
    },
    /// Another note has that path.
    #[error("a note with the path {path:?} exists already")]
    PathTaken {
        /// The normalised path.
        path: String,
    },
    /// Another note has that identity.
    #[error("a note with the id {id:?} exists already")]
    IdTaken {
        /// The identity.
        id: NoteId,
    },
    /// No file is stored under that path.
    #[error("no file is stored under {path:?}; upload it first")]
    NoFile {
        /// The path as asked.
        path: String,
    },
    /// The note would have neither a body nor a path.
    #[error("a note needs text or a path")]
    Empty,
    /// `ContentChange::Edit::old` is not in the body.
    #[error("the text to replace does not occur in the note")]
    EditNotFound,
    /// `ContentChange::Edit::old` stands in several places.
    #[error("the text to replace occurs {count} times in the note; make it longer so that it occurs once")]
    EditAmbiguous {
        /// How often it occurs.
        count: usize,
    },
    /// No tag has that name.
    #[error("there is no tag {tag:?}")]
    NoTag {
        /// The name as asked.
        tag: String,
    },
    /// Another tag has that name.
    #[error("a tag {tag:?} exists already; merge the two instead")]
    TagTaken {
        /// The name.
        tag: String,
    },
    /// Something in the request breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// A listing is to be ordered or bounded by a metadata field of which there is no index, or would have to read too
    /// many notes without one.
    #[error("the metadata field {field:?} is not indexed; declare it as indexed in the schema of a tag")]
    FieldNotIndexed {
        /// The field.
        field: String,
    },
    /// Who asks may not do that.
    #[error("{0}")]
    Forbidden(String),
    /// Who asks is let in for some tags only, and the note would have none of them.
    #[error("the note would carry none of the tags {tags:?} that this is limited to; nothing was written")]
    OutsideScope {
        /// The tags.
        tags: Vec<String>,
    },
    /// This kind of vault, or the version of the peer behind it, cannot do that. See [`Vault::capabilities`].
    #[error("the vault {vault:?} cannot {what}")]
    Unsupported {
        /// Name of the vault.
        vault: String,
        /// What was asked, as a verb phrase such as `search the text of notes`.
        what: String,
    },
    /// The stored form of this note cannot be read. The others are not touched by that; the note can be deleted.
    #[error("the note {note} cannot be read: {reason}; delete it, or restore the vault from a backup")]
    Damaged {
        /// Its identity.
        note: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The vault cannot be used now (disk full, file gone, peer down). Asking again later may help.
    #[error("the vault {vault:?} is not usable now: {reason}")]
    Unavailable {
        /// Name of the vault.
        vault: String,
        /// What its storage said.
        reason: String,
    },
}

/// Where the notes of a vault are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// In an SQLite file of the daemon.
    Embedded,
    /// Behind the HTTP API of a Parachute vault.
    Parachute,
    /// In a folder of Markdown files.
    Folder,
}

/// A copy of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The copy of the database, or of the index of notes that are files (the folder itself while there is no index). The
    /// copies of the files that belong to notes are beside it, in `<file>-files`.
    pub file: PathBuf,
    /// The copy of the folder, where notes are files.
    pub folder: Option<PathBuf>,
    /// Notes in it.
    pub notes: u64,
    /// Files of notes in it; of a folder, whatever else is there.
    pub files: u64,
    /// Size of all.
    pub bytes: u64,
}

/// What a vault can do beyond what every kind can. What it cannot is refused with [`VaultError::Unsupported`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Several new notes are written all or none.
    pub atomic_batches: bool,
    /// A metadata key can be taken away.
    pub remove_metadata: bool,
    /// The text of notes can be searched.
    pub search: bool,
    /// Listings have other orders than the time of creation.
    pub order_by: bool,
    /// Listings are narrowed by conditions on metadata fields, by dates, and by whether there are tags.
    pub operators: bool,
    /// Tags have descriptions and fields: [`Vault::tags`].
    pub tag_schemas: bool,
    /// A tag can be a kind of another one by its schema, and queries know it.
    pub tag_parents: bool,
    /// Notes have links: [`Vault::links`], [`Query::near`], [`Query::has_links`].
    pub links: bool,
    /// It tells others of writes: [`Vault::triggers`].
    pub triggers: bool,
    /// A note can be without a path. Where it cannot, the vault gives it one.
    pub without_path: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self {
        atomic_batches: true,
        remove_metadata: true,
        search: true,
        order_by: true,
        operators: true,
        tag_schemas: true,
        tag_parents: true,
        links: true,
        triggers: true,
        without_path: true,
    };
}

/// How a vault stands now. Whatever it is, what was accepted is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum VaultState {
    /// It reads and writes.
    #[default]
    Ready,
    /// It works in part; says what does not and what to do.
    Degraded {
        /// For a person.
        reason: String,
        /// When that began.
        since: Timestamp,
    },
    /// It cannot be used; says why and what to do. It is tried again.
    Unavailable {
        /// For a person.
        reason: String,
        /// When that began.
        since: Timestamp,
    },
}

/// One write of [`Vault::write_together`].
#[derive(Debug, Clone)]
pub enum Write {
    /// Changes a note, whatever it is now, as [`Vault::patch`] does.
    Patch(NoteId, Patch),
    /// Makes one, as [`Vault::create`] does.
    Create(NewNote),
}

/// How often a kind is looked at that cannot tell that it stands otherwise than before.
const UNTOLD: Duration = Duration::from_secs(1);

/// A place where notes live. All writes are durable when they return.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Name of the vault, as in `/vault/<name>`.
    fn name(&self) -> &str;

    /// Where its notes are.
    fn kind(&self) -> Kind;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// How it stands, as far as is known without asking.
    fn state(&self) -> VaultState;

    /// One note, or `None`.
    ///
    /// # Errors
    /// [`VaultError::Damaged`], [`VaultError::Unavailable`].
    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError>;

    /// A listing. Notes that cannot be read are left out, and [`Vault::state`] names them.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for a bad cursor, [`VaultError::FieldNotIndexed`], [`VaultError::NotFound`] for the note of
    /// [`Query::near`], [`VaultError::Unavailable`].
    async fn query(&self, query: &Query) -> Result<Page, VaultError>;

    /// Writes new notes, all or none.
    ///
    /// # Errors
    /// [`VaultError::PathTaken`], [`VaultError::IdTaken`], [`VaultError::Empty`], [`VaultError::NoFile`],
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError>;

    /// Writes one new note. Errors as [`Vault::create_all`].
    async fn create(&self, note: NewNote) -> Result<Note, VaultError> {
        let mut notes = self.create_all(vec![note]).await?;
        notes.pop().ok_or_else(|| VaultError::Unavailable {
            vault: self.name().to_owned(),
            reason: "the vault answered no note".into(),
        })
    }

    /// Changes one note. A patch that changes nothing writes nothing and answers the note as it is. With a new path the
    /// wikilinks of other notes that named the old one name the new one, in the same transaction.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Conflict`], [`VaultError::PathTaken`], [`VaultError::Empty`],
    /// [`VaultError::EditNotFound`], [`VaultError::EditAmbiguous`], [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError>;

    /// Does these writes in this order, all or none, in one step. `false`: this kind of vault knows no such step, and nothing was
    /// done.
    ///
    /// # Errors
    /// Those of [`Vault::create_all`] and of [`Vault::patch`].
    async fn write_together(&self, _writes: Vec<Write>) -> Result<bool, VaultError> {
        Ok(false)
    }

    /// Changes the note at `path`, or creates it there with `create`. The flag says whether it was created.
    ///
    /// # Errors
    /// As [`Vault::patch`] and [`Vault::create_all`].
    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError>;

    /// Removes a note for good, and the files that belong to no other.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Unavailable`].
    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError>;

    /// Up to `limit` rows of the change log after `since`, oldest first; fewer when their notes are large. Empty only when
    /// there are no more.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError>;

    /// Identity of the change log: a cursor means something in the log of that identity only. A copy of a vault has the
    /// same one.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn log(&self) -> Result<String, VaultError>;

    /// Files that belong to notes.
    fn files(&self) -> &dyn Files;

    /// Tags as such.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] without [`Capabilities::tag_schemas`].
    fn tags(&self) -> Result<&dyn Tags, VaultError>;

    /// Links between notes.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] without [`Capabilities::links`].
    fn links(&self) -> Result<&dyn Links, VaultError>;

    /// The vault as a whole.
    fn profile(&self) -> &dyn Profile;

    /// Whom it tells of writes.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] by a kind that has none, [`VaultError::Forbidden`] when who asks may not.
    fn triggers(&self) -> Result<&dyn Triggers, VaultError>;

    /// The newest cursor. A change of the value is a hint to ask for [`Vault::changes`]; the log is the truth.
    fn watch(&self) -> watch::Receiver<Cursor>;

    /// Somebody says that something has changed where the notes are: looks now instead of at the next scan. `note`: at that
    /// note only. What was found is in the change log when this returns. A kind whose log is always complete looks after its
    /// storage: whether it can be opened, and whether what failed last works again.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]; the next scan finds it all the same.
    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError>;

    /// Returns when everything was looked at where the notes are, once and since now, as the kind does by itself: from then on
    /// what was known before and has gone away meanwhile can be told from what is there. At once for a kind whose log is
    /// always complete. Dropping the future loses nothing.
    async fn looked_through(&self) {}

    /// Returns when the vault may stand otherwise than before, or when its storage should be looked after: see
    /// [`Vault::look`]. A kind that cannot tell returns after a second. Dropping the future loses nothing.
    async fn disturbed(&self) {
        tokio::time::sleep(UNTOLD).await;
    }

    /// Copies the vault into a directory (0700, made when it is missing) while it is in use, looks whether the copy can be
    /// read, and leaves nothing behind when it cannot be made. Everything is on the disk when this returns. Put back in its
    /// place, the copy is the vault as it was at one moment; of notes that are files, each as it was at one moment.
    ///
    /// With `_replace`, an earlier copy there is replaced by this one once it is whole.
    ///
    /// # Errors
    /// [`VaultError::Invalid`]: there is a copy already, or the directory cannot be written; [`VaultError::Unavailable`]: the
    /// vault cannot be read; [`VaultError::Unsupported`]: its notes are on another machine.
    async fn back_up(&self, _dir: &Path, _replace: bool) -> Result<Backup, VaultError> {
        Err(VaultError::Unsupported {
            vault: self.name().to_owned(),
            what: "be backed up here: its notes are elsewhere".into(),
        })
    }

    /// Finishes what was accepted and ends what runs in the background. What is asked later answers
    /// [`VaultError::Unavailable`].
    async fn close(&self);
}
