//! From the path of a note to the name of its file, and back.

use std::path::{Path, PathBuf};

use icu_normalizer::ComposingNormalizerBorrowed;

use super::disk::{self, Look};
use crate::note::Note;
use crate::store::VaultError;

/// Ending of the files that are notes.
const ENDING: &str = ".md";

/// Longest name of a file or directory, in bytes, on the file systems that matter.
const NAME_BYTES: usize = 255;

/// Longest path of a note, in bytes, as in every vault.
const PATH_BYTES: usize = 1024;

/// Composed form: the same letters are the same path, whichever system wrote the name.
pub(super) fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// Whether a name without directories can be a note's.
pub(super) fn is_note(name: &str) -> bool {
    let cut = name.len().saturating_sub(ENDING.len());
    name.get(cut..)
        .is_some_and(|end| cut > 0 && end.eq_ignore_ascii_case(ENDING))
}

/// Names that begin with a dot belong to editors, to version control, or to us.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// The part of `path` below `root` in the form of a source: `/` between names. `None`: not below it, hidden, or no UTF-8.
pub(super) fn below(root: &Path, path: &Path) -> Option<String> {
    let mut names = Vec::new();
    for part in path.strip_prefix(root).ok()?.components() {
        let name = part.as_os_str().to_str()?;
        if is_hidden(name) {
            return None;
        }
        names.push(name);
    }
    Some(names.join("/"))
}

/// A name in a directory, both in the form of sources.
pub(super) fn joined(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

/// The path of the note in a file.
///
/// # Errors
/// Says why the name can be no path.
pub(super) fn of_source(source: &str) -> Result<String, &'static str> {
    let path = composed(source.strip_suffix(ENDING).unwrap_or(source));
    if path.chars().any(char::is_control) {
        Err("its name holds a control character")
    } else if path.len() > PATH_BYTES {
        Err("its path is longer than 1024 bytes")
    } else {
        Ok(path)
    }
}

/// The file for the note with that (normalised) path.
pub(super) fn to_source(path: &str) -> Result<String, VaultError> {
    let wrong = |rule: &str| VaultError::Invalid(format!("invalid path {path:?}: {rule}"));
    for (index, name) in path.split('/').enumerate() {
        let is_last = path.split('/').count() == index + 1;
        let bytes = name.len() + if is_last { ENDING.len() } else { 0 };
        if name.is_empty() {
            return Err(wrong("a part of it is empty"));
        } else if is_hidden(name) {
            return Err(wrong(
                "a part of it begins with a dot; such files are hidden and no notes",
            ));
        } else if name.chars().any(char::is_control) {
            return Err(wrong("it contains a control character"));
        } else if bytes > NAME_BYTES {
            return Err(wrong(
                "a part of it is longer than the name of a file may be (252 bytes)",
            ));
        }
    }
    Ok(format!("{}{ENDING}", composed(path)))
}

/// Where a note goes that was given no path: messages to their agent, everything else where people put what they have not
/// sorted yet. `attempt` counts from 0.
pub(super) fn given(note: &Note, attempt: u32) -> String {
    let safe = |text: &str| -> String {
        let chars = text.chars().take(80);
        chars
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .collect()
    };
    let id = safe(note.id.as_str());
    let again = if attempt == 0 {
        String::new()
    } else {
        format!(" {}", attempt + 1)
    };
    let is_message = ["agent/message/inbound", "agent/message/outbound"]
        .iter()
        .any(|tag| note.has_tag(tag));
    match note.text("agent").filter(|_| is_message) {
        Some(agent) => format!("channel/{}/{id}{again}", safe(&agent)),
        None => format!("Inbox/{} {id}{again}", note.created_at.strftime("%Y-%m-%d")),
    }
}

/// A copy that a program for synchronisation has made because two machines had changed the same file.
pub(super) fn is_conflict_copy(source: &str) -> bool {
    let name = source.rsplit('/').next().unwrap_or_default().to_lowercase();
    let in_brackets = name
        .split('(')
        .skip(1)
        .any(|rest| rest.split(')').next().is_some_and(|inside| inside.contains("conflict")));
    name.contains(".sync-conflict-") || in_brackets
}

