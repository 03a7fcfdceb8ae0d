//! Many questions to an index in one go: on one thread, between which the asker does other work that may block.

use rusqlite::Connection;

use super::fault::Fault;
use super::mirror::{self, Source};
use super::{EmbeddedVault, read, sources};
use crate::note::{Note, NoteId};
use crate::store::{Key, VaultError};

/// An index while it is asked.
pub(crate) struct Reading<'c>(&'c Connection);

impl EmbeddedVault {
    /// Runs `work` on a thread that may block. Between two questions of it others may write.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`], and what `work` says.
    pub(crate) async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reading<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, VaultError> {
        self.readers.run(move |conn| work(&Reading(conn))).await
    }
}

impl Reading<'_> {
    /// A note.
    pub(crate) fn note(&self, id: &NoteId) -> Result<Option<Note>, Fault> {
        Ok(read::find(self.0, &Key::Id(id.clone()))?.map(|stored| stored.note))
    }

    /// The source of a note.
    pub(crate) fn source_of(&self, note: &NoteId) -> Result<Option<Source>, Fault> {
        mirror::source_of(self.0, note)
    }

    /// All known sources, by name.
    pub(crate) fn sources(&self) -> Result<Vec<Source>, Fault> {
        mirror::sources(self.0)
    }

    /// The source of that name.
    pub(crate) fn source(&self, name: &str) -> Result<Option<Source>, Fault> {
        sources::named(self.0, name)
    }

    /// The last stamp of a note whose source went; `None`: none did.
    pub(crate) fn gone(&self, note: &NoteId) -> Result<Option<String>, Fault> {
        sources::gone(self.0, note)
    }

    /// Sources whose stamps hold `part`.
    pub(crate) fn stamped(&self, part: &str) -> Result<Vec<Source>, Fault> {
        sources::stamped(self.0, part)
    }
}
