//! `agent/job` notes: the body is a message, the metadata says to whom and when.

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::misspelt::meant;
use super::{DEFINED_BY, Problem, Schedule, slug, tag};
use crate::note::{Note, NoteId};

/// What becomes of occurrences that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// The last one is made up for, when it is not too old.
    #[default]
    Once,
    /// They are skipped.
    Skip,
}

impl CatchUp {
    /// Each with its word in metadata; the default first.
    pub const WORDS: [(&'static str, Self); 2] = [("once", Self::Once), ("skip", Self::Skip)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Skip => "skip",
        }
    }
}

/// What becomes of an occurrence while the work of an earlier one is still going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Its message waits in line.
    #[default]
    Queue,
    /// It is skipped.
    Skip,
}

impl Overlap {
    /// Each with its word in metadata; the default first.
    pub const WORDS: [(&'static str, Self); 2] = [("queue", Self::Queue), ("skip", Self::Skip)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Skip => "skip",
        }
    }
}

/// The keys of a job: what people write, then what the daemon writes.
const KEYS: [&str; 17] = [
    "jobId",
    "agent",
    "channel",
    "cron",
    "at",
    "tz",
    "enabled",
    "subject",
    "catch_up",
    "overlap",
    "pause_reason",
    DEFINED_BY,
    "createdAt",
    "lastRunAt",
    "lastStatus",
    "status",
    "status_detail",
];

/// Most keys that are told of a note.
const TOLD_MAX: usize = 20;
/// Most characters of such a key that are shown.
const KEY_CHARS: usize = 64;

/// Keys that are no slip of a known one, but that people expect.
const EXPECTED: [(&str, &str); 8] = [
    ("timezone", "use `tz`"),
    ("time_zone", "use `tz`"),
    ("zone", "use `tz`"),
    ("schedule", "use `cron` or `at`"),
    ("paused", "use `enabled: false`"),
    ("disabled", "use `enabled: false`"),
    ("message", "the message is the body of the note"),
    ("prompt", "the message is the body of the note"),
];

/// A message that is sent by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The note.
    pub note: NoteId,
    /// Its path, for people.
    pub path: Option<String>,
    /// What people call it: `jobId`, or else the id of the note.
    pub id: String,
    /// To whom.
    pub agent: String,
    /// The body, trimmed.
    pub message: String,
    /// Which conversation of the agent.
    pub subject: Option<String>,
    /// When.
    pub schedule: Schedule,
    /// Whether the clock starts it.
    pub enabled: bool,
    /// Why it does not, in a person's words.
    pub pause_reason: Option<String>,
    /// What becomes of occurrences that nobody was there for.
    pub catch_up: CatchUp,
    /// What becomes of an occurrence while an earlier one is at work.
    pub overlap: Overlap,
    /// When it was made, as the note says.
    pub created_at: Option<String>,
    /// Who wrote it, when that was an agent: `agent:NAME`.
    pub defined_by: Option<String>,
    /// What a person should know although the job stands.
    pub warnings: Vec<Problem>,
}

/// Whether a text is 1 to `most` characters of `A-Z a-z 0-9 _ -`.
fn is_slug(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && slug(text) == text
}

