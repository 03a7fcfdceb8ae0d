//! The folder of an import.

use std::fs::{self, Metadata as Meta};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use reveille_vault::agent::{Inbound, tag};
use reveille_vault::markdown::{self, AttachedFile, NoteFile};
use reveille_vault::note::{millis, normalise_path};
use reveille_vault::{Note, NoteId};

use super::super::CliError;
use super::super::export::{ATTACHMENTS, UNFILED};

/// Largest file that is a note, in bytes. The daemon takes less unless `[server] max_body` was raised.
const BYTES: u64 = 64 << 20;

/// A folder to be read.
pub(super) struct Source {
    /// Without links in it.
    root: PathBuf,
}

/// What is in it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Below the folder, in the order in which they come in: definitions, other notes, messages; the oldest of them first.
    pub(super) files: Vec<String>,
    /// Files that cannot be read, with the reason.
    pub(super) unreadable: Vec<(String, String)>,
}

/// A file as the note that it shall become.
pub(super) struct Incoming {
    pub(super) note: NoteFile,
    /// As it is stored; `None` for a note that has none.
    pub(super) path: Option<String>,
    /// What the file says, or else when it was made.
    pub(super) created: Timestamp,
}

/// When a note comes in. A message that wakes finds its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Definition,
    Other,
    Message,
}

impl Source {
    pub(super) fn open(dir: &Path) -> Result<Self, CliError> {
        let unusable =
            |why: &dyn std::fmt::Display| CliError::Usage(format!("{} cannot be read: {why}", dir.display()));
        let root = fs::canonicalize(dir).map_err(|error| unusable(&error))?;
        if !root.is_dir() {
            return Err(unusable(&"it is no directory"));
        }
        Ok(Self { root })
    }

    /// Reads every file once, to know when it comes in.
    pub(super) fn walk(&self) -> Result<Found, CliError> {
        let mut names = Vec::new();
        let mut found = Found::default();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            match self.names_in(&dir, &mut dirs) {
                Ok(files) => names.extend(files),
                // The folder itself.
                Err(error) if dir.is_empty() => {
                    return Err(CliError::Usage(format!(
                        "{} cannot be read: {error}",
                        self.root.display()
                    )));
                }
                Err(error) => found.unreadable.push((dir, format!("cannot be read: {error}"))),
            }
        }
        let mut sorted = Vec::with_capacity(names.len());
        for name in names {
            match self.read(&name) {
                // Among notes of one instant, one whose name does not tell its path had to give way to another one.
                Ok(incoming) => sorted.push((incoming.class(), incoming.created, incoming.gave_way(), name)),
                Err(why) => found.unreadable.push((name, why)),
            }
        }
        sorted.sort_unstable();
        found.unreadable.sort_unstable();
        found.files = sorted.into_iter().map(|(.., name)| name).collect();
        Ok(found)
    }

    /// The notes in a directory. Directories in it are added to `dirs`.
    fn names_in(&self, dir: &str, dirs: &mut Vec<String>) -> std::io::Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.root.join(dir))? {
            let entry = entry?;
            let name = entry.file_name();
            // A name that is no text can be no path.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let below = if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            };
            // Not that of what a link leads to.
            let kind = entry.file_type()?;
            if kind.is_dir() && below != ATTACHMENTS {
                dirs.push(below);
            } else if kind.is_file() && markdown::is_note(name) {
                files.push(below);
            }
        }
        Ok(files)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub(super) fn read(&self, file: &str) -> Result<Incoming, String> {
        let local = self.root.join(file);
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let meta = fs::symlink_metadata(&local).map_err(unreadable)?;
        if !meta.is_file() || meta.len() > BYTES {
            return Err(format!("is no file, or larger than {BYTES} bytes"));
        }
        let text = String::from_utf8(fs::read(&local).map_err(unreadable)?);
        let text = text.map_err(|_bytes| "is no UTF-8 text".to_owned())?;
        let note = NoteFile::parse(&text).map_err(|why| format!("its front matter cannot be read: {why}"))?;
        let named = markdown::path_of(file).map_err(str::to_owned)?;
        let in_unfiled = file.strip_prefix(UNFILED).is_some_and(|rest| rest.starts_with('/'));
        let path = match &note.exported {
            Some(exported) if exported.path.is_some() || in_unfiled => exported.path.clone(),
            _ => Some(named),
        };
        let created = note.created.unwrap_or_else(|| born(&meta));
        Ok(Incoming { note, path, created })
    }

    /// A file of a note: where it is, and its size.
    ///
    /// # Errors
    /// Says why it cannot be had: it is missing, or not in the folder.
    pub(super) fn inside(&self, file: &str) -> Result<(PathBuf, u64), String> {
        let plain = Path::new(file)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let outside = || format!("its file {file:?} is outside the folder");
        if !plain {
            return Err(outside());
        }
        let missing = |error: std::io::Error| format!("its file {file:?} cannot be read: {error}");
        let local = fs::canonicalize(self.root.join(file)).map_err(missing)?;
        if !local.starts_with(&self.root) {
            return Err(outside());
        }
        let meta = fs::metadata(&local).map_err(missing)?;
        if meta.is_file() {
            Ok((local, meta.len()))
        } else {
            Err(format!("its file {file:?} is no file"))
        }
    }
}

impl Incoming {
    /// Files that come along.
    pub(super) fn attachments(&self) -> &[AttachedFile] {
        self.note
            .exported
            .as_ref()
            .map_or(&[], |exported| &exported.attachments)
    }

    /// As a note, for what is asked of notes.
    pub(super) fn as_note(&self) -> Note {
        Note {
            id: self.note.id.clone().unwrap_or_else(NoteId::generate),
            path: self.path.clone(),
            content: self.note.content.clone(),
            tags: self.note.tags.clone(),
            metadata: self.note.metadata.clone(),
            created_at: self.created,
            updated_at: self.created,
        }
    }

    fn class(&self) -> Class {
        let note = self.as_note();
        if note.has_tag(tag::DEFINITION) {
            Class::Definition
        } else if Inbound::wakes(&note) {
            Class::Message
        } else {
            Class::Other
        }
    }

    fn gave_way(&self) -> bool {
        self.note
            .exported
            .as_ref()
            .is_some_and(|exported| exported.path.is_some())
    }
}

/// When a file was made, as far as is known.
fn born(meta: &Meta) -> Timestamp {
    let times = [meta.created(), meta.modified()];
    // silent-ok: not every file system knows both; a time that is too large is none
    let times = times
        .into_iter()
        .filter_map(|time| Timestamp::try_from(time.ok()?).ok());
    millis::truncate(times.min().unwrap_or_else(Timestamp::now))
}

/// A path as it is sent, so that it is stored as it is: the vault brings paths into a normal form, which could be another one.
pub(super) fn sent(path: &str) -> String {
    if normalise_path(path).as_deref() == Some(path) {
        path.to_owned()
    } else {
        format!("//{}//.md", path.replace('/', "//"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_sent_so_that_it_arrives() {
        for path in [
            "a", "a.md", "a/b.MD", " a", "a ", "a//b", "/a", "a/", "//", "a.md/", "a .md",
        ] {
            assert_eq!(normalise_path(&sent(path)).as_deref(), Some(path), "{path:?}");
        }
    }
}
