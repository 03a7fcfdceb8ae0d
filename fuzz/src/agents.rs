//! Notes that mean something to agents.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reveille_vault::agent::{
    self, Definition, Inbound, Job, Problem, RouteError, ThreadSettings, Want, defined_by_thread, is_reserved_env,
};
use reveille_vault::markdown::NoteFile;
use reveille_vault::{Note, NoteId};
use serde_json::Value;

use super::is_short;
use super::text::note_of;

/// A Markdown file that is a definition, a job, a message and a thread at once.
///
/// # Panics
/// When something does not hold.
pub fn agent_notes(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(file) = NoteFile::parse(&text) else { return };
    let note = note_of(&file);
    let tagged = |tag: &str| Note {
        tags: vec![tag.to_owned()],
        ..note.clone()
    };
    definition(&tagged(agent::tag::DEFINITION));
    job(&tagged(agent::tag::JOB));
    message(&tagged(agent::tag::INBOUND));
    let thread = tagged(agent::tag::THREAD);
    let settings = ThreadSettings::of(&thread);
    assert_eq!(format!("{settings:?}"), format!("{:?}", ThreadSettings::of(&thread)));
    if let Some(Err(problems)) = defined_by_thread(&thread) {
        are_short(&problems);
    }
}

fn are_short(problems: &[Problem]) {
    assert!(!problems.is_empty(), "what is wrong is not said");
    problems.iter().for_each(|problem| is_short(&problem.to_string()));
    assert!(problems.len() <= 200, "{} problems", problems.len());
}

fn definition(note: &Note) {
    let warnings = match Definition::parse(note) {
        Ok(definition) => {
            assert_eq!(Definition::parse(note), Ok(definition.clone()));
            assert_eq!(agent::slug(&definition.name), definition.name);
            definition.warnings
        }
        Err(problems) => {
            are_short(&problems);
            Vec::new()
        }
    };
    if !warnings.is_empty() {
        are_short(&warnings);
    }
}

fn job(note: &Note) {
    match Job::parse(note, &TimeZone::UTC) {
        Ok(job) => {
            assert_eq!(job.fingerprint().len(), 64);
            assert_eq!(agent::slug(&job.agent), job.agent);
            if !job.warnings.is_empty() {
                are_short(&job.warnings);
            }
        }
        Err(problems) => are_short(&problems),
    }
}

/// What was read is written and read again.
fn message(note: &Note) {
    let message = match Inbound::parse(note) {
        Ok(message) => message,
        Err(error @ (RouteError::NoAgent | RouteError::BadAgent(_))) => return is_short(&error.to_string()),
    };
    let id = NoteId::new("m1").expect("a good id");
    let written = message
        .render(id, Timestamp::UNIX_EPOCH)
        .preview()
        .expect("it can be written");
    assert_eq!(Inbound::parse(&written), Ok(message));
    assert!(Inbound::wakes(&written));
}

/// A list of connections: JSON, or text.
///
/// # Panics
/// When something does not hold.
pub fn wants(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        list(&value);
        if let Some(want) = Want::from_spec(&value) {
            one(&want);
        }
    }
    list(&Value::String(text));
}

fn list(value: &Value) {
    let wants = match Want::parse_list(value) {
        Ok(wants) => wants,
        Err(why) => return is_short(&agent::without_middle(why)),
    };
    wants.iter().for_each(one);
    let mut keys = HashMap::new();
    for want in &wants {
        let known = keys.insert(want.key(), want);
        assert_eq!(known, None, "two wants have the key {}", want.key());
    }
}

fn one(want: &Want) {
    assert!(
        !want.key().is_empty() && !want.key().chars().any(char::is_control),
        "{want:?}"
    );
    let again = Want::from_spec(&want.spec_json());
    assert_eq!(again.as_ref(), Some(want), "a hub is told something else");
    assert_eq!(again.map(|want| want.key()), Some(want.key()));
    if let Some(variable) = want.env_name() {
        let plain = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
        assert!(variable.bytes().all(plain), "{variable:?} is no name of a variable");
        assert!(!is_reserved_env(&variable), "{variable} is the daemon's");
    }
}
