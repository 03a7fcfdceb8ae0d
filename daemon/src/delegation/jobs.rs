//! Jobs in the hands of a turn. It may let the clock wake its own agent, and other agents when it may make agents. What it
//! makes carries marks of the daemon; the jobs of a person it does not touch.

use jiff::tz::TimeZone;
use reveille_vault::agent::{DEFINED_BY, DEFINES_AGENTS, Job, tag};
use reveille_vault::{Metadata, NewNote, Note, Patch, Query, VaultError};
use tokio::sync::Mutex;

use super::{MARKS, MarkingVault, Origin};
use crate::limits::DEPTH_MAX;

/// What a turn may write in a job; the rest is the daemon's.
const CHOICES: [&str; 11] = [
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
];
/// How many hand-overs led to a job, as to a message.
const DEPTH: &str = "delegation_depth";
/// Most jobs of one agent that may still fire.
const JOBS_MAX: usize = 50;

/// Who counts the jobs of an agent also writes the next one before another counts.
pub(super) static COUNTED: Mutex<()> = Mutex::const_new(());

/// For a model whose turn may let the clock wake agents.
pub(crate) const HOW_TO: &str = "To wake yourself later or regularly, create a job: create-note with path \
     Channels/YOUR-NAME/jobs/ID, tags [\"agent/job\"], the message to yourself as content, and metadata {\"jobId\": ID, \
     \"agent\": YOUR-NAME} with either \"cron\" (five fields, such as \"0 9 * * 1-5\") or \"at\" (a moment, such as \
     \"2026-03-01T09:00:00Z\"), and \"tz\" (such as \"Europe/Berlin\") for the clock that counts. Change the note to change the \
     job; \"enabled\": \"false\" stops it. Read it back: its status says whether it will fire.";

fn forbidden(what: &str) -> VaultError {
    VaultError::Forbidden(format!("{what}; nothing was written"))
}

impl Origin {
    /// Whether a note is a job that this turn may make, and its marks then.
    ///
    /// # Errors
    /// [`VaultError::Forbidden`], or [`VaultError::Invalid`] for a job that would never fire.
    pub(super) fn new_job(&self, note: &Note) -> Result<Option<Metadata>, VaultError> {
        if !note.has_tag(tag::JOB) {
            return Ok(None);
        }
        check_choices(note.metadata.keys().filter(|key| !MARKS.contains(&key.as_str())))?;
        self.check_job(note)?;
        let marks = [
            (DEFINED_BY.to_owned(), self.sender().into()),
            (DEPTH.to_owned(), self.link().depth.to_string().into()),
        ];
        Ok(Some(marks.into_iter().collect()))
    }

    /// The same change without what only the daemon writes on jobs; `None` when it is none of a job, before or after.
    ///
    /// # Errors
    /// As for a new one.
    pub(super) fn changed_job(&self, before: &Note, patch: &Patch) -> Result<Option<Patch>, VaultError> {
        let (was, is) = (before.has_tag(tag::JOB), patch.preview(before)?.has_tag(tag::JOB));
        if !was && !is {
            return Ok(None);
        }
        if !was {
            return Err(forbidden(
                "a turn may not make a job of a note that is there: create a new note",
            ));
        }
        if !is {
            return Err(forbidden("a turn may not remove a job: set enabled to false instead"));
        }
        match before.text(DEFINED_BY) {
            None => {
                return Err(forbidden(
                    "a turn may change only jobs that agents made (those with defined_by), and a person made this one. Ask the operator to do it",
                ));
            }
            Some(by) if by != self.sender() => self.may_reach_others("change the jobs of other agents")?,
            Some(_) => {}
        }
        let mut patch = patch.clone();
        for key in MARKS {
            patch.metadata.remove(key);
            patch.remove_metadata.retain(|removed| removed != key);
        }
        let after = patch.preview(before)?;
        let keys = before.metadata.keys().chain(after.metadata.keys());
        check_choices(keys.filter(|key| before.metadata.get(*key) != after.metadata.get(*key)))?;
        self.check_job(&after)?;
        Ok(Some(patch))
    }

