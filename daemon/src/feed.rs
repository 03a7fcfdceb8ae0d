//! The feed: follows a vault's change log from a stored cursor. A wake is a hint, the cursor is the truth.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reveille_queue::{Binding, FeedCursor, Queue, QueueError, State, Turn};
use reveille_vault::agent::{Inbound, tag};
use reveille_vault::{Change, ChangeKind, Cursor, Key, Kind, Note, NoteId, Query, Vault, VaultError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::crash;
use crate::definitions;
use crate::inbox::{Arrival, Inbox, WAITING};
use crate::kept::Keep;
use crate::scribe::Words;
use crate::stamp;
use crate::strays;

/// Changes taken at once.
const BATCH: u32 = 256;
/// Changes without a message after which the cursor is stored all the same: bounds what a start reads again.
const UNSAVED_MAX: u64 = 1024;
/// Status on the note of a message that names no agent.
const UNROUTABLE: &str = "error";
/// Status with which the older agent claims a message, and the one with which it is done.
const CLAIMED: [&str; 2] = ["in-flight", "handled"];
/// Longest pause after a failure of the vault or the queue.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why a feed no longer follows its vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to end.
    Drained,
    /// The vault has another change log than before: it has to be read anew.
    OtherLog,
}

/// Follows one vault.
pub(crate) struct Feed {
    vault: Arc<dyn Vault>,
    /// What the queue calls it.
    name: String,
    inbox: Inbox,
    /// Everything up to here is dealt with.
    at: Cursor,
    /// Everything up to here is dealt with, durably.
    saved: Cursor,
    /// What notes are told that cannot be told now.
    words: Words,
    /// Definitions that are to be kept as they are now, and those that are none any more.
    keep: definitions::Changes,
    /// Agents that came or changed. Kept over a failed step: the registry tells a change once.
    woken: Vec<String>,
    /// Notes that no longer define anything; kept likewise.
    gone: Vec<NoteId>,
}

/// Neither side is lost: the batch is read again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a look at the log has brought.
enum Progress {
    /// Changes; there may be more.
    More,
    /// None.
    Done,
    /// It is not the log that was followed.
    OtherLog,
}

/// All jobs of a vault, as they are now.
async fn jobs_of(vault: &dyn Vault) -> Result<Vec<Note>, VaultError> {
    let all = Query {
        tags: vec![tag::JOB.into()],
        exact_tags: true,
        ..Query::default()
    };
    Ok(vault.query(&all).await?.notes)
}

/// What the queue calls this feed: a position means something in one log only.
fn feed_of(vault: &dyn Vault, log: &str) -> String {
    format!("{}#{log}", vault.name())
}

/// Where an earlier run has stopped in the log that the vault has now. A vault that is another one than before is read from
/// its beginning, and so is an older copy, whose log has not reached the cursor yet; what was accepted before is found again.
async fn stored_cursor(vault: &dyn Vault, queue: &dyn Queue, feed: &str) -> Result<Cursor, QueueError> {
    let newest = *vault.watch().borrow();
    let mut stored = queue.cursor(feed).await?;
    if stored == 0 {
        // An earlier version knew the name only. It is forgotten first: a crash in between means to read again, and nothing is
        // left that a later log could be taken for.
        let before = queue.cursor(vault.name()).await?;
        if before > 0 {
            queue.rewind(vault.name()).await?;
            if before <= newest {
                let at = FeedCursor {
                    feed: feed.to_owned(),
                    at: before,
                };
                queue.accept(Vec::new(), Some(at)).await?;
                stored = before;
            }
        }
    }
    if stored <= newest {
        return Ok(stored);
    }
    tracing::error!(
        vault = vault.name(),
        stored,
        newest,
        "the vault is an older copy than before: it is read from its beginning; messages in it that had no turn yet get one now"
    );
    queue.rewind(feed).await?;
    Ok(0)
}

