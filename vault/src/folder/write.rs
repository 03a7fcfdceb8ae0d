//! Writes: the index does them as an embedded vault does, and carries them into the files before it commits. The scan that
//! follows finds nothing new.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use super::Folder;
use super::disk::{self, Look};
use super::paths;
use super::scan::QUIET;
use super::stamp::Stamp;
use super::watch::Hint;
use crate::Vault;
use crate::embedded::mirror::{Seen, Source};
use crate::embedded::rules;
use crate::note::{Note, NoteId};
use crate::store::{ContentChange, Key, NewNote, Patch, Precondition, VaultError};

/// How often a write begins anew because somebody was faster.
const ATTEMPTS: u32 = 50;

impl Folder {
    /// Does a write that the index carries into files. What the watcher has not told of those is taken over first.
    pub(super) async fn through<T, F>(self: &Arc<Self>, what: &str, write: impl Fn() -> F) -> Result<T, VaultError>
    where
        F: Future<Output = Result<T, VaultError>> + Send,
    {
        for _ in 0..ATTEMPTS {
            let _order = self.order.lock().await;
            self.place.writable()?;
            *self.place.done() = Default::default();
            let outcome = write().await;
            let stale = std::mem::take(&mut self.place.done().stale);
            if outcome.is_err() {
                let place = Arc::clone(&self.place);
                self.blocking(move || {
                    place.undo();
                    Ok(())
                })
                .await?;
            }
            if stale.is_empty() {
                return outcome;
            }
            for source in stale {
                self.settle(&source).await?;
            }
        }
        Err(self.restless(what))
    }

    pub(super) async fn create_all(self: &Arc<Self>, new: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.through("a new note", || async {
            let mut taken = HashSet::new();
            let mut placed = Vec::with_capacity(new.len());
            for new in &new {
                placed.push(self.placed(new.clone(), &mut taken).await?);
            }
            self.index.create_all(placed).await
        })
        .await
    }

    /// A new note with the path that it will have.
    async fn placed(&self, mut new: NewNote, taken: &mut HashSet<String>) -> Result<NewNote, VaultError> {
        let path = new.path.as_deref().map(rules::checked_path).transpose()?.flatten();
        if let Some(path) = path {
            let path = paths::composed(&path);
            self.check_unseen(&path).await?;
            new.path = Some(path);
            return Ok(new);
        }
        // Also says what is wrong with the note, as every vault does.
        let note = rules::created(
            NewNote {
                attachments: Vec::new(),
                path: None,
                ..new.clone()
            },
            (self.clock)(),
        )?;
        let path = self.given(&note, taken).await?;
        taken.insert(path.clone());
        new.id = Some(note.id);
        new.path = Some(path);
        Ok(new)
    }

    /// A free path for a note without one.
    async fn given(&self, note: &Note, taken: &HashSet<String>) -> Result<String, VaultError> {
        for attempt in 0..ATTEMPTS {
            let path = paths::given(note, attempt);
            let known = self.index.get(&Key::Path(path.clone())).await?;
            if !taken.contains(&path) && known.is_none() && !self.is_on_disk(&path)? {
                return Ok(path);
            }
        }
        Err(VaultError::Invalid(
            "no name is free for a note without a path; give it one".into(),
        ))
    }

    /// Refuses a path where a file is that nobody has looked at yet.
    async fn check_unseen(&self, path: &str) -> Result<(), VaultError> {
        if self.is_on_disk(path)? && self.index.get(&Key::Path(path.to_owned())).await?.is_none() {
            self.place.hint(Hint::Name(paths::to_source(path)?));
            return Err(VaultError::PathTaken { path: path.to_owned() });
        }
        Ok(())
    }

    fn is_on_disk(&self, path: &str) -> Result<bool, VaultError> {
        let file = paths::checked(&self.place.root, &paths::to_source(path)?);
        let file = file.map_err(|refused| self.place.refused(path, refused))?;
        match disk::look(&file) {
            Ok(found) => Ok(!matches!(found, Look::Missing)),
            Err(error) => Err(self.place.not_written(&error)),
        }
    }

    pub(super) async fn patch(
        self: &Arc<Self>,
        key: &Key,
        patch: &Patch,
        precondition: Precondition,
    ) -> Result<Note, VaultError> {
        self.through(&key.to_string(), || async {
            let Some((note, _)) = self.find(key).await? else {
                return Err(VaultError::NotFound { key: key.to_string() });
            };
            let patch = self.with_path(&note, patch.clone()).await?;
            self.index.patch(&Key::Id(note.id), patch, precondition).await
        })
        .await
    }

