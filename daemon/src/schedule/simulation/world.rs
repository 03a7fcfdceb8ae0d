//! The world of the simulation: two vaults, a daemon that comes and goes, and what was seen of all that.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reveille_queue::{self as queue, Queue};
use reveille_vault::agent::tag;
use reveille_vault::{EmbeddedVault, Key, Metadata, NewNote, Note, NoteId, Patch, Precondition, Query, Vault};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::{Clock, Handle, JobKey, Options, Run, Runner};
use super::vault::{HandClock, SimVault, occurrence};
use crate::registry::{Discovery, Registry};

/// Instants at which a job is due, by its schedule of a time.
#[derive(Clone)]
pub(super) struct Epoch {
    /// A single time: owed whenever it was written.
    pub(super) single: bool,
    pub(super) due: Rc<BTreeSet<Timestamp>>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// A job, as who wrote its note knows it.
pub(super) struct Life {
    pub(super) key: JobKey,
    pub(super) vault: usize,
    pub(super) epochs: Vec<Epoch>,
    /// The text of its schedule.
    pub(super) text: String,
    pub(super) skips_late: bool,
    pub(super) paused: bool,
    pub(super) removed: bool,
}

impl Life {
    pub(super) fn now(&self) -> &Epoch {
        self.epochs.last().unwrap()
    }
}

struct Daemon {
    handle: Handle,
    runner: Runner,
}

pub(super) struct World {
    pub(super) clock: Arc<HandClock>,
    pub(super) vaults: Vec<Arc<SimVault>>,
    pub(super) lives: Vec<Life>,
    /// Every entry that the ledger ever had.
    pub(super) rows: Vec<(JobKey, i64, Run)>,
    /// Messages by job and occurrence.
    pub(super) messages: HashMap<(NoteId, Timestamp), u32>,
    pub(super) kills: u32,
    /// The latest time that the clock has shown.
    pub(super) latest: Timestamp,
    daemon: Option<Daemon>,
    queue: Arc<dyn Queue>,
    registry: Registry,
    embedded: Vec<Arc<EmbeddedVault>>,
    cursors: Vec<u64>,
    observed: Vec<u64>,
    dir: TempDir,
}

/// Memory, where there is a file system in it: thousands of commits would wait for a disk otherwise.
fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

impl World {
    pub(super) async fn new(start: Timestamp) -> Self {
        let dir = scratch();
        let clock = Arc::new(HandClock(Mutex::new(start)));
        let names = ["near", "far"].map(str::to_owned);
        let open = |name: &String| EmbeddedVault::open(name, &dir.path().join(format!("{name}.db"))).unwrap();
        let embedded: Vec<_> = names.iter().map(open).collect();
        let sim = |vault: &Arc<EmbeddedVault>| SimVault::new(Arc::clone(vault), Arc::clone(&clock));
        let vaults: Vec<_> = embedded.iter().map(sim).collect();
        let registry = Registry::new(&names, Discovery::Definitions);
        for (vault, name) in vaults.iter().zip(&names) {
            let definition = NewNote {
                content: "You work.".into(),
                tags: vec![tag::DEFINITION.into()],
                metadata: object(json!({"name": format!("{name}-agent")})),
                ..NewNote::default()
            };
            let note = vault.create(definition).await.unwrap();
            let vault: Arc<dyn Vault> = vault.clone();
            registry.apply(&vault, &note.id, Some(&note));
        }
        let queue = queue::Options::new(dir.path().join("queue.db")).open().unwrap();
        Self {
            latest: start,
            queue: Arc::new(queue),
            clock,
            vaults,
            lives: Vec::new(),
            rows: Vec::new(),
            messages: HashMap::new(),
            kills: 0,
            daemon: None,
            registry,
            embedded,
            cursors: vec![0; 2],
            observed: vec![0; 2],
            dir,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn set(&mut self, at: Timestamp) {
        *self.clock.0.lock().unwrap() = at;
        self.latest = self.latest.max(at);
    }

    pub(super) fn pass(&mut self, span: SignedDuration) {
        self.set(self.now() + span);
    }

    pub(super) fn is_up(&self) -> bool {
        self.daemon.is_some()
    }

    /// Whether a vault does what it is told.
    pub(super) fn is_well(&self, vault: usize) -> bool {
        let vault = &self.vaults[vault];
        !vault.away.load(Ordering::SeqCst) && !vault.forgetful.load(Ordering::SeqCst)
    }

    pub(super) async fn start(&mut self) {
        let options = Options {
            file: self.dir.path().join("schedule.db"),
            zone: TimeZone::UTC,
            queue: Arc::clone(&self.queue),
            registry: self.registry.clone(),
            max_waiting: 1000,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            drain: CancellationToken::new(),
        };
        let (handle, runner) = options.open().await.unwrap();
        self.daemon = Some(Daemon { handle, runner });
        for vault in 0..self.vaults.len() {
            self.open(vault).await;
        }
    }

    /// What the feed of a vault does when it comes to be read.
    pub(super) async fn open(&mut self, vault: usize) {
        let all = Query {
            tags: vec![tag::JOB.into()],
            exact_tags: true,
            ..Query::default()
        };
        if let (Some(daemon), Ok(page)) = (&self.daemon, self.vaults[vault].query(&all).await) {
            let vault: Arc<dyn Vault> = self.vaults[vault].clone();
            daemon.handle.opened(&vault, &page.notes);
        }
    }

    /// The daemon is gone, as by SIGKILL: whatever it was at is not brought to an end.
    pub(super) async fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        daemon.runner.tasks.shutdown().await;
        let inner = Arc::clone(&daemon.handle.inner);
        drop(daemon);
        // What the storage was told already it does in this process.
        while Arc::strong_count(&inner.ledger.db) > 1 {
            tokio::task::yield_now().await;
        }
    }

    async fn feed(&mut self) {
        let Some(daemon) = &self.daemon else {
            return;
        };
        for (vault, cursor) in self.vaults.iter().zip(&mut self.cursors) {
            while let Ok(changes) = vault.changes(*cursor, 256).await {
                let Some(last) = changes.last() else {
                    break;
                };
                *cursor = last.cursor;
                let vault: Arc<dyn Vault> = vault.clone();
                for change in &changes {
                    daemon.handle.note_changed(&vault, &change.id, change.note.as_ref());
                }
            }
        }
    }

    /// The daemon does everything that is to be done now. Answers when something else will be; `None` when it is not there.
    pub(super) async fn step(&mut self) -> Option<Timestamp> {
        loop {
            self.feed().await;
            let daemon = self.daemon.as_mut()?;
            let next = daemon.runner.look();
            if daemon.runner.tasks.is_empty() {
                return Some(next.unwrap_or(Timestamp::MAX));
            }
            let died = tokio::select! {
                () = daemon.runner.settle() => false,
                () = self.vaults[0].died.notified() => true,
                () = self.vaults[1].died.notified() => true,
            };
            if died {
                self.kills += 1;
                self.stop().await;
            }
            self.observe().await;
            if died {
                self.start().await;
            }
        }
    }

    /// Sees what has happened, past the daemon.
    async fn observe(&mut self) {
        for (vault, cursor) in self.embedded.iter().zip(&mut self.observed) {
            loop {
                let changes = vault.changes(*cursor, 256).await.unwrap();
                let Some(last) = changes.last() else {
                    break;
                };
                *cursor = last.cursor;
                for (job, at) in changes.iter().filter_map(|change| occurrence(change.note.as_ref()?)) {
                    let life = self.lives.iter().find(|life| life.key.note == job).unwrap();
                    assert!(life.now().due.contains(&at), "{} is not due at {at}", life.text);
                    assert!(!life.paused && !life.removed, "{} does not run now", life.text);
                    *self.messages.entry((job, at)).or_default() += 1;
                }
            }
        }
        if let Some(daemon) = &self.daemon {
            let since = self.rows.last().map_or(0, |(_, id, _)| *id);
            self.rows.extend(daemon.handle.inner.ledger.since(since).await);
        }
    }

    /// Writes a job.
    pub(super) async fn add(
        &mut self,
        vault: usize,
        schedule: Metadata,
        due: Rc<BTreeSet<Timestamp>>,
        skips_late: bool,
    ) {
        let text = json!(schedule).to_string();
        let mut metadata = schedule;
        metadata.insert("agent".into(), format!("{}-agent", self.vaults[vault].name()).into());
        metadata.insert("catch_up".into(), if skips_late { "skip" } else { "once" }.into());
        let note = self.write(vault, metadata).await;
        let epoch = Epoch {
            single: !text.contains("cron"),
            due,
            from: self.now(),
            to: Timestamp::MAX,
        };
        self.lives.push(Life {
            key: JobKey {
                vault: self.vaults[vault].name().to_owned(),
                note: note.id,
            },
            vault,
            epochs: vec![epoch],
            text,
            skips_late,
            paused: false,
            removed: false,
        });
    }

    async fn write(&self, vault: usize, metadata: Metadata) -> Note {
        let new = NewNote {
            content: "Do it.".into(),
            tags: vec![tag::JOB.into()],
            metadata,
            ..NewNote::default()
        };
        self.vaults[vault].create(new).await.unwrap()
    }

    pub(super) async fn patch(&self, life: usize, metadata: Metadata) {
        let life = &self.lives[life];
        let patch = Patch {
            metadata,
            ..Patch::default()
        };
        let key = Key::Id(life.key.note.clone());
        let written = self.vaults[life.vault].patch(&key, patch, Precondition::Force).await;
        written.unwrap();
    }

    /// Another schedule.
    pub(super) async fn edit(&mut self, life: usize, schedule: Metadata, due: Rc<BTreeSet<Timestamp>>) {
        let now = self.now();
        self.patch(life, schedule.clone()).await;
        let life = &mut self.lives[life];
        life.epochs.last_mut().unwrap().to = now;
        life.text = json!(schedule).to_string();
        life.epochs.push(Epoch {
            single: false,
            due,
            from: now,
            to: Timestamp::MAX,
        });
    }

    pub(super) async fn pause(&mut self, life: usize, paused: bool) {
        let enabled = object(json!({"enabled": (!paused).to_string()}));
        self.patch(life, enabled).await;
        self.lives[life].paused = paused;
    }

    pub(super) async fn remove(&mut self, life: usize) {
        let now = self.now();
        let life = &mut self.lives[life];
        life.removed = true;
        life.epochs.last_mut().unwrap().to = now;
        let key = Key::Id(life.key.note.clone());
        self.vaults[life.vault].delete(&key).await.unwrap();
    }

    /// When a job runs next, as the daemon tells.
    pub(super) fn next_run(&self, life: &Life) -> Option<Timestamp> {
        let daemon = self.daemon.as_ref().unwrap();
        daemon.handle.get(&life.key).unwrap().next_run_at
    }

    pub(super) async fn close(mut self) {
        self.stop().await;
        for vault in &self.embedded {
            vault.close().await;
        }
    }
}

pub(super) fn object(value: serde_json::Value) -> Metadata {
    match value {
        serde_json::Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
