//! What a request says about a job, read so that one answer names everything that is wrong with it.

use jiff::Timestamp;
use reveille_vault::agent::{Job, Problem, Schedule, slug, tag};
use reveille_vault::note::millis;
use reveille_vault::{ContentChange, Metadata, Note, NoteId, Patch};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::inbox::shown;
use crate::schedule::Handle;

/// In this order what is wrong is told.
const ORDER: [&str; 11] = [
    "id", "message", "schedule", "cron", "at", "tz", "channel", "enabled", "subject", "catch_up", "overlap",
];
/// The parts of a schedule.
const SCHEDULE: [&str; 3] = ["cron", "at", "tz"];

/// What a key of the note is called in requests.
pub(super) fn name_of(key: &str) -> &str {
    match key {
        "jobId" => "id",
        "agent" => "channel",
        key => key,
    }
}

fn problem(key: &'static str, message: impl Into<String>) -> Problem {
    Problem {
        key: key.into(),
        message: message.into(),
    }
}

fn rank(problem: &Problem) -> usize {
    let name = name_of(&problem.key);
    ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len())
}

/// A part that was sent, `null` included. Without it the part was not sent.
fn sent<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A change of a job, of which only the types are checked.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = JobEdit)]
pub(in crate::http) struct Edit {
    /// What the agent is told.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = String, required = false)]
    message: Option<Value>,
    /// The conversation that its messages belong to; null takes it away.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    subject: Option<Value>,
    /// When it is due; what is left out is taken away.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = super::view::Schedule, required = false)]
    schedule: Option<Value>,
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<Value>,
    /// What is done about occurrences of a time when the daemon did not run; null: what is usual.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    catch_up: Option<Value>,
    /// What is done when the turn of the last one still runs; null: what is usual.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    overlap: Option<Value>,
}

/// A new job.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = NewJob, example = json!({
    "id": "daily", "channel": "eng", "message": "Look at the inbox.", "schedule": { "cron": "0 7 * * *", "tz": "Europe/Berlin" }
}))]
pub(in crate::http) struct Draft {
    /// Letters, digits, `_` and `-`.
    #[schema(required, value_type = String)]
    id: Value,
    /// The agent that gets the message.
    #[schema(required, value_type = String)]
    channel: Value,
    /// What the agent is told.
    #[serde(deserialize_with = "sent")]
    #[schema(required, value_type = String)]
    message: Option<Value>,
    /// The conversation that its messages belong to; null takes it away.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    subject: Option<Value>,
    /// When it is due; what is left out is taken away.
    #[serde(deserialize_with = "sent")]
    #[schema(required, value_type = super::view::Schedule)]
    schedule: Option<Value>,
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = bool, required = false)]
    enabled: Option<Value>,
    /// What is done about occurrences of a time when the daemon did not run; null: what is usual.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    catch_up: Option<Value>,
    /// What is done when the turn of the last one still runs; null: what is usual.
    #[serde(deserialize_with = "sent")]
    #[schema(value_type = Option<String>, required = false)]
    overlap: Option<Value>,
}

/// What is to be written on a note.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// The body.
    pub(super) message: Option<String>,
    /// Metadata to set.
    pub(super) set: Metadata,
    /// Metadata to take away.
    pub(super) unset: Vec<String>,
}

