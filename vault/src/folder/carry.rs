//! Writing notes into their files, inside the transaction of the index: what cannot be written there is not in the index.
//!
//! All texts are made and synced under names of their own before the first file gets its name.

use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::disk::{self, Look, Meta, Temporary, Unread};
use super::document::{self, Document};
use super::paths;
use super::place::Place;
use super::stamp::{self, Stamp};
use super::state::Part;
use super::take::counting_tags;
use super::watch::Hint;
use crate::embedded::elsewhere::{Carried, Elsewhere, Written};
use crate::embedded::mirror::Source;
use crate::note::{Note, NoteId};
use crate::store::VaultError;

/// What a write has done, and why it has to begin anew.
#[derive(Default)]
pub(super) struct Done {
    /// Sources that are not as the index has them: they are to be taken over first.
    pub(super) stale: Vec<String>,
    /// Files that were not there before.
    created: Vec<(PathBuf, Meta)>,
    /// Sources of files that were changed.
    changed: Vec<String>,
}

/// A file on its way to its name.
#[derive(Debug, Serialize, Deserialize)]
struct Move {
    from: PathBuf,
    to: PathBuf,
}

/// A note that is ready to be placed.
struct Ready {
    note: NoteId,
    path: String,
    /// Name of the file from now on.
    target: String,
    to: PathBuf,
    /// The file that is there: its name, and how it was read.
    from: Option<(String, PathBuf, Meta)>,
    /// The new text; `None`: only the name changes.
    temporary: Option<Temporary>,
    hash: String,
    claim: Option<NoteId>,
    created: i64,
}

impl Elsewhere for Place {
    fn carry(&self, written: Vec<Written>) -> Result<Vec<Carried>, VaultError> {
        self.writable()?;
        let mut ready = Vec::with_capacity(written.len());
        for Written { note, source } in written {
            match source {
                None => ready.push(self.new_file(note)?),
                Some(source) => ready.extend(self.changed_file(note, source)?),
            }
        }
        let is_batch = ready.iter().filter(|ready| ready.from.is_none()).count() > 1;
        if is_batch {
            self.note_batch(&ready)?;
        }
        let placed = ready
            .into_iter()
            .map(|ready| self.put(ready))
            .collect::<Result<Vec<_>, _>>();
        if is_batch {
            self.end_batch();
        }
        if placed.is_ok() {
            self.state.clear(Part::Writing);
        }
        placed
    }
}