impl Feed {
    /// Reads the stored cursor, and all definitions as they are now.
    ///
    /// # Errors
    /// The vault or the queue cannot be read.
    pub(crate) async fn open(vault: Arc<dyn Vault>, inbox: Inbox, words: Words) -> anyhow::Result<Self> {
        let name = feed_of(&*vault, &vault.log().await?);
        let at = stored_cursor(&*vault, &*inbox.queue, &name).await?;
        let bound = inbox.queue.bindings().await?;
        let keep = definitions::read(&vault, &inbox, &bound).await?;
        // Who gets one of its names now is found below.
        drop(inbox.registry.release(vault.name()));
        // After the definitions: a job is for an agent that is known.
        inbox.jobs.opened(&vault, &jobs_of(&*vault).await?);
        let (woken, gone) = unsettled_names(&*vault, &inbox, &bound);
        drop(bound);
        let mut feed = Self {
            vault,
            name,
            inbox,
            at,
            saved: at,
            words,
            keep,
            woken,
            gone,
        };
        feed.settle_names().await?;
        feed.keep().await;
        feed.inbox.progress.follows(feed.vault.name());
        feed.inbox.settled(&feed.inbox.registry.names_in(feed.vault.name()));
        // A vault that could not be read at the start: workers have looked for its agents in vain.
        feed.inbox.workers.wake_channels(&feed.inbox.registry.names());
        // Where nothing has changed since, nothing else would tell.
        feed.inbox.progress.reached(feed.vault.name(), feed.at);
        feed.inbox.grants.opened(feed.vault.name());
        Ok(feed)
    }

    /// Follows the vault until `drain`, or until it is another one.
    pub(crate) async fn run(mut self, drain: CancellationToken) -> End {
        let mut wake = self.vault.watch();
        let mut pause = Duration::ZERO;
        // What a vault of ours lists is in its log.
        let mut is_complete = self.vault.kind() != Kind::Parachute;
        let vault = Arc::clone(&self.vault);
        let mut looked = vault.looked_through();
        loop {
            wake.borrow_and_update();
            let followed = match self.follow().await {
                // Nothing has been told that was not read: the next look would find nothing.
                Ok(Progress::More) if self.has_all(&wake) => Ok(Progress::Done),
                followed => followed,
            };
            match followed {
                Ok(Progress::OtherLog) => return End::OtherLog,
                Ok(Progress::Done) => {
                    pause = Duration::ZERO;
                    self.inbox.progress.follows(self.vault.name());
                    tokio::select! {
                        () = drain.cancelled() => break,
                        changed = wake.changed() => if changed.is_err() { break },
                        () = &mut looked, if !is_complete => {
                            is_complete = self.take_leave().await;
                            if !is_complete {
                                looked = vault.looked_through();
                            }
                        }
                    }
                }
                Ok(Progress::More) => pause = Duration::ZERO,
                Err(error) => {
                    pause = (pause * 2).clamp(Duration::from_millis(250), PAUSE_MAX);
                    self.inbox.progress.stands(self.vault.name(), &error.to_string());
                    tracing::error!(%error, vault = self.vault.name(), ?pause, "the feed stands; nothing is lost, it tries again");
                    tokio::select! {
                        () = drain.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
            if drain.is_cancelled() {
                break;
            }
        }
        self.inbox.jobs.closed(self.vault.name());
        if self.saved < self.at {
            let cursor = FeedCursor {
                feed: self.name.clone(),
                at: self.at,
            };
            if let Err(error) = self.inbox.accept(Vec::new(), Some(cursor)).await {
                tracing::warn!(%error, "the feed's cursor was not stored; the next start reads these changes again");
            }
        }
        End::Drained
    }

    /// Takes out what was read when this began and went away before it was in the log: no change tells of it. False: the
    /// vault or the queue could not be asked.
    async fn take_leave(&mut self) -> bool {
        match self.find_gone().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    vault = self.vault.name(),
                    "definitions and jobs that went away while the vault was read for the first time may still count; it is looked again"
                );
                false
            }
        }
    }

    async fn find_gone(&mut self) -> anyhow::Result<()> {
        for id in definitions::gone(&self.vault, &self.inbox.registry).await? {
            self.hand_over(&Change {
                cursor: self.at,
                id,
                kind: ChangeKind::Deleted,
                note: None,
                unreadable: None,
            });
        }
        self.inbox.jobs.opened(&self.vault, &jobs_of(&*self.vault).await?);
        self.settle_names().await?;
        self.keep().await;
        Ok(())
    }

    /// Whether the newest change that was told of is read, and no other was told of since.
    fn has_all(&self, wake: &watch::Receiver<Cursor>) -> bool {
        self.at == *wake.borrow() && !wake.has_changed().unwrap_or(true)
    }

