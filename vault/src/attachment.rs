//! Files that belong to notes: the model, and what every kind of vault does with them.
//!
//! A file is uploaded first and belongs to no note; then it is attached, also to several notes. Its path is given by the
//! vault and means nothing on any machine.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::AsyncRead;

use crate::note::NoteId;
use crate::store::{Key, VaultError};

/// What a file is when nobody says it.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Longest name of a file, in characters.
const NAME_CHARS: usize = 255;

/// A file to be uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewFile {
    /// As the sender calls it: any text. It is shown and kept, and never used as a path.
    pub filename: String,
    /// Such as `image/png`; [`UNKNOWN_TYPE`] when absent or no media type.
    pub mime_type: Option<String>,
}

/// A file whose bytes the vault holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// How it is asked for, such as `2026-11-20/0199….png`.
    pub path: String,
    /// As its sender called it.
    pub filename: String,
    /// Media type without parameters.
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
    /// End of the upload.
    pub created_at: Timestamp,
}

/// A stored file with its bytes.
pub struct OpenFile {
    /// What it is.
    pub file: StoredFile,
    /// From the first byte on.
    pub bytes: Box<dyn AsyncRead + Send + Unpin>,
}

/// A stored file that shall belong to a note.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAttachment {
    /// [`StoredFile::path`].
    pub path: String,
    /// Another name than the stored one.
    pub filename: Option<String>,
    /// Another media type than the stored one.
    pub mime_type: Option<String>,
}

impl NewAttachment {
    /// The file as it was uploaded.
    #[must_use]
    pub fn of(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }
}

/// A file of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Opaque identity of the attachment, not of the file.
    pub id: String,
    /// The note.
    pub note: NoteId,
    /// [`StoredFile::path`].
    pub path: String,
    /// Its name on this note.
    pub filename: String,
    /// Media type without parameters.
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
    /// When it was attached.
    pub created_at: Timestamp,
}

/// A file on its way into a vault. Dropped before [`Upload::finish`]: nothing of it is kept.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`], a full disk for instance.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError>;

    /// The file is whole. It is durable when this returns.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]; then nothing of it is kept.
    async fn finish(self: Box<Self>) -> Result<StoredFile, VaultError>;
}

/// The files of a vault. All writes are durable when they return. None of them is a change of a note: the change log does
/// not name it, and `updated_at` stays.
#[async_trait]
pub trait Files: Send + Sync {
    /// Begins an upload. How large a file may be is the caller's decision.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn upload(&self, file: NewFile) -> Result<Box<dyn Upload>, VaultError>;

    /// A stored file, or `None`.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`], also when the bytes of a known file are gone.
    async fn open(&self, path: &str) -> Result<Option<OpenFile>, VaultError>;

    /// The attachments of a note in the order in which they were attached.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::Unavailable`].
    async fn attachments(&self, note: &Key) -> Result<Vec<Attachment>, VaultError>;

    /// The notes that a stored file is attached to, each once; none when there is no such file.
    ///
    /// # Errors
    /// [`VaultError::Unsupported`] where that cannot be known, [`VaultError::Unavailable`].
    async fn notes_of(&self, path: &str) -> Result<Vec<NoteId>, VaultError>;

    /// Attaches a stored file to a note.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::NoFile`], [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn attach(&self, note: &Key, attachment: NewAttachment) -> Result<Attachment, VaultError>;

    /// Takes an attachment off its note. The file goes with the last of its attachments.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for the note or the attachment, [`VaultError::Unavailable`].
    async fn detach(&self, note: &Key, attachment: &str) -> Result<(), VaultError>;

    /// Removes the files that were uploaded before `before` and were never attached. Answers how many.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn sweep(&self, before: Timestamp) -> Result<u64, VaultError>;
}

/// A file's name as it is kept: without control characters, cut at 255 characters; `file` when nothing is left.
pub(crate) fn file_name(text: &str) -> String {
    let name: String = text.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
    if name.trim().is_empty() { "file".into() } else { name }
}

/// A media type without its parameters, in lower case; `None` when the text is none.
#[must_use]
pub fn media_type(text: &str) -> Option<String> {
    let token = |part: &str| {
        (1..=127).contains(&part.len())
            && part
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&c))
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/')?;
    (token(kind) && token(subtype)).then(|| essence.to_ascii_lowercase())
}

/// The path of a new file. The extension is the name's, when it is a plain one: a person sees it in links.
pub(crate) fn storage_path(id: uuid::Uuid, filename: &str, at: Timestamp) -> String {
    let plain =
        |extension: &&str| (1..=16).contains(&extension.len()) && extension.bytes().all(|c| c.is_ascii_alphanumeric());
    let day = at.strftime("%Y-%m-%d");
    match filename.rsplit_once('.').map(|(_, extension)| extension).filter(plain) {
        Some(extension) => format!("{day}/{id}.{}", extension.to_ascii_lowercase()),
        None => format!("{day}/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn media_types_lose_their_parameters_and_what_is_none_is_told() {
        for (text, expected) in [
            ("image/PNG", Some("image/png")),
            (" text/plain; charset=utf-8", Some("text/plain")),
            ("application/vnd.api+json", Some("application/vnd.api+json")),
            ("", None),
            ("png", None),
            ("/png", None),
            ("image/", None),
            ("image/png)\n- /etc/passwd (x", None),
            ("a/b/c", None),
        ] {
            assert_eq!(media_type(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn paths_say_the_day_and_a_plain_extension() {
        let at = Timestamp::from_millisecond(1_795_213_331_181).unwrap();
        let path = |name: &str| storage_path(uuid::Uuid::nil(), name, at);
        const ID: &str = "2026-11-20/00000000-0000-0000-0000-000000000000";
        assert_eq!(path("a.b.PNG"), format!("{ID}.png"));
        for name in ["a", "", "a.", "a.p/../x", "a.p n", "x.aaaaaaaaaaaaaaaaa", "a.é"] {
            assert_eq!(path(name), ID, "{name}");
        }
    }

    #[test]
    fn names_keep_everything_that_can_be_shown() {
        assert_eq!(file_name("../ü b.txt"), "../ü b.txt");
        assert_eq!(file_name("a\0\r\nb"), "ab");
        assert_eq!(file_name("\n "), "file");
        assert_eq!(file_name(&"é".repeat(300)).chars().count(), 255);
    }
}
