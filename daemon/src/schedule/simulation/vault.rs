//! A real vault that lives by the clock of the simulation, is away at times, and at which the daemon dies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::agent::Inbound;
use reveille_vault::{
    Capabilities, Change, Cursor, EmbeddedVault, Files, Key, Kind, Links, NewNote, Note, NoteId, Page, Patch,
    Precondition, Profile, Query, Tags, Triggers, Vault, VaultError, VaultState,
};
use tokio::sync::{Notify, watch};

use super::super::Clock;

/// A clock that is set by hand.
pub(super) struct HandClock(pub(super) Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// When the daemon dies that is about to write a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doom {
    Before,
    After,
}

pub(super) struct SimVault {
    inner: Arc<EmbeddedVault>,
    clock: Arc<HandClock>,
    /// When notes were last changed, by the clock of the simulation.
    changed: Mutex<HashMap<NoteId, Timestamp>>,
    pub(super) away: AtomicBool,
    /// Writes are done, and their answers are lost.
    pub(super) forgetful: AtomicBool,
    pub(super) doom: Mutex<Option<Doom>>,
    /// The daemon is dead.
    pub(super) died: Notify,
}

impl SimVault {
    pub(super) fn new(inner: Arc<EmbeddedVault>, clock: Arc<HandClock>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            clock,
            changed: Mutex::default(),
            away: AtomicBool::new(false),
            forgetful: AtomicBool::new(false),
            doom: Mutex::default(),
            died: Notify::new(),
        })
    }

    fn there(&self) -> Result<(), VaultError> {
        match self.away.load(Ordering::SeqCst) {
            true => self.unavailable("it is away"),
            false => Ok(()),
        }
    }

    fn unavailable<T>(&self, reason: &str) -> Result<T, VaultError> {
        Err(VaultError::Unavailable {
            vault: self.inner.name().to_owned(),
            reason: reason.into(),
        })
    }

    fn answer<T>(&self, answer: T) -> Result<T, VaultError> {
        match self.forgetful.load(Ordering::SeqCst) {
            true => self.unavailable("the answer is lost"),
            false => Ok(answer),
        }
    }

    fn dated(&self, mut note: Note) -> Note {
        if let Some(at) = self.changed.lock().unwrap().get(&note.id) {
            note.updated_at = *at;
        }
        note
    }

    fn wrote(&self, note: Note) -> Note {
        self.changed.lock().unwrap().insert(note.id.clone(), self.clock.now());
        self.dated(note)
    }

    async fn die(&self) {
        self.died.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Vault for SimVault {
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
        self.there()?;
        Ok(self.inner.get(key).await?.map(|note| self.dated(note)))
    }

    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        self.there()?;
        let mut page = self.inner.query(query).await?;
        page.notes = page.notes.into_iter().map(|note| self.dated(note)).collect();
        Ok(page)
    }

    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.there()?;
        let message = notes.iter().any(|note| note.metadata.contains_key("occurrence_at"));
        let doom = self.doom.lock().unwrap().take_if(|_| message);
        if doom == Some(Doom::Before) {
            self.die().await;
        }
        let written = self.inner.create_all(notes).await?;
        if doom == Some(Doom::After) {
            self.die().await;
        }
        self.answer(written.into_iter().map(|note| self.wrote(note)).collect())
    }

    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        self.there()?;
        let note = self.inner.patch(key, patch, precondition).await?;
        let note = self.wrote(note);
        self.answer(note)
    }

    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        self.there()?;
        self.inner.upsert(path, patch, create).await
    }

    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        self.there()?;
        self.inner.delete(key).await
    }

    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.there()?;
        let mut changes = self.inner.changes(since, limit).await?;
        for change in &mut changes {
            change.note = change.note.take().map(|note| self.dated(note));
        }
        Ok(changes)
    }

    async fn log(&self) -> Result<String, VaultError> {
        self.inner.log().await
    }

    fn files(&self) -> &dyn Files {
        self.inner.files()
    }

    fn tags(&self) -> Result<&dyn Tags, VaultError> {
        self.inner.tags()
    }

    fn links(&self) -> Result<&dyn Links, VaultError> {
        self.inner.links()
    }

    fn profile(&self) -> &dyn Profile {
        self.inner.profile()
    }

    fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
        self.inner.triggers()
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

/// Which occurrence of which job a note is the message of.
pub(super) fn occurrence(note: &Note) -> Option<(NoteId, Timestamp)> {
    let of = Inbound::wakes(note).then(|| Some((note.text("job")?, note.text("occurrence_at")?)));
    let (job, at) = of.flatten()?;
    Some((NoteId::new(job).unwrap(), at.parse().unwrap()))
}