    async fn follow(&mut self) -> Result<Progress, Trouble> {
        if self.step().await? > 0 {
            return Ok(Progress::More);
        }
        // The last row that was read is in the log as long as it is the same log: no position is given twice.
        let Some(before) = self.at.checked_sub(1) else {
            return Ok(Progress::Done);
        };
        let last = self.vault.changes(before, 1).await?;
        if last.first().is_some_and(|change| change.cursor == self.at) {
            return Ok(Progress::Done);
        }
        tracing::error!(
            vault = self.vault.name(),
            "the vault is another one than before, or an older copy: it is read from its beginning; messages in it that had \
             no turn yet get one now"
        );
        self.inbox.queue.rewind(&self.name).await?;
        Ok(Progress::OtherLog)
    }

    /// Takes one batch; answers how many changes it held. What is written on messages is written before the cursor moves, where
    /// the vault takes it, so that a crash repeats it; nothing of it does harm twice.
    async fn step(&mut self) -> Result<usize, Trouble> {
        let changes = self.vault.changes(self.at, BATCH).await?;
        let mut arrivals = Vec::new();
        // One that cannot be read is passed by: the vault has told it, and it counts as changed when it can be read again.
        for change in changes.iter().filter(|change| change.unreadable.is_none()) {
            self.hand_over(change);
            let Some(note) = change.note.as_ref().filter(|note| Inbound::wakes(note)) else {
                continue;
            };
            match Inbound::parse(note) {
                Ok(mut message) => {
                    let stray = strays::word(&self.inbox.registry, self.vault.name(), &message.agent);
                    if let Some(word) = stray.filter(|_| message.callback.is_none())
                        && self.turn_of(note).await?.is_none()
                    {
                        self.words.tell(&*self.vault, note, (UNROUTABLE, &word)).await?;
                        continue;
                    }
                    // Our word on a note that a person has mended. On a callback `status` is the outcome that it reports.
                    let status = note.text("status").filter(|_| message.callback.is_none());
                    let waits_no_more = self.inbox.registry.get(&message.agent).is_some();
                    if match status.as_deref() {
                        // The same word on a message that has a turn is how that one ended.
                        Some(UNROUTABLE) => self.turn_of(note).await?.is_none(),
                        Some(WAITING) => waits_no_more,
                        _ => false,
                    } {
                        self.words.tell(&*self.vault, note, ("", "")).await?;
                    }
                    message.origin = self
                        .inbox
                        .origin_of(self.vault.name(), note.id.as_str(), &mut message)
                        .await?;
                    arrivals.push(Arrival {
                        vault: self.vault.name().to_owned(),
                        note: note.id.to_string(),
                        message,
                    });
                }
                Err(error) => {
                    let word = error.to_string();
                    self.words.tell(&*self.vault, note, (UNROUTABLE, &word)).await?;
                }
            }
        }
        let any = !arrivals.is_empty();
        if any {
            crash::point("feed.read");
        }
        // Before the messages: one that names an agent's new name belongs to the conversation that comes along.
        self.settle_names().await?;
        self.keep().await;
        if let Some(last) = changes.last() {
            self.mark_orphans(&arrivals).await?;
            self.accept(arrivals, last.cursor).await?;
        }
        if any {
            crash::point("feed.accepted");
        }
        Ok(changes.len())
    }

    /// Tells the queue which note defines which agent now.
    async fn settle_names(&mut self) -> Result<(), QueueError> {
        if !self.gone.is_empty() {
            let warm = &self.inbox.workers.context().warm;
            warm.review_strictly(&self.inbox.registry).await;
        }
        while let Some(note) = self.gone.last() {
            self.inbox.queue.unbind(self.vault.name(), note.as_str()).await?;
            self.gone.pop();
        }
        self.inbox.adopt(&self.woken).await?;
        self.woken.clear();
        Ok(())
    }

    async fn turn_of(&self, note: &Note) -> Result<Option<Turn>, QueueError> {
        self.inbox.queue.turn_of(self.vault.name(), note.id.as_str()).await
    }

