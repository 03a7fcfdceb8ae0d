//! Writes to the peer. Each can be repeated: a change compares before it writes and names the state that it saw, a new note
//! has its identity before it is sent. When an answer is lost, reading the note tells what became of the write.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::Core;
use super::http::{Answer, Ask, segment};
use super::scan;
use super::wire::{self, Raw};
use crate::embedded::mirror::Seen;
use crate::embedded::rules;
use crate::note::{Metadata, Note, NoteId, millis};
use crate::store::{ContentChange, Key, NewNote, Patch, Precondition, VaultError};

/// How often a change is judged anew because the note has changed meanwhile.
const TRIES: u32 = 32;
/// How often a change is sent whose answers are lost.
const TRIES_UNKNOWN: u32 = 3;
/// What is said of links.
const LINKS: &str = "link notes by hand; write [[Target]] into the text";
/// Our own writers of one note go one after the other: the peer lets one of them win each time.
const LOCKS: usize = 64;

/// Locks of our own writers, by what they name.
pub(super) struct Locks(Vec<Mutex<()>>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| Mutex::default()).collect())
    }
}

impl Locks {
    async fn take(&self, key: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        Some(self.0.get(place)?.lock().await)
    }
}

/// How one try to change a note ended.
enum Tried {
    /// The note as it is now.
    Done(Box<Raw>),
    /// Somebody else was faster.
    Stale,
    /// The answer was lost.
    Unknown(VaultError),
}

impl Core {
    /// Writes one new note with its attachments.
    pub(super) async fn create(&self, mut new: NewNote) -> Result<Note, VaultError> {
        if !new.links.is_empty() {
            return Err(self.unsupported(LINKS));
        }
        let attachments = std::mem::take(&mut new.attachments);
        let attachments = self.checked_attachments(attachments).await?;
        let (chosen, dated) = (new.id.is_some(), new.created_at.is_some());
        let note = rules::created(new, Timestamp::now())?;
        let touching = self.touched.begin(&note.id);
        // A new identity is asked for once: the peer answers a second one with an error that says nothing.
        if chosen && self.fetch_id(&note.id).await?.is_some() {
            return Err(VaultError::IdTaken { id: note.id });
        }
        let made = self.post(&note, dated).await?;
        for attachment in &attachments {
            if let Err(error) = self.post_attachment(&made.note.id, attachment).await {
                self.take_back(&made.note.id).await;
                return Err(error);
            }
        }
        let note = made.note.clone();
        self.mirror_own(made).await?;
        drop(touching);
        Ok(note)
    }

    async fn post(&self, note: &Note, dated: bool) -> Result<Raw, VaultError> {
        let mut ask = Ask::new(Method::POST, "/notes".into());
        let mut body = json!({ "id": note.id, "content": note.content, "tags": note.tags, "metadata": note.metadata });
        if let Some(path) = &note.path {
            body["path"] = path.clone().into();
        }
        if dated {
            body["createdAt"] = millis::format(note.created_at).into();
        }
        ask.body = Some(body);
        let lost = match self.client.ask(ask).await {
            Ok(answer) if answer.status.is_success() => match wire::one(answer.body) {
                Ok(raw) => return Ok(raw),
                Err(reason) => self.client.garbled(&reason),
            },
            Ok(answer) => return Err(self.refusal(&answer, &note.id, note.path.as_deref())),
            Err(error @ VaultError::Unavailable { .. }) => error,
            Err(error) => return Err(error),
        };
        match self.fetch_id(&note.id).await {
            Ok(Some(there)) if is_same(&there.note, note) => Ok(there),
            Ok(Some(_)) => Err(VaultError::IdTaken { id: note.id.clone() }),
            Ok(None) | Err(_) => Err(lost),
        }
    }

    /// A note whose attachments could not be written must not be there without them.
    async fn take_back(&self, id: &NoteId) {
        let ask = Ask::new(Method::DELETE, format!("/notes/{}", segment(id.as_str())));
        if let Err(error) = self.client.ask(ask).await {
            tracing::error!(%error, vault = self.name, note = %id, "a note stays there without its attachments; delete it by hand");
        }
    }