impl Change {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.set.insert(key.to_owned(), value.into());
    }

    /// A text or, by `null` or a blank one, none.
    fn text(&mut self, key: &'static str, value: &Value, problems: &mut Vec<Problem>) {
        match value {
            Value::Null => self.unset.push(key.into()),
            Value::String(text) if text.trim().is_empty() => self.unset.push(key.into()),
            Value::String(text) => self.set(key, text.trim()),
            other => problems.push(problem(
                key,
                format!("{} will not do; write it as text", shown(&other.to_string(), 100)),
            )),
        }
    }

    /// A schedule replaces the one that was there as a whole.
    fn schedule(&mut self, value: &Value, problems: &mut Vec<Problem>) {
        let Value::Object(parts) = value else {
            let like = r#"{"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"}"#;
            problems.push(problem("schedule", format!("has to be an object such as {like}")));
            return;
        };
        for key in SCHEDULE {
            match parts.get(key) {
                None | Some(Value::Null) => self.unset.push(key.into()),
                // As it stands: a blank one is a wrong one.
                Some(Value::String(text)) => self.set(key, text.as_str()),
                Some(other) => problems.push(problem(
                    key,
                    format!("{} will not do; write it as text", shown(&other.to_string(), 100)),
                )),
            }
        }
        for other in parts.keys().filter(|key| !SCHEDULE.contains(&key.as_str())) {
            problems.push(problem(
                "schedule",
                format!("{:?} is not known; it has cron or at, and tz", shown(other, 100)),
            ));
        }
    }

    fn enabled(&mut self, value: &Value, problems: &mut Vec<Problem>) {
        match value {
            Value::Bool(enabled) => self.set("enabled", enabled.to_string()),
            Value::String(word) if ["true", "false"].contains(&word.as_str()) => self.set("enabled", word.as_str()),
            other => problems.push(problem(
                "enabled",
                format!("{} will not do; it is true or false", shown(&other.to_string(), 100)),
            )),
        }
        // What was said of a pause that is over.
        if self.set.get("enabled").is_some_and(|word| word == "true") {
            self.unset.push("pause_reason".into());
        }
    }

    /// From now on no occurrence runs.
    pub(super) fn pause(reason: Option<&str>) -> Self {
        let mut change = Self::default();
        change.set("enabled", "false");
        match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
            Some(reason) => change.set("pause_reason", reason),
            None => change.unset.push("pause_reason".into()),
        }
        change
    }

    /// They run again.
    pub(super) fn resume() -> Self {
        let mut change = Self::default();
        change.set("enabled", "true");
        change.unset.push("pause_reason".into());
        change
    }

    /// The job that it leaves.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn check(&self, note: &Note, jobs: &Handle) -> Result<Job, Vec<Problem>> {
        let patch = Patch {
            content: self.message.clone().map_or(ContentChange::Keep, ContentChange::Replace),
            metadata: self.set.clone(),
            remove_metadata: self.unset.clone(),
            ..Patch::default()
        };
        let after = patch.preview(note);
        let after = after.map_err(|error| vec![problem("message", error.to_string())])?;
        Job::parse(&after, jobs.zone()).map_err(|mut problems| {
            problems.sort_by_key(rank);
            problems
        })
    }
}

impl Edit {
    /// What it asks for.
    ///
    /// # Errors
    /// Everything that has a wrong type.
    pub(super) fn read(self) -> Result<Change, Vec<Problem>> {
        let mut problems = Vec::new();
        let change = self.change(&mut problems);
        if problems.is_empty() && change == Change::default() {
            let parts = "message, subject, schedule, enabled, catch_up, overlap";
            problems.push(problem(
                "body",
                format!("nothing is to be changed; it has any of {parts}"),
            ));
        }
        problems.sort_by_key(rank);
        if problems.is_empty() { Ok(change) } else { Err(problems) }
    }

    fn change(self, problems: &mut Vec<Problem>) -> Change {
        let mut change = Change::default();
        match self.message {
            None => {}
            Some(Value::String(text)) if !text.trim().is_empty() => change.message = Some(text.trim().to_owned()),
            Some(_) => problems.push(problem("message", "is missing; write what the agent is to be told")),
        }
        if let Some(schedule) = &self.schedule {
            change.schedule(schedule, problems);
        }
        if let Some(enabled) = &self.enabled {
            change.enabled(enabled, problems);
        }
        for (key, value) in [
            ("subject", &self.subject),
            ("catch_up", &self.catch_up),
            ("overlap", &self.overlap),
        ] {
            if let Some(value) = value {
                change.text(key, value, problems);
            }
        }
        change
    }
}

