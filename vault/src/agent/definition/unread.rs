//! Keys of a definition that nobody reads, though whoever wrote them seems to count on it.

use super::settings::{OUTPUTS, SETTINGS};
use super::{Problem, is_name};
use crate::agent::misspelt;
use crate::note::Note;

/// Most of them that are told of a note.
const TOLD_MAX: usize = 20;
/// Most characters of a key that are shown.
const KEY_CHARS: usize = 64;

/// Endings of keys, without `_` and `-`, whose value is likely to be a secret.
const SECRET_ENDINGS: &[&str] = &[
    "token",
    "apikey",
    "secret",
    "secretkey",
    "accesskey",
    "privatekey",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "credentials",
    "authorization",
];

/// Keys that other programs knew, and what takes their place.
const FORMER: &[(&str, &str)] = &[
    ("vault", "an agent lives in the vault of its definition; move the note"),
    ("vaultAccess", "an agent may read and write the vault of its definition"),
    (
        "env",
        "variables are never read from a note; name a connection in `wants`, such as env:NAME",
    ),
    ("systemPrompt", "the body of the note is the role"),
    ("prompt", "the body of the note is the role"),
];

/// A key as different hands write it: `apiKey` and `api_key` are one.
fn folded(key: &str) -> String {
    let letters = key.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether a key says that its value is a secret. A name in capitals is a variable's, and those hold secrets.
fn is_secret(key: &str) -> bool {
    let letters = folded(key);
    let variable = key.len() > 3 && key.contains('_') && !key.chars().any(char::is_lowercase) && is_name(key);
    variable || SECRET_ENDINGS.iter().any(|ending| letters.ends_with(ending))
}

fn warning(key: &str) -> Option<String> {
    if SETTINGS.iter().any(|setting| setting.key == key) || OUTPUTS.contains(&key) {
        return None;
    }
    if is_secret(key) {
        return Some(
            "is not read: secrets are never read from a note. Take it out of the note, and name a connection in `wants`"
                .into(),
        );
    }
    if let Some((_, instead)) = FORMER.iter().find(|(former, _)| *former == key) {
        return Some(format!("is not read: {instead}"));
    }
    let known = SETTINGS.iter().map(|setting| setting.key);
    misspelt::meant(key, known).map(|known| format!("is not read; did you mean {known}?"))
}

/// What is told of the keys of a note. Their values are never part of it.
pub(super) fn warnings(note: &Note) -> Vec<Problem> {
    let told = note
        .metadata
        .keys()
        .filter_map(|key| warning(key).map(|message| Problem::new(shown(key), message)));
    told.take(TOLD_MAX).collect()
}

fn shown(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(KEY_CHARS).collect()
}
