//! How the vault stands: what its storage said last, and which notes cannot be read.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::store::VaultState;

/// Unreadable notes that are named; of more only the number is told.
const NAMED: usize = 3;
/// Unreadable notes that are remembered.
const REMEMBERED: usize = 1000;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    reason: String,
    since: Timestamp,
}

/// Shared by everything that uses the file.
#[derive(Debug, Default)]
pub(super) struct Health {
    inner: Mutex<Inner>,
    /// Rings when something is wrong.
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// The file is not open.
    shut: Option<Trouble>,
    /// The last read failed.
    read: Option<Trouble>,
    /// The last write failed.
    write: Option<Trouble>,
    /// SQLite found a damaged page. That heals only with another file.
    damaged: Option<Trouble>,
    /// The file is a new one, and not all that belongs in it is there.
    being_made: Option<Trouble>,
    /// Notes whose rows cannot be understood.
    unreadable: BTreeMap<String, Timestamp>,
}

fn set(trouble: &mut Option<Trouble>, reason: &str) -> bool {
    match trouble {
        // Since when it is so stays as it was.
        Some(known) => {
            known.reason.clear();
            known.reason.push_str(reason);
            false
        }
        None => {
            *trouble = Some(Trouble {
                reason: reason.to_owned(),
                since: Timestamp::now(),
            });
            true
        }
    }
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when something is wrong that was not, or was and is not yet told here.
    pub(super) async fn troubled(&self) {
        self.bell.notified().await;
    }

    /// Notes what is wrong. True when that is news.
    fn set(&self, which: impl FnOnce(&mut Inner) -> &mut Option<Trouble>, reason: &str) -> bool {
        let is_news = set(which(&mut self.lock()), reason);
        if is_news {
            self.bell.notify_one();
        }
        is_news
    }

    /// The file cannot be opened, or was closed.
    pub(super) fn shut(&self, reason: &str) {
        self.set(|inner| &mut inner.shut, reason);
    }

    /// The file is open, and what was said of another one no longer counts.
    pub(super) fn opened(&self) {
        *self.lock() = Inner::default();
    }

    /// Why the file is not open.
    pub(super) fn why_shut(&self) -> Option<String> {
        self.lock().shut.as_ref().map(|trouble| trouble.reason.clone())
    }

    /// The storage could not read.
    pub(super) fn read_failed(&self, reason: &str) {
        self.set(|inner| &mut inner.read, reason);
    }

    /// It has read.
    pub(super) fn has_read(&self) {
        self.lock().read = None;
    }

    /// The storage could not write. True when that is news.
    pub(super) fn write_failed(&self, reason: &str) -> bool {
        self.set(|inner| &mut inner.write, reason)
    }

    /// It has written.
    pub(super) fn has_written(&self) {
        self.lock().write = None;
    }

    /// The file itself is damaged.
    pub(super) fn damaged(&self, reason: &str) {
        self.set(|inner| &mut inner.damaged, reason);
    }

    /// Whether the file is damaged, or rows of it are.
    pub(super) fn is_damaged(&self) -> bool {
        let inner = self.lock();
        inner.damaged.is_some() || !inner.unreadable.is_empty()
    }

    /// What is damaged.
    pub(super) fn why_damaged(&self) -> Option<String> {
        let inner = self.lock();
        let rows = inner
            .unreadable
            .keys()
            .next()
            .map(|note| format!("note {note} cannot be read"));
        inner.damaged.as_ref().map(|trouble| trouble.reason.clone()).or(rows)
    }

    /// The file is a new one, and not all that belongs in it is there.
    pub(super) fn is_being_made(&self, reason: &str) {
        self.set(|inner| &mut inner.being_made, reason);
    }

    /// All that belongs in it is there.
    pub(super) fn is_made(&self) {
        self.lock().being_made = None;
    }

    /// A note cannot be read. True when that is news.
    pub(super) fn unreadable(&self, note: &str) -> bool {
        let mut inner = self.lock();
        if inner.unreadable.contains_key(note) || inner.unreadable.len() >= REMEMBERED {
            return false;
        }
        inner.unreadable.insert(note.to_owned(), Timestamp::now());
        self.bell.notify_one();
        true
    }

    /// A note can be read again, or is gone.
    pub(super) fn readable(&self, note: &str) {
        let mut inner = self.lock();
        if !inner.unreadable.is_empty() {
            inner.unreadable.remove(note);
        }
    }

    /// Notes that could not be read when they were last asked for.
    pub(super) fn all_unreadable(&self) -> Vec<String> {
        self.lock().unreadable.keys().cloned().collect()
    }

    /// Whether the storage did not do what it was asked last.
    pub(super) fn has_failed(&self) -> (bool, bool) {
        let inner = self.lock();
        (inner.read.is_some(), inner.write.is_some())
    }

    /// For those who ask how the vault stands: the worst first.
    pub(super) fn state(&self) -> VaultState {
        let inner = self.lock();
        if let Some(Trouble { reason, since }) = inner.shut.clone().or_else(|| inner.read.clone()) {
            return VaultState::Unavailable { reason, since };
        }
        if let Some(Trouble { reason, since }) = inner.damaged.clone() {
            let reason = format!("parts of it cannot be read: {reason}");
            return VaultState::Degraded { reason, since };
        }
        if let Some(Trouble { reason, since }) = inner.write.clone() {
            let reason = format!("notes can be read, but not written: {reason}");
            return VaultState::Degraded { reason, since };
        }
        if let Some(Trouble { reason, since }) = inner.being_made.clone() {
            return VaultState::Degraded { reason, since };
        }
        let Some(since) = inner.unreadable.values().min().copied() else {
            return VaultState::Ready;
        };
        let named: Vec<&str> = inner.unreadable.keys().take(NAMED).map(String::as_str).collect();
        let more = match inner.unreadable.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let reason = format!(
            "notes that cannot be read are left out: {}{more}; delete them, or restore the file from a backup",
            named.join(", ")
        );
        VaultState::Degraded { reason, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(health: &Health) -> String {
        match health.state() {
            VaultState::Ready => "ready".into(),
            VaultState::Degraded { reason, .. } => format!("degraded: {reason}"),
            VaultState::Unavailable { reason, .. } => format!("unavailable: {reason}"),
        }
    }

    #[test]
    fn the_worst_is_told_and_what_is_over_is_not() {
        let health = Health::default();
        assert_eq!(told(&health), "ready");
        assert!(health.unreadable("a") && !health.unreadable("a"));
        for id in ["b", "c", "d", "e"] {
            health.unreadable(id);
        }
        assert!(
            told(&health).contains("left out: a, b, c and 2 more"),
            "{}",
            told(&health)
        );
        assert!(health.write_failed("the disk is full") && !health.write_failed("the disk is still full"));
        assert_eq!(
            told(&health),
            "degraded: notes can be read, but not written: the disk is still full"
        );
        health.damaged("page 7");
        assert_eq!(told(&health), "degraded: parts of it cannot be read: page 7");
        health.read_failed("it is locked");
        assert_eq!(told(&health), "unavailable: it is locked");
        health.has_read();
        health.has_written();
        assert_eq!(told(&health), "degraded: parts of it cannot be read: page 7");
        health.shut("it is gone");
        assert_eq!(told(&health), "unavailable: it is gone");
        health.opened();
        assert_eq!(told(&health), "ready");
    }

    #[test]
    fn a_note_that_can_be_read_again_is_no_longer_named() {
        let health = Health::default();
        health.unreadable("a");
        health.readable("b");
        assert_eq!(health.all_unreadable(), ["a"]);
        health.readable("a");
        assert_eq!(told(&health), "ready");
    }
}
