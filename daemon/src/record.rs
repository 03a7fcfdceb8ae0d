//! What the queue keeps of a settled turn.

use reveille_backends::{Failure, FailureCode, Remedy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::sandboxing::Refused;

/// A failure as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnFailure)]
pub(crate) struct FailureRecord {
    /// Stable code.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
    /// What to do.
    pub(crate) next_step: String,
    /// Whether trying again can help: `retry`, `permanent`, or `operator` who must act first.
    #[schema(value_type = String)]
    pub(crate) remedy: Remedy,
}

impl From<&Failure> for FailureRecord {
    fn from(failure: &Failure) -> Self {
        Self {
            code: code(failure.code),
            message: failure.message.clone(),
            next_step: failure.next_step.clone(),
            remedy: failure.remedy,
        }
    }
}

/// The code as text, such as `idle_timeout`.
#[must_use]
pub(crate) fn code(code: FailureCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(text)) => text,
        _ => "unknown".into(),
    }
}

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TurnRecord {
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<FailureRecord>,
    /// Who ended it before its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<String>,
    /// The session that it ran in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The models that it used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) models: Vec<String>,
    /// The outbound note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// What a person should know, such as a lost session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<String>,
    /// What it has tried to reach through the daemon.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) egress: Vec<Refused>,
    /// There is nothing to tell of its steps that this record and the message do not say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) plain: bool,
    /// What was said is no longer in the journal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) forgotten: bool,
}

impl TurnRecord {
    /// What a person should know of a turn that has ended, now.
    pub(crate) fn told(&self) -> Vec<String> {
        let forgotten =
            "What was said in this turn is no longer in the journal (`[retention] journal`). Its notes have it.";
        let forgotten = self.forgotten.then(|| forgotten.to_owned());
        self.notices.iter().cloned().chain(forgotten).collect()
    }
}

/// Takes the words of a message and of its answer out of the journal: see [`reveille_queue::Forget`].
pub(crate) fn forget_words(message: &mut Value, record: &mut Value) -> bool {
    if record.is_null() {
        *record = Value::Object(Map::new());
    }
    let Some(record) = record.as_object_mut() else {
        return false;
    };
    if record.insert("forgotten".into(), true.into()) == Some(true.into()) {
        return false;
    }
    record.remove("reply");
    if let Some(text) = message.get_mut("text") {
        *text = Value::String(String::new());
    }
    true
}
