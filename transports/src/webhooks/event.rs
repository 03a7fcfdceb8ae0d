//! What is told, in types.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What can be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A message was accepted.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// A turn began, or began again.
    #[serde(rename = "turn.started")]
    TurnStarted,
    /// What a running turn tells, in batches.
    #[serde(rename = "turn.event")]
    TurnEvent,
    /// A turn ended.
    #[serde(rename = "turn.settled")]
    TurnSettled,
    /// An agent was made, edited, paused, resumed, removed or connected otherwise.
    #[serde(rename = "agent.changed")]
    AgentChanged,
    /// A budget is used up.
    #[serde(rename = "budget.reached")]
    BudgetReached,
    /// The health of the daemon is not as before.
    #[serde(rename = "health.changed")]
    HealthChanged,
    /// Somebody wants to see whether the webhook works. Told whatever was subscribed to.
    #[serde(rename = "webhook.test")]
    WebhookTest,
}

impl Kind {
    /// Whether it is about a turn that runs.
    #[must_use]
    pub fn is_turn(self) -> bool {
        matches!(self, Self::TurnStarted | Self::TurnEvent | Self::TurnSettled)
    }
}

/// The turn that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The turn.
    pub turn: String,
    /// Its conversation.
    pub thread: String,
    /// The inbound note.
    pub message: String,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Done,
    /// Without one.
    Error,
    /// A person stopped it.
    Stopped,
}

/// What belongs to each kind. Absent fields are not told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// [`Kind::MessageReceived`]
    Message {
        /// The text.
        text: String,
        /// Who wrote it.
        sender: String,
    },
    /// [`Kind::TurnStarted`]
    Started {
        /// From 1; more after an interruption.
        attempt: u32,
        /// The session that has taken the message, of an attached agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When it is back in line unless that session asks for more time.
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_at: Option<Timestamp>,
    },
    /// [`Kind::TurnSettled`]
    Settled {
        /// How.
        outcome: Outcome,
        /// The answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<String>,
        /// What happened, in one line.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Stable code of the failure.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The agent's own word for why it stopped.
        #[serde(skip_serializing_if = "Option::is_none")]
        stop_reason: Option<String>,
        /// Tokens, as the turn has them.
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<serde_json::Value>,
        /// US dollars.
        #[serde(skip_serializing_if = "Option::is_none")]
        cost_usd: Option<f64>,
    },
    /// [`Kind::AgentChanged`]
    Agent(AgentChange),
    /// [`Kind::BudgetReached`]
    Budget {
        /// What it is for: `turn`, `day` (of an agent) or `chain` (of messages).
        scope: &'static str,
        /// The limit in US dollars, where it is one of money.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit_usd: Option<f64>,
        /// What was spent, in US dollars.
        #[serde(skip_serializing_if = "Option::is_none")]
        spent_usd: Option<f64>,
        /// For a person.
        message: String,
        /// When it goes on by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        until_at: Option<Timestamp>,
    },
    /// [`Kind::HealthChanged`]
    Health {
        /// The status now, `ok` or `degraded`.
        status: &'static str,
        /// What is not as before.
        changes: Vec<HealthChange>,
    },
    /// [`Kind::WebhookTest`]
    Test {},
}

impl Body {
    /// The kind that it belongs to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Message { .. } => Kind::MessageReceived,
            Self::Started { .. } => Kind::TurnStarted,
            Self::Settled { .. } => Kind::TurnSettled,
            Self::Agent(_) => Kind::AgentChanged,
            Self::Budget { .. } => Kind::BudgetReached,
            Self::Health { .. } => Kind::HealthChanged,
            Self::Test {} => Kind::WebhookTest,
        }
    }
}

/// What became of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AgentChange {
    /// `made`, `edited`, `paused`, `resumed`, `broken`, `mended` or `removed`.
    pub change: &'static str,
    /// Where its definition is.
    pub vault: String,
    /// Of a pause: a stable code, `person` when a person wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of a pause: why, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a pause: when it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_at: Option<Timestamp>,
    /// What is wrong with its definition, each with the key that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<AgentProblem>,
}

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentProblem {
    /// The setting or part that it is about.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// One thing that is healthy no more, or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthChange {
    /// `vault`, `bridge`, `deliveries`, `program`, `sandbox` or `credential`.
    pub what: &'static str,
    /// Which, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it is now: `ok`, or a word for what is wrong.
    pub now: String,
}

/// Something to tell, durably.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its identity, the `webhook-id`: `[A-Za-z0-9_-]{1,100}`. The same one again is the same event, so make it from what
    /// happened (`settled_<turn>`), and it can be told again after a crash.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// The agent that it is about.
    pub agent: Option<String>,
    /// The turn that it is about.
    pub turn: Option<Turn>,
    /// What happened.
    pub body: Body,
}

/// A report as it waits in the outbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Turn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Box<RawValue>>,
    /// Events, or notifications for the supervisor profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// Parts that the receiver has already, after it called the whole too long.
    #[serde(default)]
    pub(crate) part: u32,
    /// Most events of a part, once the receiver called more of them too long. 0: not even one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) most: Option<usize>,
}

impl Report {
    /// How many events the next part has.
    pub(crate) fn step(&self) -> usize {
        self.events.len().min(self.most.unwrap_or(usize::MAX))
    }
}