    /// Tells of a change who follows notes that are no messages.
    fn hand_over(&mut self, change: &Change) {
        let grants = &self.inbox.grants;
        change
            .note
            .iter()
            .for_each(|note| grants.foresee(self.vault.name(), note));
        let registry = &self.inbox.registry;
        let effect = registry.apply(&self.vault, &change.id, change.note.as_ref());
        if effect.gone || !effect.woken.is_empty() {
            self.inbox.jobs.agents_changed();
        }
        let jobs = &self.inbox.jobs;
        if let Some(job) = jobs.note_changed(&self.vault, &change.id, change.note.as_ref()) {
            self.inbox.hub.job_changed(&job);
        }
        self.woken.extend(effect.woken);
        if effect.gone {
            self.gone.push(change.id.clone());
        }
        grants.see(self.vault.name(), &change.id, change.note.as_ref());
        if effect.gone || effect.keep {
            let kept = change.note.as_ref().filter(|_| effect.keep).map(|note| Keep {
                note: note.clone(),
                mark: definitions::mark(note),
            });
            self.keep.insert(change.id.clone(), kept);
        }
    }

    /// Keeps definitions as they are, for the day on which they are broken. Nothing waits for that.
    async fn keep(&mut self) {
        if self.keep.is_empty() {
            return;
        }
        match self.inbox.kept.store(self.vault.name(), &self.keep).await {
            Ok(()) => self.keep.clear(),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                vault = self.vault.name(),
                "definitions are not kept as they are now; it is tried again with the next one that changes"
            ),
        }
    }

    /// Writes on messages for agents that are not there that they wait.
    async fn mark_orphans(&self, arrivals: &[Arrival]) -> Result<(), Trouble> {
        for arrival in arrivals {
            let agent = &arrival.message.agent;
            if arrival.message.callback.is_some() || self.inbox.registry.get(agent).is_some() {
                continue;
            }
            let detail = format!("waits: there is no agent {agent:?} yet; define it, or delete this note");
            let Ok(id) = NoteId::new(arrival.note.as_str()) else {
                continue;
            };
            let note = self.vault.get(&Key::Id(id)).await?;
            let Some(note) = note.filter(|note| !claimed(note) && !stamp::says(note, WAITING, &detail)) else {
                continue;
            };
            // Asked after the note was read: what was told on it since then, such as that it was cancelled, is not overwritten.
            let turn = self.inbox.queue.turn_of(&arrival.vault, &arrival.note).await?;
            if turn.is_some_and(|turn| turn.state != State::Waiting) {
                continue;
            }
            tracing::warn!(
                note = arrival.note,
                agent,
                "a message waits for an agent that is not defined"
            );
            self.words.tell(&*self.vault, &note, (WAITING, &detail)).await?;
        }
        Ok(())
    }

    async fn accept(&mut self, arrivals: Vec<Arrival>, last: Cursor) -> Result<(), Trouble> {
        if !arrivals.is_empty() || last - self.saved >= UNSAVED_MAX {
            let cursor = FeedCursor {
                feed: self.name.clone(),
                at: last,
            };
            let accepted = self.inbox.accept(arrivals, Some(cursor)).await?;
            self.saved = last;
            tracing::debug!(count = accepted.len(), cursor = last, "messages accepted");
        }
        self.at = last;
        self.inbox.progress.reached(self.vault.name(), last);
        Ok(())
    }
}

/// Whether another program that works on messages of this vault has taken this one. Our word in its place would make it free
/// again there.
fn claimed(note: &Note) -> bool {
    note.text("status")
        .is_some_and(|status| CLAIMED.contains(&status.as_str()))
}

/// What the names of the agents, as they are now, ask of the queue: agents that were not bound under their present name, and
/// notes that were bound and define nothing any more. An agent may have been renamed or removed while nobody followed.
fn unsettled_names(vault: &dyn Vault, inbox: &Inbox, stored: &[Binding]) -> (Vec<String>, Vec<NoteId>) {
    let names = inbox.registry.names();
    let stored_set: HashSet<&Binding> = stored.iter().collect();
    let present = inbox.bindings(&names);
    let woken = present
        .iter()
        .filter(|binding| !stored_set.contains(binding))
        .map(|binding| binding.channel.to_string())
        .collect();
    let ours = stored.iter().filter(|binding| binding.vault == vault.name());
    let ids = ours.filter_map(|binding| NoteId::new(binding.note.as_str()).ok()); // silent-ok: only ids are bound
    let gone = ids.filter(|id| !inbox.registry.knows(vault.name(), id)).collect();
    (woken, gone)
}