    /// Nobody would tell the turn later what is wrong.
    fn check_job(&self, note: &Note) -> Result<(), VaultError> {
        if self.is_exhausted() {
            return Err(forbidden(&format!(
                "this work was handed on {DEPTH_MAX} times in a row, which is the limit: its turns may not write jobs"
            )));
        }
        if note.has_tag(tag::DEFINITION) {
            return Err(VaultError::Invalid(
                "a job cannot be a definition too; write two notes".into(),
            ));
        }
        let job = Job::parse(note, &TimeZone::system()).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            VaultError::Invalid(format!("the job is wrong: {}", problems.join("; ")))
        })?;
        if job.agent == self.agent {
            return Ok(());
        }
        self.may_reach_others(&format!("make jobs for {}, only for {}", job.agent, self.agent))
    }

    fn may_reach_others(&self, what: &str) -> Result<(), VaultError> {
        if self.defines_agents {
            return Ok(());
        }
        Err(VaultError::Forbidden(format!(
            "a turn of {0} may not {what}; nothing was written. To allow it, the operator sets {DEFINES_AGENTS}: true in the \
             definition of {0}",
            self.agent
        )))
    }
}

/// Whether a turn may write these keys.
fn check_choices<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), VaultError> {
    match keys.find(|key| !CHOICES.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(forbidden(&format!(
            "in a job a turn may write only {}; {key:?} is the daemon's",
            CHOICES.join(", ")
        ))),
    }
}

/// How many of these notes are jobs.
///
/// # Errors
/// One of them is no note.
pub(super) fn among(notes: &[NewNote]) -> Result<usize, VaultError> {
    let previews = notes.iter().map(NewNote::preview).collect::<Result<Vec<Note>, _>>()?;
    Ok(previews.iter().filter(|note| may_fire(note)).count())
}

/// Whether a job may still fire.
fn may_fire(job: &Note) -> bool {
    job.has_tag(tag::JOB)
        && job.text("enabled").as_deref() != Some("false")
        && job.text("status").as_deref() != Some("done")
}

/// Whether a change gives a job to the clock that it did not have.
pub(super) fn is_one_more(before: &Note, after: &Note) -> bool {
    let when = |note: &Note| ["cron", "at", "tz"].map(|key| note.text(key));
    let again = Note {
        metadata: after
            .metadata
            .iter()
            .filter(|(key, _)| *key != "status" || when(before) == when(after))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ..after.clone()
    };
    !may_fire(before) && may_fire(&again)
}

impl MarkingVault {
    /// Whether the agent of this turn may have so many more jobs.
    pub(super) async fn check_room(&self, more: usize) -> Result<(), VaultError> {
        let own = Query {
            tags: vec![tag::JOB.into()],
            exact_tags: true,
            metadata: vec![(DEFINED_BY.to_owned(), self.origin.sender())],
            ..Query::default()
        };
        let there = self
            .inner
            .query(&own)
            .await?
            .notes
            .iter()
            .filter(|job| may_fire(job))
            .count();
        if there + more <= JOBS_MAX {
            return Ok(());
        }
        Err(forbidden(&format!(
            "the turns of {} have made {there} jobs that may still fire, and {JOBS_MAX} is the limit: set enabled to false in \
             one that is not needed",
            self.origin.agent
        )))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn origin(depth: u32, defines_agents: bool) -> Origin {
        Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth,
            defines_agents,
            guard: crate::trust::Guard::default(),
        }
    }

    fn object(value: Value) -> Metadata {
        serde_json::from_value(value).unwrap()
    }

    fn new(metadata: Value) -> NewNote {
        NewNote {
            content: "Look at the inbox.".into(),
            tags: vec!["#agent/job".into()],
            metadata: object(metadata),
            ..NewNote::default()
        }
    }

    fn stored(metadata: Value) -> Note {
        new(metadata).preview().unwrap()
    }

    fn own(more: Value) -> Note {
        let mut metadata = object(
            json!({"jobId": "j", "agent": "alpha", "cron": "0 9 * * *", "defined_by": "agent:alpha",
            "delegation_depth": "1", "status": "enabled", "lastStatus": "ok"}),
        );
        metadata.extend(object(more));
        stored(metadata.into())
    }

    fn set(metadata: Value) -> Patch {
        Patch {
            metadata: object(metadata),
            ..Patch::default()
        }
    }

