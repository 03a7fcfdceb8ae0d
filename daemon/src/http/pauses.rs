//! Why the messages of an agent wait: a person's pause, on its definition, or the daemon's own.

use jiff::Timestamp;
use reveille_queue::Pause;
use reveille_vault::agent::Definition;
use serde::Serialize;
use utoipa::ToSchema;

/// Code of a pause that a person wants.
const PERSON: &str = "person";

/// A pause as it is shown.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(super) struct Paused {
    /// Stable code: `person`, or why the daemon paused it.
    code: String,
    /// In a sentence, for a person.
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_at: Option<Timestamp>,
    /// Ends by itself at this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_at: Option<Timestamp>,
}

/// The pause that holds now; a person's before the daemon's.
pub(super) fn of(definition: Option<&Definition>, pause: Option<&Pause>) -> Option<Paused> {
    if let Some(definition) = definition.filter(|definition| definition.paused) {
        return Some(Paused {
            code: PERSON.into(),
            reason: definition.pause_reason.clone().unwrap_or_default(),
            since_at: None,
            until_at: None,
        });
    }
    pause.map(|pause| Paused {
        code: pause.code.clone(),
        reason: pause.reason.clone(),
        since_at: Some(pause.since),
        until_at: pause.until,
    })
}

impl Paused {
    /// One line of it.
    pub(super) fn detail(&self) -> String {
        let mut words = match self.code.as_str() {
            PERSON => "paused by a person".to_owned(),
            code => code.to_owned(),
        };
        let times = [("since", self.since_at), ("until", self.until_at)];
        for (word, at) in times.into_iter().filter_map(|(word, at)| Some((word, at?))) {
            words.push_str(&format!(" {word} {at:.0}"));
        }
        match self.reason.as_str() {
            "" => words,
            reason => format!("{words}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_says_why_and_for_how_long() {
        let pause = |until: Option<&str>| Pause {
            code: "day_budget".into(),
            reason: "The day's budget is spent.".into(),
            since: "2026-01-01T10:00:00.5Z".parse().unwrap(),
            until: until.map(|at| at.parse().unwrap()),
        };
        let detail = |until| of(None, Some(&pause(until))).unwrap().detail();
        assert_eq!(
            detail(None),
            "day_budget since 2026-01-01T10:00:00Z: The day's budget is spent."
        );
        assert_eq!(
            detail(Some("2026-01-02T00:00:00Z")),
            "day_budget since 2026-01-01T10:00:00Z until 2026-01-02T00:00:00Z: The day's budget is spent."
        );
        assert_eq!(of(None, None), None);
    }
}