    /// Changes one note.
    pub(super) async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        if !patch.add_links.is_empty() || !patch.remove_links.is_empty() {
            return Err(self.unsupported(LINKS));
        }
        let _turn = self.locks.take(&key.to_string()).await;
        let found = self.fetch(key).await?;
        let found = found.ok_or_else(|| VaultError::NotFound { key: key.to_string() })?;
        self.patch_found(key, found, patch, precondition).await
    }

    async fn patch_found(
        &self,
        key: &Key,
        mut found: Raw,
        patch: Patch,
        precondition: Precondition,
    ) -> Result<Note, VaultError> {
        let touching = self.touched.begin(&found.note.id);
        for tries in 1..=TRIES {
            let patch = without_removal(&found.note, patch.clone());
            let repeatable = is_repeatable(&patch.content);
            let Some(after) = rules::patched(&found.note, patch, precondition, Timestamp::now())? else {
                return Ok(found.note);
            };
            let mut lost = match self.try_patch(&found, &after).await? {
                Tried::Done(raw) => {
                    let note = raw.note.clone();
                    self.mirror_own(*raw).await?;
                    drop(touching);
                    return Ok(note);
                }
                Tried::Stale => None,
                Tried::Unknown(error) => Some(error),
            };
            let now = self.fetch_id(&found.note.id).await;
            let Some(now) = now.map_err(|error| lost.take().unwrap_or(error))? else {
                return Err(VaultError::NotFound { key: key.to_string() });
            };
            if let Some(error) = lost {
                if holds(&now.note, &found.note, &after) {
                    let note = now.note.clone();
                    self.mirror_own(now).await?;
                    return Ok(note);
                }
                // Not done, or done and changed again by somebody else: what must not happen twice is left to the caller.
                let is_untouched = now.updated_at == found.updated_at;
                if tries >= TRIES_UNKNOWN || !(is_untouched || repeatable) {
                    return Err(error);
                }
            }
            found = now;
            // Many writers of one note would go on in step.
            tokio::time::sleep(Duration::from_millis(u64::from(tries.min(10)))).await;
        }
        Err(self.contended())
    }

    fn contended(&self) -> VaultError {
        self.client
            .unavailable("others change that note all the time; nothing was written, try again")
    }

    /// Sends what differs, for the state that was seen: `force` would lose what others write meanwhile.
    async fn try_patch(&self, before: &Raw, after: &Note) -> Result<Tried, VaultError> {
        let id = &after.id;
        let mut ask = Ask::new(Method::PATCH, format!("/notes/{}", segment(id.as_str())));
        ask.body = Some(difference(before, after));
        match self.client.ask(ask).await {
            Ok(answer) if answer.status.is_success() => match wire::one(answer.body) {
                Ok(raw) => Ok(Tried::Done(Box::new(raw))),
                Err(reason) => Ok(Tried::Unknown(self.client.garbled(&reason))),
            },
            Ok(answer) if answer.status == 409 && answer.code() == "conflict" => Ok(Tried::Stale),
            Ok(answer) => Err(self.refusal(&answer, id, after.path.as_deref())),
            Err(error @ VaultError::Unavailable { .. }) => Ok(Tried::Unknown(error)),
            Err(error) => Err(error),
        }
    }

    /// Changes the note at a path, or makes it. The oldest peers know no such request, so it is made of two.
    pub(super) async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        let path = rules::checked_path(path)?.ok_or_else(|| VaultError::Invalid("the path is blank".into()))?;
        let key = Key::Path(path.clone());
        let _turn = self.locks.take(&path).await;
        let mut tries = 1;
        loop {
            if let Some(found) = self.fetch(&key).await? {
                match self.patch_found(&key, found, patch.clone(), Precondition::Force).await {
                    Err(VaultError::NotFound { .. }) if tries < TRIES => {}
                    outcome => return outcome.map(|note| (note, false)),
                }
            }
            let new = NewNote {
                path: Some(path.clone()),
                ..create.clone()
            };
            match self.create(new).await {
                Err(VaultError::PathTaken { .. }) if tries < TRIES => tries += 1,
                outcome => return outcome.map(|note| (note, true)),
            }
        }
    }

    /// Removes one note. The peer keeps the bytes of its files.
    pub(super) async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        let not_found = || VaultError::NotFound { key: key.to_string() };
        let found = self.fetch(key).await?.ok_or_else(not_found)?;
        let id = found.note.id;
        let _touching = self.touched.begin(&id);
        let ask = Ask::new(Method::DELETE, format!("/notes/{}", segment(id.as_str())));
        match self.client.ask(ask).await {
            Ok(answer) if answer.status.is_success() => {}
            Ok(answer) if answer.status == 404 => return Err(not_found()),
            Ok(answer) => return Err(self.refusal(&answer, &id, None)),
            Err(error) => match self.fetch_id(&id).await {
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return Err(error),
            },
        }
        let _turn = self.mirroring.lock().await;
        let gone = Seen::Gone { source: id.to_string() };
        self.index.mirror(vec![gone]).await?;
        Ok(id)
    }

    /// Puts the answer to an own write into the index, before the writer is answered.
    async fn mirror_own(&self, raw: Raw) -> Result<(), VaultError> {
        let _turn = self.mirroring.lock().await;
        let id = raw.note.id.clone();
        let known = crate::store::Vault::get(&*self.index, &Key::Id(id.clone())).await?;
        // Another own write was later there and earlier here.
        if known.is_some_and(|known| known.updated_at > raw.note.updated_at) {
            return Ok(());
        }
        let stamps = self.index.stamps(vec![id.to_string()]).await?;
        let stamp = raw.stamp.clone();
        let known = stamps.get(id.as_str()).map(String::as_str);
        let seen = scan::seen(raw, &stamp, known, None);
        self.index.mirror(vec![seen]).await
    }

    /// What a refusal means.
    pub(super) fn refusal(&self, answer: &Answer, id: &NoteId, path: Option<&str>) -> VaultError {
        let code = answer.code();
        match (answer.status.as_u16(), code.as_str()) {
            (404, _) => VaultError::NotFound { key: id.to_string() },
            (409, "path_conflict") => VaultError::PathTaken {
                path: path.unwrap_or_default().to_owned(),
            },
            (409, "id_conflict" | "id_taken") => VaultError::IdTaken { id: id.clone() },
            (400, "empty_note" | "EmptyNoteError") => VaultError::Empty,
            (413, _) => VaultError::Invalid("the vault refuses it as too large (413)".into()),
            (status, code) => VaultError::Invalid(format!("the vault refuses it ({status} {code})")),
        }
    }
}

