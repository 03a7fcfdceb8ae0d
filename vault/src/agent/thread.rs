//! `agent/thread` notes: the record of a conversation. The daemon writes metadata only; the body belongs to people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tag;
use crate::note::{Metadata, NoteId, millis};
use crate::store::{NewNote, Patch};

/// How the newest turn of a thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadStatus {
    /// It runs.
    Working,
    /// It ended with an answer.
    Ok,
    /// It ended without one.
    Error,
    /// It was stopped by a person.
    Cancelled,
    /// It was cut off twice.
    Interrupted,
}

impl ThreadStatus {
    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The state of a thread after a step of a turn. All numbers are totals, so writing it twice is writing it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThreadRecord {
    /// Identity of the note when it has to be made.
    pub id: NoteId,
    /// Where it is.
    pub path: String,
    /// The agent.
    pub agent: String,
    /// `single-threaded` or `multi-threaded`.
    pub mode: String,
    /// The definition's note.
    pub definition: String,
    /// The newest turn.
    pub turn: String,
    /// How it stands.
    pub status: ThreadStatus,
    /// Start of the first turn.
    pub started_at: Timestamp,
    /// End of the newest ended turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_turn_at: Option<Timestamp>,
    /// Ended turns.
    pub turn_count: u64,
    /// The established session; without one, an ended turn takes an earlier one off the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The model that was really used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What a person should know of the newest turn: an error, a lost session.
    #[serde(default)]
    pub status_detail: String,
    /// Totals over the conversation: input, output, cache read, cache write.
    pub tokens: [u64; 4],
    /// Total cost in billionths of a US dollar.
    pub nano_usd: u64,
}

/// US dollars with up to nine decimals, without trailing zeros: `0.3`, `12`, `0.000000001`.
fn dollars(nano_usd: u64) -> String {
    let text = format!("{}.{:09}", nano_usd / 1_000_000_000, nano_usd % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl ThreadRecord {
    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), Value::String(value));
        put("agent", self.agent.clone());
        put("mode", self.mode.clone());
        put("definition", self.definition.clone());
        put("turn", self.turn.clone());
        put("status", self.status.as_str().to_owned());
        put("status_detail", self.status_detail.clone());
        put("started_at", millis::format(self.started_at));
        put("turn_count", self.turn_count.to_string());
        if let Some(at) = self.last_turn_at {
            put("last_turn_at", millis::format(at));
        }
        if let Some(session) = &self.session {
            put("session", session.clone());
        }
        if let Some(model) = &self.model {
            put("last_model", model.clone());
        }
        let names = [
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
        ];
        for (name, count) in names.into_iter().zip(self.tokens).filter(|(_, count)| *count > 0) {
            put(name, count.to_string());
        }
        if self.nano_usd > 0 {
            put("total_cost_usd", dollars(self.nano_usd));
        }
        metadata
    }

    /// As a change of the note, and as the note to make when there is none.
    #[must_use]
    pub fn render(&self) -> (Patch, NewNote) {
        let metadata = self.metadata();
        let forgotten = self.session.is_none() && self.status != ThreadStatus::Working;
        let patch = Patch {
            metadata: metadata.clone(),
            remove_metadata: forgotten.then(|| "session".to_owned()).into_iter().collect(),
            add_tags: vec![tag::THREAD.into()],
            ..Patch::default()
        };
        let note = NewNote {
            id: Some(self.id.clone()),
            path: Some(self.path.clone()),
            content: String::new(),
            tags: vec![tag::THREAD.into()],
            metadata,
            created_at: Some(self.started_at),
            attachments: Vec::new(),
            links: Vec::new(),
        };
        (patch, note)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn tc_th_20_dollars_are_exact_and_short() {
        for (nano, expected) in [
            (300_000_000, "0.3"),
            (12_000_000_000, "12"),
            (1, "0.000000001"),
            (0, "0"),
        ] {
            assert_eq!(dollars(nano), expected);
        }
    }

    fn record(status: ThreadStatus) -> ThreadRecord {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        ThreadRecord {
            id: NoteId::new("c1").unwrap(),
            path: "Threads/eng/eng".into(),
            agent: "eng".into(),
            mode: "single-threaded".into(),
            definition: "d1".into(),
            turn: "t1".into(),
            status,
            started_at: at("2026-01-01T00:00:00Z"),
            last_turn_at: Some(at("2026-01-01T00:01:00Z")),
            turn_count: 2,
            session: Some("s1".into()),
            model: Some("sonnet".into()),
            status_detail: String::new(),
            tokens: [1, 2, 3, 4],
            nano_usd: 300_000_000,
        }
    }

    #[test]
    fn tc_th_11_a_record_is_metadata_in_texts_and_never_a_body() {
        let (patch, note) = record(ThreadStatus::Ok).render();
        let expected = serde_json::json!({
            "agent": "eng", "mode": "single-threaded", "definition": "d1", "turn": "t1", "status": "ok",
            "status_detail": "", "started_at": "2026-01-01T00:00:00.000Z", "last_turn_at": "2026-01-01T00:01:00.000Z",
            "turn_count": "2", "session": "s1", "last_model": "sonnet", "input_tokens": "1", "output_tokens": "2",
            "cache_read_tokens": "3", "cache_write_tokens": "4", "total_cost_usd": "0.3",
        });
        assert_eq!(Value::Object(patch.metadata.clone()), expected);
        let only_metadata = Patch {
            metadata: patch.metadata.clone(),
            add_tags: vec!["agent/thread".into()],
            ..Patch::default()
        };
        assert_eq!(patch, only_metadata);
        assert_eq!(
            (note.tags, note.content.as_str()),
            (vec!["agent/thread".to_owned()], "")
        );
        assert_eq!(
            (note.metadata, note.path.as_deref()),
            (patch.metadata, Some("Threads/eng/eng"))
        );
    }

    #[test]
    fn tc_th_26_a_running_turn_keeps_the_session_and_an_end_without_one_takes_it_off() {
        let removed = |status| {
            let record = ThreadRecord {
                session: None,
                ..record(status)
            };
            record.render().0.remove_metadata
        };
        assert_eq!(removed(ThreadStatus::Working), Vec::<String>::new());
        assert_eq!(removed(ThreadStatus::Error), ["session"]);
    }

    #[test]
    fn tc_th_22_what_is_not_known_yet_is_not_written() {
        let first = ThreadRecord {
            last_turn_at: None,
            turn_count: 0,
            session: None,
            model: None,
            tokens: [0; 4],
            nano_usd: 0,
            ..record(ThreadStatus::Working)
        };
        let written: Vec<String> = first.render().0.metadata.into_iter().map(|(key, _)| key).collect();
        let known = [
            "agent",
            "definition",
            "mode",
            "started_at",
            "status",
            "status_detail",
            "turn",
            "turn_count",
        ];
        assert_eq!(written, known);
    }
}