/// Reads values and gathers everything that is wrong, and what is merely odd.
struct Reader<'a> {
    note: &'a Note,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader<'_> {
    fn reject(&mut self, key: &'static str, message: impl Into<String>) {
        self.problems.push(Problem::new(key, message));
    }

    /// Text as it stands, blank or not; nothing for a key that is not there.
    fn raw(&mut self, key: &'static str) -> Option<String> {
        match self.note.metadata.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => {
                self.reject(key, format!("{other} will not do; write it as text"));
                // Something stands there: that it is missing need not be said too.
                Some(other.to_string())
            }
        }
    }

    /// The value of one of several words; the first is the default.
    fn choice<T: Copy + Default>(&mut self, key: &'static str, words: &[(&str, T)]) -> T {
        let Some(text) = self.note.text(key) else {
            return T::default();
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.reject(key, format!("{text:?} is not known; use one of: {}", known.join(", ")));
        T::default()
    }

    fn id(&mut self) -> String {
        let Some(id) = self.note.text("jobId") else {
            return self.note.id.to_string();
        };
        if !is_slug(&id, 128) {
            let rule = "1 to 128 letters, digits, `_` and `-`";
            self.reject("jobId", format!("{id:?} will not do; {rule}"));
        }
        id
    }

    /// To whom: `agent`, or the older `channel`.
    fn agent(&mut self) -> String {
        let named = ["agent", "channel"].map(|key| Some(key).zip(self.note.text(key)));
        let Some((key, agent)) = named.into_iter().flatten().next() else {
            self.reject("agent", "is missing; name the agent that gets the message");
            return String::new();
        };
        if !is_slug(&agent, 64) {
            let rule = "the name of an agent is 1 to 64 letters, digits, `_` and `-`";
            self.reject(key, format!("{agent:?} will not do; {rule}"));
        }
        agent
    }

    fn schedule(&mut self, host: &TimeZone) -> Option<Schedule> {
        let before = self.problems.len();
        let [cron, at, tz] = ["cron", "at", "tz"].map(|key| self.raw(key));
        if self.problems.len() > before {
            return None;
        }
        match Schedule::parse(cron.as_deref(), at.as_deref(), tz.as_deref(), host) {
            Ok(schedule) => {
                self.warnings.extend(schedule.warnings.iter().cloned());
                Some(schedule)
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// Only `false` disables; any other word than `true` is pointed out.
    fn enabled(&mut self) -> bool {
        let word = self.note.text("enabled");
        if let Some(word) = word.as_deref().filter(|word| !["true", "false"].contains(word)) {
            let odd = format!("{word:?} is not known and counts as true; use true or false");
            self.warnings.push(Problem::new("enabled", odd));
        }
        word.as_deref() != Some("false")
    }

    /// Keys that nobody reads, but that somebody seems to count on.
    fn unread_keys(&mut self) {
        let told = self.note.metadata.keys().filter_map(|key| {
            let advice = match EXPECTED.iter().find(|(expected, _)| expected == key) {
                Some((_, advice)) => format!("is not read: {advice}"),
                None => format!("is not read; did you mean {}?", meant(key, KEYS)?),
            };
            let shown: String = key.chars().filter(|c| !c.is_control()).take(KEY_CHARS).collect();
            Some(Problem::new(shown, advice))
        });
        self.warnings.extend(told.take(TOLD_MAX));
    }
}

impl Job {
    /// Whether a note is a job: it carries the tag, and is not a definition too (whose status is written by somebody else).
    #[must_use]
    pub fn is(note: &Note) -> bool {
        note.has_tag(tag::JOB) && !note.has_tag(tag::DEFINITION)
    }

    /// Reads a job. Without `tz` it goes by the clock of `host_zone`.
    ///
    /// # Errors
    /// Everything that is wrong with the note.
    pub fn parse(note: &Note, host_zone: &TimeZone) -> Result<Self, Vec<Problem>> {
        let mut read = Reader {
            note,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let id = read.id();
        let message = note.content.trim().to_owned();
        if message.is_empty() {
            read.reject("message", "is missing; write it as the body of the note");
        }
        let schedule = read.schedule(host_zone);
        let agent = read.agent();
        let enabled = read.enabled();
        let catch_up = read.choice("catch_up", &CatchUp::WORDS);
        let overlap = read.choice("overlap", &Overlap::WORDS);
        if note.has_tag(tag::INBOUND) {
            read.reject("tags", "a job cannot be a message too; take agent/message/inbound away");
        }
        read.unread_keys();
        match schedule {
            Some(schedule) if read.problems.is_empty() => Ok(Self {
                note: note.id.clone(),
                path: note.path.clone(),
                id,
                agent,
                message,
                subject: note.text("subject"),
                schedule,
                enabled,
                pause_reason: note.text("pause_reason"),
                catch_up,
                overlap,
                created_at: note.text("createdAt"),
                defined_by: note.text(DEFINED_BY),
                warnings: read.warnings,
            }),
            _ => Err(read.problems),
        }
    }

    /// Where the job of a name is kept.
    #[must_use]
    pub fn path(agent: &str, id: &str) -> String {
        format!("Channels/{}/jobs/{}", slug(agent), slug(id))
    }

    /// Text that is the same as long as the job does the same: what the daemon writes into the note is not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let all = json!([
            self.id,
            self.agent,
            self.message,
            self.subject,
            self.schedule.fingerprint(),
            self.enabled,
            self.catch_up.as_str(),
            self.overlap.as_str(),
        ]);
        let hash = Sha256::digest(all.to_string());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
