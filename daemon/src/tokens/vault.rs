//! A vault as the holder of a token has it: notes that it does not see are not there, and nothing is written that it may
//! not write. What it sees is a part of each query, so that pages are full.

use std::sync::Arc;

use async_trait::async_trait;
use reveille_vault::agent::tag;
use reveille_vault::note::millis;
use reveille_vault::{
    Capabilities, Change, Cursor, Files, Key, Kind, Links, NewNote, Note, NoteId, Page, Patch, Precondition, Profile,
    Query, TagScope, Tags, Triggers, Vault, VaultError, VaultState,
};
use tokio::sync::watch;

use crate::vaults::upsert_in_steps;

/// How often a change is judged anew because the note has changed meanwhile.
const TRIES: u32 = 16;

/// Notes below this path say which tag is below which. Who writes them decides what a tag stands for, and so what a token
/// sees.
const HIERARCHY: &str = "_tags/";

/// Notes that the daemon acts on: whoever writes them has an agent work, which sees the whole vault.
const OF_DAEMON: [&str; 5] = [tag::DEFINITION, tag::INBOUND, tag::THREAD, tag::JOB, tag::ROLE];
/// The root of their tags.
const AGENT: &str = "agent";

/// A vault in the hands of a token.
pub(crate) struct ScopedVault {
    pub(super) inner: Arc<dyn Vault>,
    writes: bool,
    /// Root tags; empty: every note is seen.
    tags: Vec<String>,
}

impl ScopedVault {
    /// Of a vault. `tags` are root tags; with none every note is seen.
    pub(super) fn new(inner: Arc<dyn Vault>, writes: bool, tags: Vec<String>) -> Self {
        Self { inner, writes, tags }
    }

    /// What is seen now; `None`: everything. Here belongs what is declared to be below the tags.
    pub(super) async fn scope(&self) -> Result<Option<TagScope>, VaultError> {
        if self.tags.is_empty() {
            return Ok(None);
        }
        let below = match self.inner.tags() {
            Ok(tags) if self.inner.capabilities().tag_parents => tags.kinds_of(&self.tags).await?,
            // There is nothing that declares it.
            _ => Vec::new(),
        };
        Ok(Some(TagScope {
            roots: self.tags.clone(),
            below,
        }))
    }

    /// The note, if there is one and it is seen.
    pub(super) async fn seen(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        let scope = self.scope().await?;
        let note = self.inner.get(key).await?;
        Ok(note.filter(|note| sees(scope.as_ref(), note)))
    }

    /// The same, where it must be there. Writes go to its identity: meanwhile the key may mean another note.
    pub(super) async fn existing(&self, key: &Key) -> Result<Note, VaultError> {
        let seen = self.seen(key).await?;
        seen.ok_or_else(|| VaultError::NotFound { key: key.to_string() })
    }

    pub(super) fn may_write(&self) -> Result<(), VaultError> {
        if self.writes {
            return Ok(());
        }
        Err(VaultError::Forbidden(
            "this token may only read; nothing was written. Ask for one with the scope vault:write".into(),
        ))
    }

    /// Judges a note that would be written.
    fn check(&self, scope: Option<&TagScope>, note: &Note) -> Result<(), VaultError> {
        if !sees(scope, note) {
            return Err(VaultError::OutsideScope {
                tags: self.tags.clone(),
            });
        }
        if scope.is_some() && note.path.as_deref().is_some_and(declares_tags) {
            return Err(VaultError::Forbidden(format!(
                "a token that is limited to tags may not write below {HIERARCHY}, where tags are declared; nothing was written"
            )));
        }
        let is_ours = OF_DAEMON.iter().any(|tag| note.has_tag(tag));
        if scope.is_some() && is_ours && !self.tags.iter().any(|root| root == AGENT) {
            return Err(VaultError::Forbidden(format!(
                "a token that is limited to other tags than {AGENT} may not write what the daemon acts on ({}): an agent sees \
                 the whole vault; nothing was written",
                OF_DAEMON.join(", ")
            )));
        }
        Ok(())
    }