impl Draft {
    /// What the job is called, when that is text.
    pub(super) fn id(&self) -> Option<String> {
        self.id.as_str().map(str::to_owned)
    }

    /// The agent, when one is named.
    pub(super) fn channel(&self) -> Option<String> {
        let channel = self.channel.as_str().map(str::trim).filter(|name| !name.is_empty());
        channel.map(str::to_owned)
    }

    /// When it is due, whatever else is wrong with it; `None`: that cannot be read.
    pub(super) fn schedule(&self, jobs: &Handle) -> Option<Schedule> {
        let mut change = Change::default();
        let mut problems = Vec::new();
        change.schedule(self.schedule.as_ref()?, &mut problems);
        let [cron, at, tz] = SCHEDULE.map(|key| change.set.get(key).and_then(Value::as_str));
        let read = Schedule::parse(cron, at, tz, jobs.zone());
        read.ok().filter(|_| problems.is_empty()) // silent-ok: what is wrong with it is told by the check
    }

    /// What is to be written, on `before` if the agent has such a job. What is left out stays as it was there.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn check(self, before: Option<&Note>, known: bool, jobs: &Handle) -> Result<Change, Vec<Problem>> {
        let (id, channel) = (self.id(), self.channel());
        let mut problems = Vec::new();
        let is_slug = |id: &&String| !id.is_empty() && slug(id) == **id;
        if id.as_ref().filter(is_slug).is_none() {
            problems.push(problem("id", "has to be letters, digits, `_` and `-`"));
        }
        let edit = Edit {
            message: Some(self.message.unwrap_or_default()),
            subject: self.subject,
            schedule: Some(self.schedule.unwrap_or_default()),
            enabled: self.enabled,
            catch_up: self.catch_up,
            overlap: self.overlap,
        };
        let mut change = edit.change(&mut problems);
        match &channel {
            None => problems.push(problem("channel", "is missing; name the agent that gets the message")),
            Some(name) if !known => {
                let none = format!(
                    "there is no agent {:?}; `reveille agent list` names those there are",
                    shown(name, 100)
                );
                problems.push(problem("channel", none));
            }
            Some(_) => {}
        }
        if let Some(id) = &id {
            change.set("jobId", id.as_str());
        }
        if let Some(channel) = &channel {
            change.set("agent", channel.as_str());
        }
        if before.is_none() {
            change.set.entry("enabled").or_insert_with(|| "true".into());
            change.set("createdAt", millis::format(Timestamp::now()));
            change.unset.clear();
        }
        let mut found = change.check(before.unwrap_or(&blank()), jobs).err().unwrap_or_default();
        // What was found already is not told twice.
        found.retain(|one| problems.iter().all(|told| name_of(&told.key) != name_of(&one.key)));
        if problems.iter().any(|told| told.key == "schedule") {
            found.retain(|one| !SCHEDULE.contains(&name_of(&one.key)));
        }
        problems.append(&mut found);
        problems.sort_by_key(rank);
        if problems.is_empty() { Ok(change) } else { Err(problems) }
    }
}

/// Everything that is wrong with the change of a job; `None`: it has not even the form of one. For the fuzz targets alone.
pub(in crate::http) fn wrong_with(body: &[u8]) -> Option<Vec<Problem>> {
    // silent-ok: the caller knows that it may be none
    let edit: Edit = serde_json::from_slice(body).ok()?;
    Some(edit.read().err().unwrap_or_default())
}

/// A note that is not written yet.
pub(super) fn blank() -> Note {
    let now = Timestamp::now();
    Note {
        id: NoteId::generate(),
        path: Some("job".into()),
        content: String::new(),
        tags: vec![tag::JOB.into()],
        metadata: Metadata::new(),
        created_at: now,
        updated_at: now,
    }
}
