//! Triggers: whom a vault tells of which writes. The model, and what a kind of vault that has them does.
//!
//! A write that a trigger asks for leaves a *delivery* in the same transaction. Somebody else takes those that are due, tells
//! the receiver, and gives the outcome back; until then a delivery waits, whatever happens to the process. So each of them is
//! told at least once. The deliveries of one trigger and one note go in the order of the writes.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::attachment::NewAttachment;
use crate::note::{Metadata, Note, NoteId, bare_tag};
use crate::store::VaultError;

/// What happened to a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It was written for the first time.
    Created,
    /// Anything of it changed.
    Updated,
}

impl Event {
    /// As it is stored and sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
        }
    }
}

/// Which notes a trigger asks for: all clauses must hold for the note as it is after the write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Each of these tags literally; no descendants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether the trimmed body has text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_content: Option<bool>,
    /// Each key is there and not null; an empty text is a value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub has_metadata: Vec<String>,
    /// Each key is absent or null.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_metadata: Vec<String>,
}

impl When {
    /// Whether all clauses hold.
    #[must_use]
    pub fn holds(&self, note: &Note) -> bool {
        let is_set = |key: &String| note.metadata.get(key).is_some_and(|value| !value.is_null());
        self.tags.iter().all(|tag| note.has_tag(tag))
            && self
                .has_content
                .is_none_or(|wanted| wanted != note.content.trim().is_empty())
            && self.has_metadata.iter().all(is_set)
            && !self.missing_metadata.iter().any(is_set)
    }

    /// The same with bare tags.
    #[must_use]
    pub(crate) fn normalised(mut self) -> Self {
        for tag in &mut self.tags {
            *tag = bare_tag(tag.trim()).to_owned();
        }
        self
    }
}

/// Whether a note carries the marks of another vault that has told the trigger's receiver of it, or was about to. Ours leaves
/// none; a note that is brought here with its marks is not told a second time. An edit of it is.
#[must_use]
pub(crate) fn told_elsewhere(trigger: &str, note: &Note) -> bool {
    ["_pending_at", "_rendered_at"]
        .iter()
        .filter_map(|mark| note.metadata.get(&format!("{trigger}{mark}")))
        .any(|value| match value {
            Value::Null => false,
            Value::Bool(set) => *set,
            Value::String(text) => !text.is_empty(),
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Array(_) | Value::Object(_) => true,
        })
}

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Of a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A trigger to be made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrigger {
    /// 1 to 128 characters. Another trigger of that name becomes this one.
    pub name: String,
    /// What it asks for; not empty.
    pub events: Vec<Event>,
    /// Of which notes.
    pub when: When,
    /// Where its receiver is. Whether that is an address is the caller's decision.
    pub webhook: String,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// What the receiver wants to see.
    pub bearer: Option<Secret>,
    /// What the receiver knows the sender by. A trigger that is there keeps its own, unless [`NewTrigger::rotate`].
    pub secret: Secret,
    /// Takes the new secret in any case.
    pub rotate: bool,
    /// Runs or is paused. `None`: a new one runs, one that was paused stays so, one whose receiver was gone runs again.
    pub enabled: Option<bool>,
}

/// Whether a trigger runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerState {
    /// It runs.
    Enabled,
    /// A person has paused it: writes leave deliveries, and they wait.
    Paused,
    /// Its receiver has said that it is there no more: writes leave nothing until somebody enables it.
    Gone,
}

/// A trigger, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Unique in the vault.
    pub name: String,
    /// What it asks for.
    pub events: Vec<Event>,
    /// Of which notes.
    pub when: When,
    /// Where its receiver is. Its query may hold a secret.
    pub webhook: String,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// Whether the receiver is shown a bearer secret.
    pub has_bearer: bool,
    /// Whether it runs.
    pub state: TriggerState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead: u64,
}

/// What became of a [`NewTrigger`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutTrigger {
    /// As it is now.
    pub trigger: Trigger,
    /// It was not there before.
    pub created: bool,
    /// It has the new secret.
    pub took_secret: bool,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It is still to be told.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// It was given up; it can be driven again.
    Dead,
}

impl DeliveryState {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place among all deliveries of the vault, in the order of the writes.
    pub number: u64,
    /// The same over all attempts.
    pub id: String,
    /// The note.
    pub note: NoteId,
    /// What happened to it.
    pub event: Event,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts since it was written or driven again.
    pub attempts: u32,
    /// When it is due; `None` also for one that waits for an earlier one of its note.
    pub next_at: Option<Timestamp>,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// What else the receiver said.
    pub remark: Option<String>,
    /// When the note was written.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub settled_at: Option<Timestamp>,
}

/// Which deliveries of a trigger to list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only these.
    pub state: Option<DeliveryState>,
    /// Only with a smaller [`Delivery::number`].
    pub before: Option<u64>,
    /// Most to answer.
    pub limit: u32,
}

/// A delivery that is due, with what is needed to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// [`Delivery::id`].
    pub id: String,
    /// Name of the trigger.
    pub trigger: String,
    /// The note.
    pub note: NoteId,
    /// Attempts before this one.
    pub attempts: u32,
    /// Where the receiver is.
    pub webhook: String,
    /// How long it may take.
    pub timeout: Duration,
    /// What it wants to see.
    pub bearer: Option<Secret>,
    /// What it knows the sender by.
    pub secret: Secret,
    /// What it is told: JSON, the same over all attempts.
    pub body: String,
}