/// A key cannot be taken away there. It becomes `""`, which everybody reads as absent.
fn without_removal(before: &Note, mut patch: Patch) -> Patch {
    for key in std::mem::take(&mut patch.remove_metadata) {
        patch.metadata.remove(&key);
        if before.metadata.get(&key).is_some_and(|value| *value != json!("")) {
            patch.metadata.insert(key, json!(""));
        }
    }
    patch
}

/// The body of a change: what differs, and the state that it is for.
fn difference(before: &Raw, after: &Note) -> Value {
    let (old, mut body) = (&before.note, Map::new());
    body.insert("if_updated_at".into(), before.updated_at.clone().into());
    if old.content != after.content {
        body.insert("content".into(), after.content.clone().into());
    }
    if old.path != after.path {
        body.insert("path".into(), after.path.clone().into());
    }
    let changed = changed_metadata(old, after);
    if !changed.is_empty() {
        body.insert("metadata".into(), changed.into());
    }
    let added: Vec<&String> = after.tags.iter().filter(|tag| !old.tags.contains(tag)).collect();
    // In the spelling that they have there.
    let removed: Vec<&String> = before
        .tags
        .iter()
        .filter(|tag| !after.tags.iter().any(|kept| kept == rules::bare(tag)))
        .collect();
    if !added.is_empty() || !removed.is_empty() {
        body.insert("tags".into(), json!({ "add": added, "remove": removed }));
    }
    if old.created_at != after.created_at {
        body.insert("createdAt".into(), millis::format(after.created_at).into());
    }
    body.into()
}

fn changed_metadata(old: &Note, after: &Note) -> Metadata {
    let changed = after
        .metadata
        .iter()
        .filter(|(key, value)| old.metadata.get(*key) != Some(value));
    changed.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether a note shows everything that a change made of `before`, whoever else has changed it since.
fn holds(now: &Note, before: &Note, after: &Note) -> bool {
    let content = match after.content == before.content {
        true => true,
        false => now.content == after.content,
    };
    content
        && (after.path == before.path || now.path == after.path)
        && (after.created_at == before.created_at || now.created_at == after.created_at)
        && changed_metadata(before, after)
            .iter()
            .all(|(key, value)| now.metadata.get(key) == Some(value))
        && after
            .tags
            .iter()
            .filter(|tag| !before.tags.contains(tag))
            .all(|tag| now.tags.contains(tag))
        && before
            .tags
            .iter()
            .filter(|tag| !after.tags.contains(tag))
            .all(|tag| !now.tags.contains(tag))
}

/// Whether doing it twice is the same as doing it once.
fn is_repeatable(change: &ContentChange) -> bool {
    matches!(change, ContentChange::Keep | ContentChange::Replace(_))
}

/// Whether a note that is there is the one that was sent. Triggers and the peer's own defaults may have added keys.
fn is_same(there: &Note, sent: &Note) -> bool {
    there.content == sent.content
        && there.path == sent.path
        && sent.tags.iter().all(|tag| there.tags.contains(tag))
        && sent
            .metadata
            .iter()
            .all(|(key, value)| there.metadata.get(key) == Some(value))
}
