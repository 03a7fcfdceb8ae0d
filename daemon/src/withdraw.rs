//! Ends a message that waits, without a turn: a person cancels it, or its agent never comes.

use jiff::Timestamp;
use reveille_queue::{ControlError, Queue, SessionUpdate, Settlement, Spend, State, Turn};
use reveille_transports::webhooks::Outcome as Told;
use reveille_vault::agent::{Inbound, ThreadStatus};
use reveille_vault::{Key, Note, NoteId, Vault, VaultError};
use serde_json::json;

use crate::bridges::webhooks::{Settled, turn_of};
use crate::effects::{Effect, to_bridges};
use crate::ending::thread_path;
use crate::inbox::WAITING;
use crate::live::{Happening, Hub, Milestone, Subject};
use crate::metrics::Metrics;
use crate::record::{FailureRecord, TurnRecord};
use crate::registry::Registry;
use crate::report::{Outcome, Report};
use crate::stamp;
use crate::traces::Traces;

/// How it ends.
pub(crate) struct Withdrawal<'a> {
    /// A terminal state.
    pub(crate) state: State,
    /// What happened, in a sentence; kept with the turn.
    pub(crate) reason: &'a str,
    /// For a failure note; without it none is written.
    pub(crate) failure: Option<FailureRecord>,
    /// The outcome as the requester is told: `cancelled`, `refused`.
    pub(crate) status: &'static str,
    /// Who wants it.
    pub(crate) by: Option<&'a str>,
}

/// What it takes to end a message.
pub(crate) struct Desk<'a> {
    /// Where it waits.
    pub(crate) queue: &'a dyn Queue,
    /// Who can be told.
    pub(crate) registry: &'a Registry,
    /// Who watches.
    pub(crate) hub: &'a Hub,
    /// Where its note is.
    pub(crate) vault: &'a dyn Vault,
    /// Turns may wake agents of other vaults.
    pub(crate) across_vaults: bool,
    /// Who is told of messages that have ended.
    pub(crate) traces: &'a Traces,
    /// Where failures are counted.
    pub(crate) metrics: &'a Metrics,
}

fn subject_of(turn: &Turn) -> Subject {
    Subject {
        channel: turn.message.lane.channel.to_string(),
        turn: turn.id,
        thread: turn.conversation,
        message: turn.message.note.clone(),
    }
}