/// What is to be told now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueNow {
    /// In the order in which they fell due, trigger by trigger.
    pub ready: Vec<Due>,
    /// When the next one of the others falls due.
    pub next: Option<Timestamp>,
}

/// What a receiver asks to be written into the note. `default()`: nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The new body.
    pub content: Option<String>,
    /// Merged key by key.
    pub metadata: Metadata,
    /// Stored files to attach.
    pub attachments: Vec<NewAttachment>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered {
        /// HTTP status.
        status: u16,
        /// Written into the note in the same transaction, without firing any trigger.
        reply: Reply,
        /// What else it said.
        remark: Option<String>,
    },
    /// Try again.
    Failed {
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// For a person.
        error: String,
        /// Not before.
        next_at: Timestamp,
    },
    /// Give it up.
    Dead {
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// For a person.
        error: String,
    },
    /// The receiver is there no more: give up all that wait for it and ask it for nothing.
    Gone {
        /// HTTP status.
        status: u16,
        /// For a person.
        error: String,
    },
}

/// The triggers of a vault. All writes are durable when they return. None of them is a change of a note, but for a
/// [`Reply`].
#[async_trait]
pub trait Triggers: Send + Sync {
    /// Makes a trigger, or makes the one of that name this one; its deliveries stay.
    ///
    /// # Errors
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`].
    async fn put(&self, trigger: NewTrigger) -> Result<PutTrigger, VaultError>;

    /// All of them, by name.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn list(&self) -> Result<Vec<Trigger>, VaultError>;

    /// One of them.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn find(&self, name: &str) -> Result<Option<Trigger>, VaultError>;

    /// Lets one run or pause. `None`: there is none of that name.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn enable(&self, name: &str, enabled: bool) -> Result<Option<Trigger>, VaultError>;

    /// Removes one, and its deliveries. Answers whether it was there.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn remove(&self, name: &str) -> Result<bool, VaultError>;

    /// Deliveries of a trigger, the newest first.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn deliveries(&self, name: &str, filter: DeliveryFilter) -> Result<Vec<Delivery>, VaultError>;

    /// Makes deliveries of a trigger due now that are dead or wait for their next attempt: those with these ids, or all.
    /// Answers how many.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn redrive(&self, name: &str, ids: Option<Vec<String>>) -> Result<u64, VaultError>;

    /// What is due now of the triggers that run, at most `lanes` of each trigger together with those that are `busy`: the
    /// id and the trigger of each delivery that is being told.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn due(&self, lanes: usize, busy: Vec<(String, String)>) -> Result<DueNow, VaultError>;

    /// Takes the outcome of an attempt. One of a delivery that is there no more is passed over.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn settle(&self, id: &str, outcome: Outcome) -> Result<(), VaultError>;

    /// Removes what nobody needs any more. Answers how many deliveries. To be called now and then.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn prune(&self) -> Result<u64, VaultError>;

    /// How many deliveries of all triggers were given up.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    async fn dead(&self) -> Result<u64, VaultError>;

    /// Changes when something may be due that was not before.
    fn wake(&self) -> watch::Receiver<u64>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(content: &str, tags: &[&str], metadata: Value) -> Note {
        let Value::Object(metadata) = metadata else {
            panic!("{metadata}")
        };
        Note {
            id: NoteId::generate(),
            path: None,
            content: content.into(),
            tags: tags.iter().map(|&tag| tag.into()).collect(),
            metadata,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn all_clauses_must_hold() {
        let seen = note(" x ", &["a", "a/b"], json!({"empty": "", "null": null, "zero": 0}));
        let blank = note(" \n", &[], json!({}));
        for (when, of_seen, of_blank) in [
            (json!({}), true, true),
            (json!({"tags": ["a/b", "a"]}), true, false),
            (json!({"tags": ["#a"]}), true, false),
            (json!({"tags": ["a/b/c"]}), false, false),
            (json!({"tags": ["A"]}), false, false),
            (json!({"has_content": true}), true, false),
            (json!({"has_content": false}), false, true),
            (json!({"has_metadata": ["empty", "zero"]}), true, false),
            (json!({"has_metadata": ["null"]}), false, false),
            (json!({"missing_metadata": ["null", "absent"]}), true, true),
            (json!({"missing_metadata": ["empty"]}), false, true),
            (json!({"tags": ["a"], "missing_metadata": ["zero"]}), false, false),
        ] {
            let parsed: When = serde_json::from_value(when.clone()).unwrap();
            assert_eq!(
                (parsed.holds(&seen), parsed.holds(&blank)),
                (of_seen, of_blank),
                "{when}"
            );
            assert_eq!(serde_json::to_value(&parsed).unwrap(), when);
        }
    }

    #[test]
    fn marks_of_another_vault_count_when_they_say_something() {
        for (value, told) in [
            (json!("2026-07-02T10:00:00.000Z"), true),
            (json!(1), true),
            (json!(true), true),
            (json!({}), true),
            (json!(""), false),
            (json!(null), false),
            (json!(0), false),
            (json!(false), false),
        ] {
            for mark in ["t_pending_at", "t_rendered_at"] {
                assert_eq!(
                    told_elsewhere("t", &note("x", &[], json!({ mark: value }))),
                    told,
                    "{mark} {value}"
                );
            }
            assert!(!told_elsewhere(
                "t",
                &note("x", &[], json!({"other_rendered_at": value}))
            ));
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("whsec_abc")), "Secret(…)");
    }
}
