//! Notes: the model, the [`Vault`] trait, its kinds (embedded on SQLite, a Parachute vault over HTTP), and the typed `agent/*`
//! notes that are parsed from and rendered to notes. Owns the notes, their files and their change log. Must never know of
//! queues or processes, and of HTTP only as the client of another vault.
#![forbid(unsafe_code)]

pub mod agent;
mod attachment;
pub mod embedded;
pub mod embeds;
pub mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod links;
pub mod note;
pub mod parachute;
mod profile;
pub mod query;
mod scope;
mod store;
mod tags;
pub mod triggers;
pub mod wikilink;

pub use attachment::{
    Attachment, Files, NewAttachment, NewFile, OpenFile, StoredFile, UNKNOWN_TYPE, Upload, media_type,
};
pub use embedded::EmbeddedVault;
pub use folder::{FolderVault, markdown};
pub use links::{Link, Links, Near, Neighbour, NewLink, OldLink, Trail, Unresolved};
pub use note::{Metadata, Note, NoteId};
pub use parachute::ParachuteVault;
pub use profile::{Profile, Stats};
pub use query::{FieldSpan, Filter, OrderBy, Span, Test};
pub use scope::TagScope;
pub use store::{
    Backup, Capabilities, Change, ChangeKind, ContentChange, Cursor, Key, Kind, NewNote, Page, Patch, Precondition,
    Query, Vault, VaultError, VaultState, Write,
};
pub use tags::{Tag, TagChange, Tags};
pub use triggers::Triggers;
