//! Keys of a definition that nobody reads, though whoever wrote them seems to count on it.

use super::settings::{OUTPUTS, SETTINGS};
use super::{Problem, is_name};
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

/// A key as different hands write it: `timeoutWall`, `Timeout-Wall` and `timeout_wall` are one.
fn folded(key: &str) -> String {
    let letters = key.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// The words of a key in order of the alphabet: `idleTimeout` is made of those of `timeout_idle`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in key.chars() {
        if c.is_uppercase() || matches!(c, '_' | '-' | ' ') {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && !matches!(c, '_' | '-' | ' ')
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.sort();
    words
}

/// The setting that a key seems to mean. People keep metadata of their own, so only what is very near counts.
fn meant(key: &str) -> Option<&'static str> {
    let given = folded(key);
    let near = |known: &str| {
        if words(key) == words(known) {
            return true;
        }
        let known = folded(known);
        let allowed = match known.len() {
            ..=4 => return given == known || given == format!("{known}s") || known == format!("{given}s"),
            5..=7 => 1,
            _ => 2,
        };
        strsim::osa_distance(&given, &known) <= allowed
    };
    let nearest = SETTINGS.iter().filter(|setting| near(setting.key));
    let distance = |known: &str| strsim::osa_distance(&given, &folded(known));
    nearest
        .min_by_key(|setting| distance(setting.key))
        .map(|setting| setting.key)
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
    meant(key).map(|known| format!("is not read; did you mean {known}?"))
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