    /// Changes the note as it was judged: whether it is seen depends on the note, so it holds for that state only.
    async fn patch_as_read(&self, before: &Note, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        if let Precondition::UpdatedAt(expected) = precondition
            && millis::truncate(expected) != before.updated_at
        {
            return Err(VaultError::Conflict {
                id: before.id.clone(),
                path: before.path.clone(),
                current: before.updated_at,
                expected,
            });
        }
        let scope = self.scope().await?;
        self.check(scope.as_ref(), before)?;
        self.check(scope.as_ref(), &patch.preview(before)?)?;
        self.check_rename(scope.as_ref(), before, &patch).await?;
        let as_read = Precondition::UpdatedAt(before.updated_at);
        self.inner.patch(&Key::Id(before.id.clone()), patch, as_read).await
    }
}

fn declares_tags(path: &str) -> bool {
    let start = path.get(..HIERARCHY.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(HIERARCHY))
}

fn sees(scope: Option<&TagScope>, note: &Note) -> bool {
    scope.is_none_or(|scope| scope.sees(note))
}

#[async_trait]
impl Vault for ScopedVault {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> Kind {
        self.inner.kind()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn state(&self) -> VaultState {
        self.inner.state()
    }

    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        self.seen(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        let Some(scope) = self.scope().await? else {
            return self.inner.query(query).await;
        };
        let near = match &query.near {
            None => None,
            Some(near) => Some(self.bounded(near, &scope).await?),
        };
        let query = Query {
            scope: Some(scope.clone()),
            near,
            ..query.clone()
        };
        let mut page = self.inner.query(&query).await?;
        // A kind of vault that does not know the bounds must not give away what is outside.
        page.notes.retain(|note| scope.sees(note));
        Ok(page)
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.may_write()?;
        let scope = self.scope().await?;
        for note in &notes {
            self.check(scope.as_ref(), &note.preview()?)?;
            for attachment in &note.attachments {
                self.may_attach(&attachment.path).await?;
            }
        }
        self.inner.create_all(notes).await
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        self.may_write()?;
        let mut tries = 1;
        loop {
            let before = self.existing(key).await?;
            match self.patch_as_read(&before, patch.clone(), precondition).await {
                Err(VaultError::Conflict { .. }) if precondition == Precondition::Force && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        upsert_in_steps(self, path, patch, create).await
    }

    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        self.may_write()?;
        let note = self.existing(key).await?;
        if let Some(scope) = self.scope().await? {
            self.check(Some(&scope), &note)?;
        }
        self.inner.delete(&Key::Id(note.id)).await
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        let Some(scope) = self.scope().await? else {
            return self.inner.changes(since, limit).await;
        };
        let mut since = since;
        loop {
            let mut changes = self.inner.changes(since, limit).await?;
            let Some(last) = changes.last() else {
                return Ok(changes);
            };
            since = last.cursor;
            // What is gone has no tags any more: nobody can say whether it was seen.
            changes.retain(|change| change.note.as_ref().is_some_and(|note| scope.sees(note)));
            // An empty answer would mean that there are no more.
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    async fn log(&self) -> Result<String, VaultError> {
        self.inner.log().await
    }

    fn files(&self) -> &dyn Files {
        self
    }

    /// The door lets in admins of the vault only. They see every note: a trigger tells of any.
    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        if self.writes && self.tags.is_empty() {
            return self.inner.triggers();
        }
        Err(VaultError::Forbidden(
            "this token may not touch triggers; nothing was changed. Ask for one with the scope vault:admin".into(),
        ))
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        self.inner.tags()?;
        Ok(self)
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        self.inner.links()?;
        Ok(self)
    }

    fn profile(&self) -> &dyn Profile {
        self
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.inner.watch()
    }

    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
        self.inner.look(note).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests;