    fn told<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
        match outcome.unwrap_err() {
            VaultError::Forbidden(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_for_oneself_is_marked_whatever_it_says() {
        let lies = json!({"jobId": "j", "agent": "alpha", "cron": "0 9 * * *", "defined_by": "ann", "delegation_depth": "0",
            "chain_id": "c0", "sender": "ann", "delegated_by": "x"});
        let made = origin(2, false).mark_new(new(lies)).unwrap();
        let expected = json!({"jobId": "j", "agent": "alpha", "cron": "0 9 * * *", "defined_by": "agent:alpha",
            "delegation_depth": "3"});
        assert_eq!(made.metadata, object(expected));
    }

    #[test]
    fn jobs_for_others_are_for_who_may_make_agents() {
        let theirs = json!({"jobId": "j", "channel": "beta", "at": "2030-01-01T00:00:00Z"});
        let why = told(origin(0, false).mark_new(new(theirs.clone())));
        assert!(why.contains("defines_agents: true in the definition of alpha"), "{why}");
        let made = origin(0, true).mark_new(new(theirs)).unwrap();
        assert_eq!(made.metadata["defined_by"], "agent:alpha");
        // Nor by a change.
        assert!(told(origin(0, false).mark_patch(&own(json!({})), set(json!({"agent": "beta"})))).contains("beta"));
        let of_beta = own(json!({"defined_by": "agent:beta"}));
        assert!(told(origin(0, false).mark_patch(&of_beta, set(json!({"tz": "UTC"})))).contains("other agents"));
        origin(0, true).mark_patch(&of_beta, set(json!({"tz": "UTC"}))).unwrap();
    }

    #[test]
    fn the_jobs_of_a_person_and_what_the_daemon_writes_are_not_for_turns() {
        let of_a_person = stored(json!({"agent": "alpha", "cron": "@daily"}));
        for defines_agents in [false, true] {
            let why = told(origin(0, defines_agents).mark_patch(&of_a_person, set(json!({"enabled": "false"}))));
            assert!(why.contains("a person made this one"), "{why}");
        }
        for key in ["status", "lastRunAt", "createdAt", "callback"] {
            let with = json!({"agent": "alpha", "cron": "@daily", key: "x"});
            assert!(told(origin(0, true).mark_new(new(with))).contains(key));
            assert!(told(origin(0, true).mark_patch(&own(json!({})), set(json!({key: "x"})))).contains(key));
        }
    }

    #[test]
    fn a_changed_job_keeps_its_marks() {
        let before = own(json!({}));
        let mut patch = set(json!({"cron": "@hourly", "defined_by": "ann", "delegation_depth": "0", "sender": "ann"}));
        patch.remove_metadata = vec!["defined_by".into(), "delegation_depth".into()];
        let after = origin(4, false)
            .mark_patch(&before, patch)
            .unwrap()
            .preview(&before)
            .unwrap();
        assert_eq!(after.metadata, own(json!({"cron": "@hourly"})).metadata);
    }

    #[test]
    fn a_job_is_a_new_note_and_stays_one() {
        let tags = |add: &[&str], remove: &[&str]| Patch {
            add_tags: add.iter().map(|&tag| tag.to_owned()).collect(),
            remove_tags: remove.iter().map(|&tag| tag.to_owned()).collect(),
            ..Patch::default()
        };
        let plain = Note {
            tags: Vec::new(),
            ..own(json!({}))
        };
        assert!(told(origin(0, true).mark_patch(&plain, tags(&[tag::JOB], &[]))).contains("create a new note"));
        assert!(told(origin(0, true).mark_patch(&own(json!({})), tags(&[], &[tag::JOB]))).contains("enabled to false"));
    }

    #[test]
    fn a_job_that_would_never_fire_is_refused_at_once() {
        for metadata in [
            json!({"agent": "alpha"}),
            json!({"agent": "alpha", "cron": "61 * * * *"}),
            json!({"cron": "@daily"}),
        ] {
            let outcome = origin(0, false).mark_new(new(metadata));
            assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{outcome:?}");
        }
        let deep = json!({"agent": "alpha", "cron": "@daily"});
        assert!(told(origin(DEPTH_MAX, true).mark_new(new(deep))).contains("8 times in a row"));
        for both in [tag::INBOUND, tag::DEFINITION] {
            let mut note = new(json!({"agent": "alpha", "cron": "@daily", "name": "gamma"}));
            note.tags.push(both.into());
            origin(0, true).mark_new(note).unwrap_err();
        }
    }

    #[test]
    fn what_counts_is_what_may_still_fire() {
        let stopped = own(json!({"enabled": "false"}));
        let done = own(json!({"status": "done", "at": "2026-01-01T00:00:00Z"}));
        let later = own(json!({"status": "done", "at": "2027-01-01T00:00:00Z"}));
        let running = own(json!({}));
        for (before, after, expected) in [
            (&stopped, &running, true),
            (&running, &own(json!({"tz": "UTC"})), false),
            (&done, &later, true),
            (
                &done,
                &own(json!({"status": "done", "at": "2026-01-01T00:00:00Z", "subject": "x"})),
                false,
            ),
        ] {
            assert_eq!(is_one_more(before, after), expected, "{before:?} {after:?}");
        }
    }
}
