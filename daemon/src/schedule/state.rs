//! All jobs as they are known now, in memory: what the notes say, how far each has come, and when to look at it again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reveille_vault::agent::{Job, Problem};
use reveille_vault::{Note, NoteId, Vault};

use super::model::{Horizon, JobKey, Spec, Standing};

/// Shortest and longest pause before what could not be done is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What the note of a job amounts to.
pub(super) type Parsed = Result<Arc<Job>, Vec<Problem>>;

/// One job.
pub(super) struct Entry {
    /// Where it lives.
    pub(super) vault: Arc<dyn Vault>,
    /// As it was last seen.
    pub(super) note: Arc<Note>,
    /// What it amounts to.
    pub(super) parsed: Parsed,
    /// How far it has come; `None` until it was looked at.
    pub(super) horizon: Option<Horizon>,
    /// See [`super::plan::Known::unsure`].
    pub(super) unsure: bool,
    /// Its note may have to say something else of how it stands.
    pub(super) owes: bool,
    /// Its note may have to say something else of how the last run went.
    pub(super) owes_run: bool,
    /// Why the last attempt came to nothing; it is made again.
    pub(super) trouble: Option<String>,
    /// How the last run went: when it began and how it ended, as far as that is known and the note may not say it yet.
    pub(super) last: (Option<String>, Option<String>),
    /// The note is gone.
    pub(super) removed: bool,
    /// What is stored of it belongs to a note that was there before.
    pub(super) forget: bool,
    print: String,
    pause: Duration,
    due: Option<Timestamp>,
}

/// A job for who is at it.
pub(super) struct Snapshot {
    pub(super) vault: Arc<dyn Vault>,
    pub(super) note: Arc<Note>,
    pub(super) parsed: Parsed,
    pub(super) horizon: Option<Horizon>,
    pub(super) unsure: bool,
    pub(super) owes: bool,
    pub(super) owes_run: bool,
    pub(super) trouble: Option<String>,
    pub(super) removed: bool,
    pub(super) forget: bool,
}