    /// The patch for a note that always has a path: without one of its own it is where it would have been put.
    async fn with_path(&self, note: &Note, mut patch: Patch) -> Result<Patch, VaultError> {
        let is_given = note.path.as_deref() == Some(paths::given(note, 0).as_str());
        let asked = match &patch.path {
            Some(path) => Some(path.as_deref().map(rules::checked_path).transpose()?.flatten()),
            None => None,
        };
        let without = match &asked {
            Some(path) => path.is_none(),
            None => is_given && patch.content != ContentChange::Keep,
        };
        if without {
            // Then it needs text.
            let judged = Patch {
                path: Some(None),
                ..patch.clone()
            };
            judged.preview(note)?;
        }
        patch.path = match asked {
            None => None,
            Some(None) if is_given => None,
            Some(None) => Some(Some(self.given(note, &HashSet::new()).await?)),
            Some(Some(path)) => {
                let path = paths::composed(&path);
                if note.path.as_ref() != Some(&path) {
                    self.check_unseen(&path).await?;
                }
                Some(Some(path))
            }
        };
        Ok(patch)
    }

    pub(super) async fn upsert(
        self: &Arc<Self>,
        path: &str,
        patch: &Patch,
        create: NewNote,
    ) -> Result<(Note, bool), VaultError> {
        let path = rules::checked_path(path)?.ok_or_else(|| VaultError::Invalid("the path is blank".into()))?;
        let path = paths::composed(&path);
        paths::to_source(&path)?;
        self.through(&path, || async {
            let patch = match self.find(&Key::Path(path.clone())).await? {
                Some((note, _)) => self.with_path(&note, patch.clone()).await?,
                None => patch.clone(),
            };
            self.index.upsert(&path, patch, create.clone()).await
        })
        .await
    }

    fn restless(&self, what: &str) -> VaultError {
        self.place.state.unavailable(format!(
            "the file of {what:?} is being written by another program all the time; nothing was written: try again"
        ))
    }

    /// A note as its file is now: what the watcher has not told yet is taken over first.
    async fn find(self: &Arc<Self>, key: &Key) -> Result<Option<(Note, Source)>, VaultError> {
        let mut looked = false;
        for _ in 0..ATTEMPTS {
            let source = match self.index.get(key).await? {
                Some(note) => match self.index.source_of(&note.id).await? {
                    Some(source) if self.is_current(&source)? => return Ok(Some((note, source))),
                    Some(source) => source.name,
                    None => return Ok(None),
                },
                None => match key {
                    // Somebody has made a file there just now.
                    Key::Path(path) | Key::IdOrPath(path) if !looked && self.is_unseen(path) => {
                        looked = true;
                        paths::to_source(path)?
                    }
                    _ => return Ok(None),
                },
            };
            self.settle(&source).await?;
        }
        Err(self.restless(&key.to_string()))
    }

    fn is_current(&self, source: &Source) -> Result<bool, VaultError> {
        match disk::look(&self.place.root.join(&source.name)) {
            Ok(Look::File(meta)) => Ok(Stamp::parse(&source.stamp).is_some_and(|stamp| stamp.meta == meta)),
            Ok(_) => Ok(false),
            Err(error) => Err(self.place.not_written(&error)),
        }
    }

    fn is_unseen(&self, path: &str) -> bool {
        let source = paths::to_source(path);
        let path = source.and_then(|source| {
            paths::checked(&self.place.root, &source).map_err(|refused| self.place.refused(path, refused))
        });
        path.is_ok_and(|path| matches!(disk::look(&path), Ok(Look::File(meta)) if meta.size <= self.place.max_bytes))
    }

    /// Waits until a file is at rest and takes it over. The caller holds the order.
    async fn settle(self: &Arc<Self>, source: &str) -> Result<(), VaultError> {
        for _ in 0..ATTEMPTS {
            if self.take(vec![source.to_owned()], true).await?.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(QUIET / 2).await;
        }
        Err(self.restless(source))
    }

    pub(super) async fn look_at_note(self: &Arc<Self>, id: &NoteId) -> Result<(), VaultError> {
        let _order = self.order.lock().await;
        match self.index.source_of(id).await? {
            Some(source) => self.settle(&source.name).await,
            None => Ok(()),
        }
    }

    pub(super) async fn delete(self: &Arc<Self>, key: &Key) -> Result<NoteId, VaultError> {
        let _order = self.order.lock().await;
        self.place.writable()?;
        let Some((note, source)) = self.find(key).await? else {
            return Err(VaultError::NotFound { key: key.to_string() });
        };
        let this = Arc::clone(self);
        let name = source.name.clone();
        self.blocking(move || {
            let path = paths::checked(&this.place.root, &name).map_err(|refused| this.place.refused(&name, refused))?;
            std::fs::remove_file(&path)
                .and_then(|()| disk::sync_dir(path.parent().unwrap_or(&this.place.root)))
                .map_err(|error| this.place.not_written(&error))
        })
        .await?;
        self.place.state.file(&source.name, None);
        self.index.mirror(vec![Seen::Gone { source: source.name }]).await?;
        self.settle_claims(HashSet::from([note.id.clone()])).await?;
        Ok(note.id)
    }
}