/// Makes the directories of `source`. Answers the source with those that exist as the disk spells them.
///
/// # Errors
/// [`Refused`].
pub(super) fn make_dirs(root: &Path, source: &str) -> Result<String, Refused> {
    let (dirs, name) = source
        .rsplit_once('/')
        .map_or((None, source), |(dirs, name)| (Some(dirs), name));
    let mut actual = String::new();
    for dir in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
        let parent = root.join(&actual);
        let spelled = match disk::look(&parent.join(dir))? {
            Look::Dir => dir.to_owned(),
            Look::Missing => match spelled_otherwise(&parent, dir)? {
                Some(known) => known,
                None => {
                    std::fs::create_dir(parent.join(dir))?;
                    disk::sync_dir(&parent)?;
                    dir.to_owned()
                }
            },
            Look::Link => {
                return Err(Refused::Path(format!(
                    "{dir:?} in it is a link, and links are not followed"
                )));
            }
            Look::File(_) | Look::Other => return Err(Refused::Path(format!("{dir:?} in it is a file"))),
        };
        actual = joined(&actual, &spelled);
    }
    Ok(joined(&actual, name))
}

/// A directory whose name has the same letters in another form of Unicode.
fn spelled_otherwise(parent: &Path, name: &str) -> std::io::Result<Option<String>> {
    if name.is_ascii() {
        return Ok(None);
    }
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if let Some(known) = entry.file_name().to_str()
            && composed(known) == composed(name)
            && entry.file_type()?.is_dir()
        {
            return Ok(Some(known.to_owned()));
        }
    }
    Ok(None)
}

/// A file that cannot be written.
#[derive(Debug)]
pub(super) enum Refused {
    /// By what the path is.
    Path(String),
    /// By the system.
    Io(std::io::Error),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// The file of a source, after a look at its directories: none of them is a link.
pub(super) fn checked(root: &Path, source: &str) -> Result<PathBuf, Refused> {
    let mut dir = root.to_owned();
    let names: Vec<&str> = source.split('/').collect();
    for name in names.iter().take(names.len().saturating_sub(1)) {
        dir.push(name);
        if matches!(disk::look(&dir)?, Look::Link) {
            return Err(Refused::Path(format!(
                "{name:?} in it is a link, and links are not followed"
            )));
        }
    }
    Ok(root.join(source))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn notes_and_files_have_each_other_s_names() {
        for (source, path) in [
            ("a/b.md", "a/b"),
            ("a.md.md", "a.md"),
            ("a.MD", "a.MD"),
            ("U\u{308}.md", "Ü"),
        ] {
            assert_eq!(of_source(source), Ok(path.to_owned()));
        }
        assert_eq!(to_source("a/b").unwrap(), "a/b.md");
        assert_eq!(to_source("U\u{308}").unwrap(), "Ü.md");
        assert_eq!(to_source(&"x".repeat(252)).unwrap().len(), 255);
        for wrong in [
            "../x",
            "a/../x",
            ".x",
            "a/.x/b",
            "a///b",
            "a\u{0}",
            &"x".repeat(253),
            ".",
            "..",
        ] {
            assert!(matches!(to_source(wrong), Err(VaultError::Invalid(_))), "{wrong:?}");
        }
        for (name, note) in [
            ("a.md", true),
            ("a.Md", true),
            (".md", false),
            ("md", false),
            ("a.md~", false),
        ] {
            assert_eq!(is_note(name), note, "{name}");
        }
    }

    #[test]
    fn copies_of_conflicts_are_known_by_their_names() {
        for name in [
            "a/x.sync-conflict-20261125-101010-ABCDEFG.md",
            "x (conflicted copy 2026-11-25).md",
            "x (Anna's conflicted copy 2026-11-25).md",
            "x (conflict 2026-11-25 101010 1).md",
            "x (Case Conflict).md",
        ] {
            assert!(is_conflict_copy(name), "{name}");
        }
        for name in ["conflict.md", "x (a) conflict (b).md", "conflict (1)/x.md"] {
            assert!(!is_conflict_copy(name), "{name}");
        }
    }
}
