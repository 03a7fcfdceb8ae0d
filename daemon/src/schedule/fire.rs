//! A run: the message of a job becomes an inbound note, which takes the same way as any other.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_queue::{ChannelName, InvalidName, QueueError};
use reveille_vault::agent::{Inbound, Job, Overlap};
use reveille_vault::note::millis;
use reveille_vault::{Key, NewNote, Note, NoteId, Vault, VaultError};
use uuid::Uuid;

use super::Inner;
use super::model::{Code, JobKey};
use crate::crash;
use crate::strays;

/// Namespace of the notes of runs: the job and the occurrence name the note, so that no occurrence has two.
const NAMESPACE: Uuid = Uuid::from_u128(0x8a51_02f4_19c7_4f0e_b3d6_0c2e_77a9_5e13);
/// How long a vault may take for a note.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Metadata of a message: the note of the job that it comes from.
const JOB: &str = "job";
/// Metadata of a message: which occurrence of the job it is.
const OCCURRENCE_AT: &str = "occurrence_at";

/// The note of an occurrence.
pub(super) fn message_of(job: &NoteId, occurrence: Timestamp) -> Option<NoteId> {
    let name = format!("{job}\n{}", millis::format(occurrence));
    NoteId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()).ok() // silent-ok: a UUID is a valid id
}

/// What is to be sent.
pub(super) struct Letter<'a> {
    /// The job.
    pub(super) key: &'a JobKey,
    /// Its note.
    pub(super) note: &'a Note,
    /// What it says.
    pub(super) job: &'a Job,
    /// Where it lives.
    pub(super) vault: &'a Arc<dyn Vault>,
    /// The identity of the message.
    pub(super) message: NoteId,
    /// The occurrence; `None` when a person started it.
    pub(super) occurrence: Option<Timestamp>,
    /// The time.
    pub(super) now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// The message is in the vault, durably.
    Done,
    /// It has been there before.
    Before,
    /// It was decided not to.
    Not(Code, String),
    /// The vault does not take it.
    Refused(String),
    /// It could not be done now, and may even have been done.
    Unknown(String),
}

impl Inner {
    /// What keeps the agent of a job from getting a message: it is not there, or lives elsewhere.
    pub(super) fn no_agent(&self, key: &JobKey, job: &Job) -> Option<String> {
        if self.registry.get(&job.agent).is_none() {
            return Some(format!(
                "there is no agent {:?}, or its definition has an error; `reveille agent list` tells",
                job.agent
            ));
        }
        strays::word(&self.registry, &key.vault, &job.agent)
    }

    /// Whether an occurrence has run: its note is there, or the queue remembers one that is not there any more. Answers
    /// since when.
    ///
    /// # Errors
    /// It cannot be found out now.
    pub(super) async fn has_run(&self, vault: &dyn Vault, message: &NoteId) -> Result<Option<Timestamp>, String> {
        let id = Key::Id(message.clone());
        let asked = tokio::time::timeout(PATIENCE, vault.get(&id));
        match asked.await.map_err(|_| silence(vault))? {
            Ok(Some(note)) => return Ok(Some(note.created_at)),
            Ok(None) => {}
            // It is there, whatever has become of it.
            Err(VaultError::Damaged { .. }) => return Ok(Some(self.clock.now())),
            Err(error) => return Err(error.to_string()),
        }
        let turn = self.queue.turn_of(vault.name(), message.as_str()).await;
        Ok(turn.map_err(|error| error.to_string())?.map(|turn| turn.accepted_at))
    }

    /// Sends it, unless something speaks against it.
    pub(super) async fn send(&self, letter: &Letter<'_>) -> Sent {
        if let Some(why) = self.no_agent(letter.key, letter.job) {
            return Sent::Not(Code::NoAgent, why);
        }
        match self.obstacle(letter).await {
            Ok(None) => {}
            Ok(Some(sent)) => return sent,
            Err(error) => return Sent::Unknown(error.to_string()),
        }
        let message = Inbound {
            text: letter.job.message.clone(),
            sender: format!("runner:{}", letter.job.id),
            subject: letter.job.subject.clone(),
            // A job that a turn has written is a hand-over like any other.
            delegation_depth: depth(letter.note),
            ..Inbound::blank(letter.job.agent.clone())
        };
        let mut new = message.render(letter.message.clone(), letter.now);
        new.metadata.insert(JOB.into(), letter.key.note.as_str().into());
        if let Some(at) = letter.occurrence {
            new.metadata.insert(OCCURRENCE_AT.into(), millis::format(at).into());
        }
        write(letter.vault, new).await
    }

