//! What a definition is told about itself.

use std::borrow::Cow;

use jiff::Timestamp;
use reveille_vault::Note;
use reveille_vault::agent::{Definition, Want};
use serde_json::Value;

use super::notes::NoteKey;
use super::{Connection, Inner, Known};
use crate::sandboxing::Lowered;
use crate::trust;

/// What the daemon writes on a definition.
pub(crate) const KEYS: [&str; 3] = ["status", "status_detail", "pending"];
/// The words for how it stands, and none.
const STATUSES: [&str; 4] = ["enabled", "pending", "error", ""];

/// What the daemon made of a definition, to be shown on the note and in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// `enabled`, `pending` or `error`.
    pub(crate) status: &'static str,
    /// Empty, or what is wrong and what to do.
    pub(crate) detail: String,
    /// Keys of what the agent wants and has not got.
    pub(crate) pending: Vec<String>,
}

impl Stamp {
    fn of(status: &'static str, detail: String) -> Self {
        Self {
            status,
            detail,
            pending: Vec::new(),
        }
    }

    /// What a note has to say, as metadata; `None` when it says it already. A key that is not there says nothing, which is the
    /// same as blank.
    #[must_use]
    pub(super) fn news_for(&self, said: &Said) -> Option<Vec<(&'static str, String)>> {
        let pending = self.pending.join(", ");
        let same = said.status == self.status
            && *said.detail == *self.detail
            && said.pending.as_deref().unwrap_or_default() == pending;
        if same {
            return None;
        }
        let mut news = vec![
            ("status", self.status.to_owned()),
            ("status_detail", self.detail.clone()),
        ];
        if said.pending.is_some() || !pending.is_empty() {
            news.push(("pending", pending));
        }
        Some(news)
    }
}

/// What a note says of itself, and the state of the note that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Owned only where it is not our word.
    status: Cow<'static, str>,
    detail: Box<str>,
    /// `None`: there is no such key.
    pending: Option<Box<str>>,
    pub(super) updated_at: Timestamp,
}

impl Said {
    pub(super) fn by(note: &Note) -> Self {
        let text = |key: &str| match note.metadata.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            // Whatever else stands there is not our word.
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let status = text("status").unwrap_or_default();
        let ours = STATUSES.into_iter().find(|ours| *ours == status);
        Self {
            status: ours.map_or_else(|| Cow::Owned(status), Cow::Borrowed),
            detail: text("status_detail").unwrap_or_default().into(),
            pending: text("pending").map(Into::into),
            updated_at: note.updated_at,
        }
    }
}

impl Inner {
    /// What to show on a note.
    pub(super) fn stamp(&self, key: &NoteKey, known: &Known) -> Stamp {
        let taken = known.definition.as_ref().and_then(|d| self.taken(key, &d.name));
        if !known.problems.is_empty() {
            let problems: Vec<String> = known.problems.iter().map(ToString::to_string).collect();
            let mut detail = problems.join("; ");
            match &known.definition {
                Some(earlier) if taken.is_none() => {
                    detail.push_str("; until that is mended, ");
                    detail.push_str(&earlier.name);
                    detail.push_str(" goes on as the note was before");
                }
                _ => {}
            }
            return Stamp::of("error", detail);
        }
        let Some(definition) = &known.definition else {
            return Stamp::of("enabled", String::new());
        };
        if let Some(taken) = taken {
            let waits = self.holder(&definition.name).is_none();
            return Stamp::of(if waits { "pending" } else { "error" }, taken);
        }
        self.enabled_or_pending(definition, &known.lowered)
    }

    /// Whether it is known what has become of what a definition wants. Until then a note goes on saying what it says, so that
    /// a start writes nothing.
    pub(super) fn is_settled(&self, known: &Known) -> bool {
        let Some(definition) = &known.definition else {
            return true;
        };
        definition.wants.is_empty() || !known.problems.is_empty() || self.connections.contains_key(&definition.name)
    }

    fn enabled_or_pending(&self, definition: &Definition, lowered: &[Lowered]) -> Stamp {
        let name = &definition.name;
        let connections = self.connections.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut pending = Vec::new();
        let mut words = Vec::new();
        for key in definition.wants.iter().map(Want::key) {
            let found = connections.iter().find(|one| one.key == key);
            if found.is_some_and(Connection::is_approved) {
                continue;
            }
            words.push(found.map_or_else(|| key.clone(), Connection::words));
            pending.push(key);
        }
        let mut details = Vec::new();
        if !words.is_empty() {
            details.push(format!(
                "the agent runs without what is not approved: {}; see `reveille agent connections {name}`",
                words.join(", ")
            ));
        }
        if !definition.uses.is_empty() {
            details.push(format!(
                "uses: nobody serves {}; write what it needs as `wants`",
                definition.uses.join(", ")
            ));
        }
        if !lowered.is_empty() {
            let words: Vec<String> = lowered.iter().map(Lowered::words).collect();
            details.push(format!(
                "the agent runs with less than it asks for: {}; see `reveille agent show {name}`",
                words.join(", ")
            ));
        }
        let withheld = self.withheld_from(name);
        if !withheld.is_empty() {
            details.push(trust::words(name, &withheld));
        }
        pending.extend(withheld);
        pending.extend(lowered.iter().map(Lowered::brief));
        pending.extend(definition.uses.iter().cloned());
        details.extend(definition.warnings.iter().map(ToString::to_string));
        Stamp {
            status: if pending.is_empty() { "enabled" } else { "pending" },
            detail: details.join("; "),
            pending,
        }
    }

    /// Why a note does not hold the name that it claims; `None` when it does.
    fn taken(&self, key: &NoteKey, name: &str) -> Option<String> {
        let claims = self.names.get(name)?;
        let own = claims.iter().find(|claim| claim.key == *key)?;
        let Some(holder) = self.holder(name) else {
            let vault = self.reserved.get(name)?;
            return Some(format!(
                "name: {name} is an agent of the vault {vault}, which has not been read since the start; this one waits until it \
                 is: see `reveille doctor`, or take that vault out of the configuration"
            ));
        };
        if holder.key == *key {
            return None;
        }
        let (vault, note) = &holder.key;
        let by = match (holder.by_agent, own.by_agent, *vault == key.0) {
            _ if own.is_thread && !holder.is_thread => format!("the definition {note} in vault {vault}"),
            (false, true, _) => format!("the definition {note} in vault {vault}, which no agent wrote"),
            (_, _, true) => format!("the older definition {note} in vault {vault}"),
            (_, _, false) => {
                format!("the definition {note} in vault {vault}, which comes first in the configuration")
            }
        };
        Some(format!("name: {name} is taken by {by}; rename one of them"))
    }
}
