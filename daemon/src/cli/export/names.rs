//! How the files of an export are called.

use std::collections::{HashMap, HashSet};

use reveille_vault::{Note, markdown};

use super::place::digest;

/// Holds notes that have no path, or one that no file can have.
pub(crate) const UNFILED: &str = "_unfiled";

/// Holds the files of notes.
pub(crate) const ATTACHMENTS: &str = "_attachments";

/// Longest id that names a file; a name is cut off nowhere.
const ID_BYTES: usize = 100;

/// The names that are given. No two of them differ in case only: the folder may be carried to where that is the same.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In lower case.
    files: HashSet<String>,
    /// The spelling of directories by lower case.
    dirs: HashMap<String, String>,
}

impl Names {
    /// The name of a note's file, and whether it tells the note's path.
    pub(super) fn take(&mut self, note: &Note) -> (String, bool) {
        let own = note.path.as_deref().and_then(markdown::file_of);
        if let Some(file) = own.filter(|file| !is_reserved(file) && self.is_free(file)) {
            self.give(&file);
            return (file, true);
        }
        let id = note.id.as_str();
        let plain = id.len() <= ID_BYTES
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let file = format!("{UNFILED}/{id}.md");
        let file = if plain && self.is_free(&file) {
            file
        } else {
            format!("{UNFILED}/{}.md", digest(id.as_bytes()))
        };
        self.give(&file);
        (file, note.path.is_none())
    }

    fn is_free(&self, file: &str) -> bool {
        let lower = file.to_lowercase();
        let dir_is_free = |dir: &str| {
            let lower = dir.to_lowercase();
            !self.files.contains(&lower) && self.dirs.get(&lower).is_none_or(|spelled| spelled == dir)
        };
        !self.files.contains(&lower) && !self.dirs.contains_key(&lower) && dirs(file).all(dir_is_free)
    }

    fn give(&mut self, file: &str) {
        self.files.insert(file.to_lowercase());
        for dir in dirs(file) {
            self.dirs.entry(dir.to_lowercase()).or_insert_with(|| dir.to_owned());
        }
    }
}

/// The directories above a file.
fn dirs(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').filter_map(|(at, _)| file.get(..at))
}

fn is_reserved(file: &str) -> bool {
    let first = file.split('/').next().unwrap_or_default();
    [UNFILED, ATTACHMENTS]
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name))
}

/// The name of a file of notes.
pub(super) fn of_attachment(digest: &str, filename: &str) -> String {
    let plain = |ending: &&str| (1..=16).contains(&ending.len()) && ending.bytes().all(|c| c.is_ascii_alphanumeric());
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending).filter(plain);
    let ending = ending.map(|ending| format!(".{}", ending.to_ascii_lowercase()));
    let dir = digest.get(..2).unwrap_or_default();
    format!("{ATTACHMENTS}/{dir}/{digest}{}", ending.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_note_has_a_name_of_its_own() {
        let mut names = Names::default();
        let mut named = |id: &str, path: Option<&str>| {
            let note = json!({
                "id": id, "path": path, "createdAt": "2026-07-02T10:00:00Z", "updatedAt": "2026-07-02T10:00:00Z"
            });
            names.take(&serde_json::from_value(note).unwrap())
        };
        let long = "x".repeat(300);
        let hashed = |id: &str| format!("_unfiled/{}.md", digest(id.as_bytes()));
        for (id, path, file, tells) in [
            ("1", Some("a/b"), "a/b.md".to_owned(), true),
            ("2", Some("a/B"), "_unfiled/2.md".to_owned(), false),
            ("3", Some("A/c"), "_unfiled/3.md".to_owned(), false),
            ("4", Some("a"), "a.md".to_owned(), true),
            ("5", Some("a.md/x"), "_unfiled/5.md".to_owned(), false),
            ("6", None, "_unfiled/6.md".to_owned(), true),
            ("7", Some("../a"), "_unfiled/7.md".to_owned(), false),
            ("8", Some("_Unfiled/6"), "_unfiled/8.md".to_owned(), false),
            ("9", Some("_attachments/x"), "_unfiled/9.md".to_owned(), false),
            ("10", Some(&long), "_unfiled/10.md".to_owned(), false),
            ("id", None, "_unfiled/id.md".to_owned(), true),
            ("ID", None, hashed("ID"), true),
            ("..", None, hashed(".."), true),
        ] {
            assert_eq!(named(id, path), (file, tells), "{id} {path:?}");
        }
    }

    #[test]
    fn files_keep_a_plain_ending() {
        assert_eq!(of_attachment("ab1", "x.PNG"), "_attachments/ab/ab1.png");
        assert_eq!(of_attachment("ab1", "x.p/g"), "_attachments/ab/ab1");
    }
}
