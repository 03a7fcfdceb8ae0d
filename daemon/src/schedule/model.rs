//! What is kept of a job beside its note: how far it has come, and what became of its occurrences.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reveille_vault::NoteId;
use reveille_vault::agent::{Job, Schedule, When};

/// A job: the vault and the note.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobKey {
    /// Name of the vault.
    pub(crate) vault: String,
    /// The note.
    pub(crate) note: NoteId,
}

/// An enum whose variants are stored and shown as words.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word that is stored and shown.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The inverse.
            pub(super) fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

/// Whether the clock starts a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Active,
    /// A person has switched it off.
    Paused,
    /// The note does not hold together.
    Broken,
}
words!(Standing { Active = "active", Paused = "paused", Broken = "broken" });

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// The clock, on time.
    Scheduled,
    /// The clock, late.
    CatchUp,
    /// A person.
    Manual,
}
words!(RunKind { Scheduled = "scheduled", CatchUp = "catch_up", Manual = "manual" });

/// What became of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// It is about to be sent; only of runs that a person started.
    Pending,
    /// Its message is in the vault.
    Fired,
    /// It was decided that it does not run.
    Skipped,
    /// The message could not be written.
    Failed,
}
words!(RunState { Pending = "pending", Fired = "fired", Skipped = "skipped", Failed = "failed" });

/// Why an occurrence did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nobody was there for it.
    Missed,
    /// The vault could not be used.
    Vault,
    /// The job was paused.
    Paused,
    /// The note of the job did not hold together.
    Broken,
    /// It was missed, and then the schedule became another one.
    Edited,
    /// An earlier run is still at work.
    Overlap,
    /// The agent is not there.
    NoAgent,
    /// Too many messages wait for the agent.
    Full,
    /// The vault did not take the message.
    Refused,
}
words!(Code {
    Missed = "missed",
    Vault = "vault_unavailable",
    Paused = "paused",
    Broken = "broken",
    Edited = "edited",
    Overlap = "overlap",
    NoAgent = "no_agent",
    Full = "queue_full",
    Refused = "refused",
});

impl Code {
    /// Whether the note of the job should tell. What a person has asked for is no news to them.
    pub(super) fn is_news(self) -> bool {
        !matches!(self, Self::Paused | Self::Broken | Self::Edited)
    }
}

/// A schedule in words: what it was can be asked after the note has become another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// [`Schedule::fingerprint`].
    pub(super) fingerprint: String,
    /// The expression, or the time.
    pub(super) when: String,
    /// Name of the zone.
    pub(super) zone: String,
}

impl Written {
    pub(super) fn of(schedule: &Schedule) -> Self {
        Self {
            fingerprint: schedule.fingerprint(),
            when: match &schedule.when {
                When::Cron(cron) => cron.to_string(),
                When::At(at) => at.to_string(),
            },
            zone: schedule.zone_name.clone(),
        }
    }

    /// The schedule; `None` when this version does not understand it, or the zone is gone.
    pub(super) fn read(&self, host: &TimeZone) -> Option<Schedule> {
        let is_at = self.fingerprint.starts_with("at ");
        let (cron, at) = match is_at {
            true => (None, Some(self.when.as_str())),
            false => (Some(self.when.as_str()), None),
        };
        // The zone of a host may have no name that is known.
        let zone = TimeZone::get(&self.zone).is_ok().then_some(self.zone.as_str());
        Schedule::parse(cron, at, zone, host).ok() // silent-ok: what is missed then is counted as one
    }
}

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon {
    /// The schedule that `next` belongs to.
    pub(super) schedule: Written,
    /// As it was last looked at.
    pub(super) standing: Standing,
    /// The first occurrence that is not accounted for; only of this one there may be a message that is not written down.
    pub(super) next: Option<Timestamp>,
    /// When the note was last changed, as of the last look.
    pub(super) changed_at: Timestamp,
}

/// What became of an occurrence, or of several that were skipped together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// When it was due; of a run that a person started: when that was.
    pub(crate) occurrence_at: Timestamp,
    /// The last of several.
    pub(crate) until_at: Option<Timestamp>,
    /// How many.
    pub(crate) count: u32,
    /// When that was decided.
    pub(crate) at: Timestamp,
    /// What started it.
    pub(crate) kind: RunKind,
    /// What became of it.
    pub(crate) state: RunState,
    /// Why it did not run.
    pub(crate) code: Option<Code>,
    /// The same for a person.
    pub(crate) reason: Option<String>,
    /// The inbound note.
    pub(crate) message: Option<NoteId>,
    /// How its turn ended: `ok`, or `error: …`. `None` until then.
    pub(crate) outcome: Option<String>,
}

impl Run {
    /// One that was sent.
    pub(super) fn fired(occurrence_at: Timestamp, at: Timestamp, kind: RunKind, message: NoteId) -> Self {
        Self {
            occurrence_at,
            until_at: None,
            count: 1,
            at,
            kind,
            state: RunState::Fired,
            code: None,
            reason: None,
            message: Some(message),
            outcome: None,
        }
    }

    /// One that was not.
    pub(super) fn skipped(occurrence_at: Timestamp, at: Timestamp, code: Code, reason: impl Into<String>) -> Self {
        Self {
            occurrence_at,
            until_at: None,
            count: 1,
            at,
            kind: RunKind::Scheduled,
            state: RunState::Skipped,
            code: Some(code),
            reason: Some(reason.into()),
            message: None,
            outcome: None,
        }
    }
}

/// A note as the schedule sees it.
#[derive(Debug, Clone)]
pub(super) struct Spec<'a> {
    /// The job, when the note holds together.
    pub(super) job: Option<&'a Job>,
    /// When the note was last changed.
    pub(super) changed_at: Timestamp,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vault, self.note)
    }
}