impl Place {
    pub(super) fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write was refused after all: new files go, and changed ones are looked at, for they are the truth.
    pub(super) fn undo(&self) {
        let done = std::mem::take(&mut *self.done());
        for (path, meta) in done.created {
            if matches!(disk::look(&path), Ok(Look::File(now)) if now == meta)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, file = %path.display(), "the file of a refused note stays");
            }
        }
        done.changed
            .into_iter()
            .for_each(|source| self.hint(Hint::Anew(source)));
    }

    fn stale(&self, source: String) -> VaultError {
        let error = self.state.unavailable(format!(
            "the file {source:?} has just been changed by another program; try again"
        ));
        self.done().stale.push(source);
        error
    }

    fn new_file(&self, note: Note) -> Result<Ready, VaultError> {
        let path = note.path.clone().unwrap_or_default();
        let source = paths::to_source(&path)?;
        let text = document::render(&note);
        self.check_size(&note.id, &text)?;
        let document = Document::parse(&text);
        if document.trouble.is_some() || document.metadata != note.metadata || document.id.as_ref() != Some(&note.id) {
            return Err(VaultError::Invalid(format!(
                "the metadata of note {} cannot be written as front matter (is a key longer than 1024 characters?); nothing was \
                 written",
                note.id
            )));
        }
        let target = paths::make_dirs(&self.root, &source).map_err(|refused| self.refused(&path, refused))?;
        let to = self.root.join(&target);
        let temporary = Temporary::write(self.dir_of(&to), &text, note.updated_at, None);
        Ok(Ready {
            note: note.id,
            path,
            target,
            to,
            from: None,
            temporary: Some(temporary.map_err(|error| self.not_written(&error))?),
            hash: stamp::hash(&text),
            claim: None,
            created: note.created_at.as_millisecond(),
        })
    }

    /// `None`: nothing of it stands in its file.
    fn changed_file(&self, note: Note, source: Source) -> Result<Option<Ready>, VaultError> {
        let Some(known) = Stamp::parse(&source.stamp) else {
            return Err(self.stale(source.name));
        };
        let path = note.path.clone().unwrap_or_default();
        let from = paths::checked(&self.root, &source.name).map_err(|refused| self.refused(&path, refused))?;
        let text = match disk::read(&from, self.max_bytes) {
            Ok((meta, text)) if meta == known.meta => text,
            Err(Unread::Io(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(self.not_written(&error));
            }
            _ => return Err(self.stale(source.name)),
        };
        let new_text = self.edited(&note, &source, &known, &text)?;
        let same_path = paths::of_source(&source.name).is_ok_and(|now| now == path);
        if text == new_text && same_path {
            return Ok(None);
        }
        let target = if same_path {
            source.name.clone()
        } else {
            let target = paths::to_source(&path)?;
            paths::make_dirs(&self.root, &target).map_err(|refused| self.refused(&path, refused))?
        };
        let to = self.root.join(&target);
        let temporary = (text != new_text)
            .then(|| Temporary::write(self.dir_of(&to), &new_text, note.updated_at, Some(&from)))
            .transpose();
        Ok(Some(Ready {
            note: note.id,
            path,
            target,
            to,
            from: Some((source.name, from, known.meta)),
            temporary: temporary.map_err(|error| self.not_written(&error))?,
            hash: stamp::hash(&new_text),
            claim: known.claim,
            created: note.created_at.as_millisecond(),
        }))
    }

    /// The text of a file that shall say what the note says.
    fn edited(&self, note: &Note, source: &Source, known: &Stamp, text: &str) -> Result<String, VaultError> {
        let document = Document::parse(text);
        let is_copy = known.claim.is_some() || paths::is_conflict_copy(&source.name);
        let shown = counting_tags(document.tags.clone(), is_copy);
        let mut change = document::Change::between(&document, &shown, note);
        change.created = (note.created_at.as_millisecond() != known.created).then_some(note.created_at);
        // A copy says that it is one by the id that is not its own. Links alone are no reason to touch a file.
        let touches = !change.is_empty() || paths::of_source(&source.name).ok() != note.path;
        change.id = (known.claim.is_none() && touches).then(|| note.id.clone());
        let new_text = document::edit(text, &change).map_err(|reason| {
            let file = &source.name;
            VaultError::Invalid(format!(
                "the file {file:?} cannot be changed: {reason}; nothing was written"
            ))
        })?;
        self.check_size(&note.id, &new_text)?;
        Ok(new_text)
    }

    fn check_size(&self, id: &NoteId, text: &str) -> Result<(), VaultError> {
        let (bytes, most) = (text.len() as u64, self.max_bytes);
        if bytes > most {
            return Err(VaultError::Invalid(format!(
                "the file of note {id} would have {bytes} bytes, and {most} is the most; nothing was written"
            )));
        }
        Ok(())
    }

    fn dir_of<'p>(&'p self, file: &'p Path) -> &'p Path {
        file.parent().unwrap_or(&self.root)
    }

    /// Gives a file its text and its name.
    fn put(&self, mut ready: Ready) -> Result<Carried, VaultError> {
        let meta = match ready.from.take() {
            None => self.place_new(&mut ready)?,
            Some((source, from, expected)) => {
                let meta = self.replace(&mut ready, &source, &from, expected)?;
                self.done().changed.push(ready.target.clone());
                meta
            }
        };
        // Without a stamp somebody has written to the file already, and it is read at the next look.
        let stamp = meta.map(|meta| Stamp {
            meta,
            hash: ready.hash,
            unreadable: false,
            created: ready.created,
            claim: ready.claim,
        });
        Ok(Carried {
            note: ready.note,
            source: ready.target,
            stamp: stamp.map_or_else(String::new, |stamp| {
                self.marks().add(&stamp);
                stamp.text()
            }),
        })
    }

    fn place_new(&self, ready: &mut Ready) -> Result<Option<Meta>, VaultError> {
        let Some(temporary) = &mut ready.temporary else {
            return Ok(None);
        };
        let placed = temporary.place(&ready.to).map_err(|error| self.not_written(&error))?;
        if !placed {
            self.hint(Hint::Name(ready.target.clone()));
            return Err(VaultError::PathTaken {
                path: ready.path.clone(),
            });
        }
        let meta = temporary.untouched().map_err(|error| self.not_written(&error))?;
        self.done().created.extend(meta.map(|meta| (ready.to.clone(), meta)));
        disk::sync_dir(self.dir_of(&ready.to)).map_err(|error| self.not_written(&error))?;
        Ok(meta)
    }

    fn replace(
        &self,
        ready: &mut Ready,
        source: &str,
        from: &Path,
        mut expected: Meta,
    ) -> Result<Option<Meta>, VaultError> {
        let io = |error: std::io::Error| self.not_written(&error);
        if ready.to != from {
            if !matches!(disk::look(from).map_err(io)?, Look::File(meta) if meta == expected) {
                return Err(self.stale(source.to_owned()));
            }
            if !disk::rename_to_free(from, &ready.to).map_err(io)? {
                self.hint(Hint::Name(ready.target.clone()));
                return Err(VaultError::PathTaken {
                    path: ready.path.clone(),
                });
            }
            self.done().changed.extend([source.to_owned(), ready.target.clone()]);
            for dir in [self.dir_of(from), self.dir_of(&ready.to)] {
                disk::sync_dir(dir).map_err(io)?;
            }
            match disk::look(&ready.to).map_err(io)? {
                Look::File(meta) if meta.same_bytes(&expected) => expected = meta,
                _ => return Err(self.stale(source.to_owned())),
            }
        }
        let Some(temporary) = &mut ready.temporary else {
            return Ok(Some(expected));
        };
        if !temporary.replace(&ready.to, &expected).map_err(io)? {
            return Err(self.stale(source.to_owned()));
        }
        disk::sync_dir(self.dir_of(&ready.to)).map_err(io)?;
        temporary.untouched().map_err(io)
    }

    /// From here on a crash ends with all new files there.
    fn note_batch(&self, ready: &[Ready]) -> Result<(), VaultError> {
        let new = ready.iter().filter(|ready| ready.from.is_none());
        let moves: Vec<Move> = new
            .filter_map(|ready| {
                let from = ready.temporary.as_ref()?.path().to_owned();
                Some(Move {
                    from,
                    to: ready.to.clone(),
                })
            })
            .collect();
        let text = serde_json::to_string(&moves).map_err(|error| self.state.unavailable(error.to_string()))?;
        let dir = self.dir_of(&self.journal);
        let written = Temporary::write(dir, &text, jiff::Timestamp::now(), None).and_then(|mut temporary| {
            temporary.place(&self.journal)?;
            disk::sync_dir(dir)
        });
        written.map_err(|error| {
            let journal = self.journal.display();
            self.state
                .unavailable(format!("{journal} could not be written ({error}); nothing was written"))
        })
    }

    fn end_batch(&self) {
        if let Err(error) = std::fs::remove_file(&self.journal) {
            tracing::warn!(%error, journal = %self.journal.display(), "the journal of a batch stays; the next start ends it");
        }
    }

    /// Ends a batch that a crash has cut off: its files are whole, only their names are missing.
    pub(super) fn finish_batch(&self) -> Result<(), VaultError> {
        let text = match std::fs::read_to_string(&self.journal) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(self
                    .state
                    .unavailable(format!("{} could not be read ({error})", self.journal.display())));
            }
        };
        let moves: Vec<Move> =
            serde_json::from_str(&text).map_err(|error| self.state.unavailable(error.to_string()))?;
        for Move { from, to } in moves {
            let done = match disk::look(&from) {
                Ok(Look::File(_)) => disk::place_beside(&from, &to),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            done.map_err(|error| self.not_written(&error))?;
        }
        self.end_batch();
        Ok(())
    }
}