impl Desk<'_> {
    /// Ends a waiting turn: its state, the failure note, and the word to its requester, in one transaction.
    ///
    /// # Errors
    /// [`ControlError`]; then nothing has changed.
    pub(crate) async fn withdraw(&self, turn: &Turn, how: Withdrawal<'_>) -> Result<(), ControlError> {
        // One that cannot be read has nobody to tell; it must be possible to get rid of it all the same.
        let channel = turn.message.lane.channel.as_str();
        let message = serde_json::from_value::<Inbound>(turn.message.body.clone())
            .unwrap_or_else(|_| Inbound::blank(channel.to_owned()));
        let thread_path = thread_path(channel, &turn.message.lane.thread, turn.conversation);
        let report = Report {
            turn: turn.id,
            agent: channel,
            thread: turn.conversation,
            vault: &turn.message.vault,
            note: &turn.message.note,
            message: &message,
            chain: &turn.message.chain,
            thread_path: &thread_path,
            at: Timestamp::now(),
        };
        let note = how.failure.as_ref().map(|failure| report.failure(failure));
        let mut record = TurnRecord {
            failure: how.failure,
            note: note.as_ref().map(|note| note.id.to_string()),
            notices: vec![how.reason.to_owned()],
            ended_by: how.by.map(str::to_owned),
            plain: turn.interruptions == 0,
            ..TurnRecord::default()
        };
        let outcome = Outcome {
            status: how.status,
            how: &format!("did not finish ({})", how.status),
            // A link that leads nowhere does no harm.
            has_thread: !matches!(self.thread_note(turn, &thread_path).await, Ok(None)),
            reply: None,
        };
        let callback = report.callback(&outcome, |name| self.registry.home(name), self.across_vaults);
        let callback = callback.unwrap_or_else(|notice| {
            tracing::warn!(turn = %turn.id, channel, notice);
            record.notices.push(notice);
            None
        });
        let vault = turn.message.vault.clone();
        let bridged = note.as_ref().map(|note| to_bridges([&message], note, &[]));
        let effects: Vec<_> = note
            .map(|note| Effect::Outbound {
                vault,
                note,
                thread_path: Some(thread_path.clone()),
            })
            .into_iter()
            .chain(callback)
            .chain(bridged.into_iter().flatten())
            .chain(self.for_webhooks(turn, record.failure.as_ref()))
            .map(|effect| effect.row(turn.conversation))
            .collect();
        let settlement = Settlement {
            state: how.state,
            record: json!(record),
            session: SessionUpdate::Keep,
            spend: Spend::default(),
        };
        let is_all = effects.is_empty();
        self.queue.cancel(turn.id, settlement, effects).await?;
        // What a person takes back in line is no turn.
        if let Some(failure) = &record.failure {
            self.metrics.ended_as(channel, how.status, Some(&failure.code));
        }
        if is_all {
            self.traces.finished(turn.id);
        }
        tracing::info!(turn = %turn.id, channel, state = how.state.as_str(), reason = how.reason, "a message is withdrawn");
        self.tell(turn, record.failure);
        if let Err(error) = self.mark(turn, &thread_path, how.state, how.reason).await {
            tracing::warn!(%error, turn = %turn.id, channel, "a note may still say that the message waits or is worked on");
        }
        Ok(())
    }

    async fn note(&self, id: &str) -> Result<Option<Note>, VaultError> {
        match NoteId::new(id) {
            Ok(id) => self.vault.get(&Key::Id(id)).await,
            Err(_) => Ok(None),
        }
    }

    /// By its identity, or the one that a person had made at its place.
    async fn thread_note(&self, turn: &Turn, path: &str) -> Result<Option<Note>, VaultError> {
        if let Some(note) = self.note(&turn.conversation.to_string()).await? {
            return Ok(Some(note));
        }
        self.vault.get(&Key::Path(path.to_owned())).await
    }

    /// Its end, for who has a webhook.
    fn for_webhooks(&self, turn: &Turn, failure: Option<&FailureRecord>) -> Option<Effect> {
        let subject = subject_of(turn);
        self.hub.told().is_on().then(|| Effect::Webhook {
            end: Settled {
                turn: turn_of(&subject),
                agent: subject.channel,
                at: Timestamp::now(),
                outcome: failure.map_or(Told::Stopped, |_| Told::Error),
                reply: None,
                error: failure.map(|failure| failure.message.clone()),
                code: failure.map(|failure| failure.code.clone()),
                usage: None,
                cost_usd: None,
                budget: None,
            },
        })
    }

    fn tell(&self, turn: &Turn, failure: Option<FailureRecord>) {
        let subject = subject_of(turn);
        let milestone = match failure {
            None => Milestone::Stopped {},
            Some(failure) => Milestone::Error {
                error: failure.message,
                code: failure.code,
                next_step: failure.next_step,
                undelivered: false,
            },
        };
        self.hub.tell(&subject, &Happening::About(milestone));
    }

    /// Notes that still say otherwise: the message, that it waits for its agent; the thread, that this turn is worked on,
    /// as an attempt that was cut off leaves it.
    async fn mark(&self, turn: &Turn, thread_path: &str, state: State, reason: &str) -> Result<(), VaultError> {
        let says = |note: &Note, status: &str| note.text("status").as_deref() == Some(status);
        let message = self.note(&turn.message.note).await?;
        if let Some(note) = message.filter(|note| says(note, WAITING)) {
            stamp::show(self.vault, &note, state.as_str(), reason).await?;
        }
        let id = turn.id.to_string();
        let thread = self.thread_note(turn, thread_path).await?;
        let working = |note: &Note| says(note, ThreadStatus::Working.as_str()) && note.text("turn") == Some(id.clone());
        if let Some(note) = thread.filter(working) {
            stamp::show(self.vault, &note, state.as_str(), reason).await?;
        }
        Ok(())
    }
}