impl Snapshot {
    /// For the plan.
    pub(super) fn spec(&self) -> Spec<'_> {
        Spec {
            job: self.parsed.as_deref().ok(), // silent-ok: what is wrong is told on the note and in lists
            changed_at: self.note.updated_at,
        }
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct State {
    pub(super) entries: HashMap<JobKey, Entry>,
    /// Stored, and not seen yet since the start.
    pub(super) stored: HashMap<JobKey, Horizon>,
    /// Of which there is a history.
    pub(super) histories: BTreeSet<JobKey>,
    /// Not in a listing of their vault: to be asked for one by one.
    pub(super) vanished: Vec<(Arc<dyn Vault>, JobKey)>,
    /// Not before then.
    pub(super) ask_at: Option<Timestamp>,
    /// Agents came, changed or went.
    pub(super) agents_changed: bool,
    by_time: BTreeSet<(Timestamp, JobKey)>,
    dirty: BTreeSet<JobKey>,
    /// Somebody is at these, also when their vault is no longer there: it may be again before they have ended.
    busy: HashSet<JobKey>,
}

fn print(parsed: &Parsed) -> String {
    match parsed {
        Ok(job) => job.fingerprint(),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

impl State {
    /// As an earlier run has left it.
    pub(super) fn of(stored: HashMap<JobKey, Horizon>, histories: BTreeSet<JobKey>) -> Self {
        Self {
            stored,
            histories,
            ..Self::default()
        }
    }

    /// Takes the present state of a note. Answers whether there is something to do.
    pub(super) fn learn(&mut self, vault: &Arc<dyn Vault>, id: &NoteId, note: Option<&Note>, host: &TimeZone) -> bool {
        let key = JobKey {
            vault: vault.name().to_owned(),
            note: id.clone(),
        };
        let Some(note) = note.filter(|note| Job::is(note)) else {
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| !entry.removed) else {
                return false;
            };
            (entry.removed, entry.forget) = (true, true);
            self.dirty.insert(key);
            return true;
        };
        let known = self.entries.get(&key).filter(|entry| !entry.removed);
        if known.is_some_and(|entry| *entry.note == *note) {
            return false;
        }
        let parsed = Job::parse(note, host).map(Arc::new);
        let print = print(&parsed);
        match self.entries.get_mut(&key) {
            Some(entry) => {
                let news = entry.removed || entry.print != print;
                if entry.removed {
                    (entry.removed, entry.horizon, entry.owes_run) = (false, None, false);
                    entry.last = (None, None);
                }
                entry.vault = Arc::clone(vault);
                entry.note = Arc::new(note.clone());
                (entry.parsed, entry.print) = (parsed, print);
                entry.owes |= news;
                if !news {
                    return false;
                }
            }
            None => {
                let entry = Entry {
                    vault: Arc::clone(vault),
                    note: Arc::new(note.clone()),
                    parsed,
                    horizon: self.stored.remove(&key),
                    unsure: true,
                    owes: true,
                    owes_run: self.histories.contains(&key),
                    trouble: None,
                    last: (None, None),
                    removed: false,
                    forget: false,
                    print,
                    pause: Duration::ZERO,
                    due: None,
                };
                self.entries.insert(key.clone(), entry);
            }
        }
        self.dirty.insert(key);
        true
    }

    /// Takes all jobs of a vault. Those that are known and not among them are to be asked for.
    pub(super) fn learn_all(&mut self, vault: &Arc<dyn Vault>, notes: &[Note], host: &TimeZone) {
        for note in notes {
            self.learn(vault, &note.id, Some(note), host);
        }
        let there: HashSet<&NoteId> = notes.iter().map(|note| &note.id).collect();
        let known = self.entries.keys().chain(self.stored.keys());
        let missing = known.filter(|key| key.vault == vault.name() && !there.contains(&key.note));
        let missing: Vec<_> = missing.map(|key| (Arc::clone(vault), key.clone())).collect();
        self.vanished.extend(missing);
    }

    /// What jobs depend on has changed outside of them.
    fn all_owe(&mut self) {
        for (key, entry) in &mut self.entries {
            entry.owes = true;
            self.dirty.insert(key.clone());
        }
    }

    /// A vault is not there any more: its jobs are not known until it comes back.
    pub(super) fn close(&mut self, vault: &str) {
        let gone: Vec<JobKey> = self.entries.keys().filter(|key| key.vault == vault).cloned().collect();
        for key in gone {
            let Some(entry) = self.entries.remove(&key) else {
                continue;
            };
            if let Some(at) = entry.due {
                self.by_time.remove(&(at, key.clone()));
            }
            self.dirty.remove(&key);
            if entry.owes_run || entry.last.1.is_some() {
                self.histories.insert(key.clone());
            }
            if let Some(horizon) = entry.horizon.filter(|_| !entry.forget) {
                self.stored.insert(key, horizon);
            }
        }
        self.vanished.retain(|(_, key)| key.vault != vault);
    }

    /// A job is to be looked at.
    pub(super) fn touch(&mut self, key: &JobKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.owes_run = true;
            self.dirty.insert(key.clone());
        }
    }

    /// The clock was put back: every horizon may be too far away.
    pub(super) fn look_at_all(&mut self) {
        self.dirty.extend(self.entries.keys().cloned());
    }

    /// Jobs that have to be looked at now; from here on somebody is at them.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<JobKey> {
        if std::mem::take(&mut self.agents_changed) {
            self.all_owe();
        }
        let due = self.by_time.iter().take_while(|(at, _)| *at <= now);
        let mut keys: BTreeSet<JobKey> = due.map(|(_, key)| key.clone()).collect();
        keys.append(&mut self.dirty);
        let mut taken = Vec::new();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if !self.busy.insert(key.clone()) {
                self.dirty.insert(key);
                continue;
            }
            if let Some(at) = entry.due.take() {
                self.by_time.remove(&(at, key.clone()));
            }
            taken.push(key);
        }
        taken
    }

    /// When the next job is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// For who is at it; `None` when the job is gone.
    pub(super) fn snapshot(&self, key: &JobKey) -> Option<Snapshot> {
        let entry = self.entries.get(key)?;
        Some(Snapshot {
            vault: Arc::clone(&entry.vault),
            note: Arc::clone(&entry.note),
            parsed: entry.parsed.clone(),
            horizon: entry.horizon.clone(),
            unsure: entry.unsure,
            owes: entry.owes,
            owes_run: entry.owes_run,
            trouble: entry.trouble.clone(),
            removed: entry.removed,
            forget: entry.forget,
        })
    }

    /// What is stored of the job is forgotten; with it the job, when its note is gone. Answers whether it is.
    pub(super) fn forgotten(&mut self, key: &JobKey) -> bool {
        self.histories.remove(key);
        let gone = match self.entries.get_mut(key) {
            Some(entry) => {
                entry.forget = false;
                entry.removed
            }
            None => true,
        };
        if gone {
            self.entries.remove(key);
        }
        gone
    }

    /// Changes a job that somebody is at.
    pub(super) fn with(&mut self, key: &JobKey, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(key) {
            change(entry);
        }
    }

    /// Nobody is at it any more. `trouble`: it is tried again after a pause. Answers whether it has to be looked at at once.
    pub(super) fn release(&mut self, key: &JobKey, now: Timestamp, trouble: Option<String>) -> bool {
        self.busy.remove(key);
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        let horizon = entry
            .horizon
            .as_ref()
            .filter(|horizon| horizon.standing == Standing::Active);
        let next = horizon.and_then(|horizon| horizon.next);
        entry.due = match &trouble {
            Some(_) => {
                entry.pause = (entry.pause * 2).clamp(PAUSES.0, PAUSES.1);
                let again = now.checked_add(entry.pause).unwrap_or(now);
                // What is not due yet is not held up.
                Some(next.filter(|next| *next > now).map_or(again, |next| next.min(again)))
            }
            None => {
                entry.pause = Duration::ZERO;
                next
            }
        };
        entry.trouble = trouble;
        if let Some(at) = entry.due {
            self.by_time.insert((at, key.clone()));
        }
        self.dirty.contains(key)
    }
}

#[cfg(test)]
mod tests;