    /// What speaks against a run now.
    async fn obstacle(&self, letter: &Letter<'_>) -> Result<Option<Sent>, Trouble> {
        let (vault, message) = (letter.vault.name(), letter.message.as_str());
        if self.queue.turn_of(vault, message).await?.is_some() {
            return Ok(Some(Sent::Before));
        }
        if letter.job.overlap == Overlap::Skip {
            if let Some(why) = self.being_sent(letter) {
                // Nothing may come of that one, so what the clock wants is tried again.
                return Ok(Some(match letter.occurrence {
                    Some(_) => Sent::Unknown(why),
                    None => Sent::Not(Code::Overlap, why),
                }));
            }
            if let Some(why) = self.at_work(letter).await? {
                return Ok(Some(Sent::Not(Code::Overlap, why)));
            }
        }
        let channel: Result<ChannelName, InvalidName> = letter.job.agent.parse();
        let Ok(channel) = channel else {
            return Ok(None);
        };
        let waiting = self.queue.waiting(&channel, self.max_waiting).await?;
        let full = || {
            let why = format!(
                "{waiting} messages wait for the agent {:?}, and more are not taken",
                channel.as_str()
            );
            Sent::Not(Code::Full, why)
        };
        Ok((waiting >= u64::from(self.max_waiting)).then(full))
    }

    /// Which run that a person has started is being sent now: of two at the same time the first one counts.
    fn being_sent(&self, letter: &Letter<'_>) -> Option<String> {
        // One lock for both looks, so that none is settled in between.
        let in_hand = self.in_hand();
        let runs = self.open_runs_of(letter.key).into_iter();
        let mut earlier = runs.take_while(|run| run.message != letter.message);
        let one = earlier.find(|run| run.pending && in_hand.contains(&run.id))?;
        Some(format!("an earlier run is being sent: its message is {}", one.message))
    }

    /// Which earlier run of the job has not ended.
    async fn at_work(&self, letter: &Letter<'_>) -> Result<Option<String>, Trouble> {
        // Of one whose sending is over without anybody knowing what came of it, it is found out here.
        let in_hand = self.in_hand().clone();
        for run in self.open_runs_of(letter.key) {
            if (run.pending && in_hand.contains(&run.id)) || run.message == letter.message {
                continue;
            }
            let turn = self.queue.turn_of(letter.vault.name(), run.message.as_str()).await?;
            match turn {
                Some(turn) if turn.state.is_terminal() => {}
                Some(turn) => {
                    let state = turn.state.as_str();
                    return Ok(Some(format!(
                        "an earlier run has not ended: turn {} is {state}",
                        turn.id
                    )));
                }
                // Not taken yet, unless it was refused.
                None => {
                    let note = letter.vault.get(&Key::Id(run.message.clone())).await?;
                    let waits = |note: &Note| note.text("status").is_none_or(|status| status != "error");
                    if note.as_ref().is_some_and(waits) {
                        let why = format!("an earlier run has not begun: its message is {}", run.message);
                        return Ok(Some(why));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// Something could not be found out.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// How many hand-overs led to the note of a job: the mark is the one of messages.
fn depth(note: &Note) -> u32 {
    Inbound::parse(note).map_or(0, |marks| marks.delegation_depth)
}

/// That a vault takes too long.
pub(super) fn silence(vault: &dyn Vault) -> String {
    format!("the vault {:?} does not answer", vault.name())
}

async fn write(vault: &Arc<dyn Vault>, new: NewNote) -> Sent {
    crash::point("job.sending");
    let sent = match tokio::time::timeout(PATIENCE, vault.create(new)).await {
        Err(_) => Sent::Unknown(silence(&**vault)),
        Ok(Ok(_)) => Sent::Done,
        // Its path holds its id, so a vault may complain of that first.
        Ok(Err(VaultError::IdTaken { .. } | VaultError::PathTaken { .. })) => Sent::Before,
        Ok(Err(error @ VaultError::Unavailable { .. })) => Sent::Unknown(error.to_string()),
        Ok(Err(error)) => Sent::Refused(error.to_string()),
    };
    crash::point("job.sent");
    sent
}
