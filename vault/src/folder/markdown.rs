//! Notes in files that leave a vault and come into one: the form of the folder kind, and under `reveille` also what a file
//! cannot say there.
//!
//! ```text
//! reveille: {"updated": "2026-07-02T10:00:00.000Z", "path": "a/..", "attachments": [{"file": "_attachments/…", …}]}
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{self, BESIDE, Document, OWN};
use super::paths;
use crate::note::{Metadata, Note, NoteId, millis};

const UPDATED: &str = "updated";
const PATH: &str = "path";
const ATTACHMENTS: &str = "attachments";

/// A note as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct NoteFile {
    /// Of a file that a vault has written, or that a person has given one.
    pub id: Option<NoteId>,
    /// Time of creation.
    pub created: Option<Timestamp>,
    /// In the order in which they stand there.
    pub tags: Vec<String>,
    /// Every other key.
    pub metadata: Metadata,
    /// Behind the front matter.
    pub content: String,
    /// What only an exported file says.
    pub exported: Option<Exported>,
}

/// What an exported file says beyond a file of the folder kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Time of the last change in the vault that it came from.
    pub updated: Timestamp,
    /// The path of the note where the name of the file does not say it.
    pub path: Option<String>,
    /// Files of the note.
    pub attachments: Vec<AttachedFile>,
}

/// A file of a note, beside the file of the note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachedFile {
    /// Where it is, below the folder of the export.
    pub file: String,
    /// Its name on the note.
    pub filename: String,
    /// Media type without parameters.
    pub mime_type: String,
}

impl NoteFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Why its front matter cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text);
        if let Some(trouble) = document.trouble {
            return Err(trouble);
        }
        let mut file = Self {
            id: document.id,
            created: document.created,
            tags: document.tags,
            metadata: document.metadata,
            content: document.content,
            exported: None,
        };
        if let Some(Value::Object(beside)) = document::entry(text, BESIDE)
            && let Some(exported) = Exported::of(&beside)
        {
            // To the folder kind it is metadata.
            file.metadata.remove(BESIDE);
            let own = beside.into_iter().filter(|(key, _)| OWN.contains(&key.as_str()));
            file.metadata.extend(own);
            file.exported = Some(exported);
        }
        Ok(file)
    }
}

impl Exported {
    /// `None`: the object is something else.
    fn of(beside: &Metadata) -> Option<Self> {
        let known = |key: &String| OWN.contains(&key.as_str()) || [UPDATED, PATH, ATTACHMENTS].contains(&key.as_str());
        if !beside.keys().all(known) {
            return None;
        }
        Some(Self {
            // silent-ok: then it is metadata that is only called so
            updated: millis::parse(beside.get(UPDATED)?.as_str()?).ok()?,
            path: match beside.get(PATH) {
                None => None,
                Some(path) => Some(path.as_str()?.to_owned()),
            },
            attachments: match beside.get(ATTACHMENTS) {
                None => Vec::new(),
                // silent-ok: as above
                Some(attachments) => Vec::deserialize(attachments).ok()?,
            },
        })
    }

    fn beside(&self) -> Metadata {
        let mut beside = Metadata::new();
        beside.insert(UPDATED.into(), millis::format(self.updated).into());
        if let Some(path) = &self.path {
            beside.insert(PATH.into(), path.as_str().into());
        }
        if !self.attachments.is_empty() {
            let one = |file: &AttachedFile| serde_json::json!(file);
            beside.insert(ATTACHMENTS.into(), self.attachments.iter().map(one).collect());
        }
        beside
    }
}

/// The text of a file for a note. `path`: whether the name of the file does not say the path of the note.
///
/// # Errors
/// The metadata cannot be written so that it reads back as it is, such as very deep lists. Says why.
pub fn render(note: &Note, path: bool, attachments: Vec<AttachedFile>) -> Result<String, String> {
    let exported = Exported {
        updated: note.updated_at,
        path: note.path.clone().filter(|_| path),
        attachments,
    };
    let text = document::render_with(note, exported.beside());
    let expected = NoteFile {
        id: Some(note.id.clone()),
        created: Some(note.created_at),
        tags: note.tags.clone(),
        metadata: note.metadata.clone(),
        content: note.content.clone(),
        exported: Some(exported),
    };
    match NoteFile::parse(&text) {
        Ok(file) if file == expected => Ok(text),
        Ok(_) => Err("front matter cannot hold its tags or metadata as they are".into()),
        Err(trouble) => Err(format!("front matter cannot hold its metadata: {trouble}")),
    }
}

/// The name of the file for a note with that path, with `/` between directories. `None`: no file can be called so, or its
/// name would say another path.
#[must_use]
pub fn file_of(path: &str) -> Option<String> {
    // silent-ok: that is the answer
    let file = paths::to_source(path).ok()?;
    (paths::of_source(&file).as_deref() == Ok(path)).then_some(file)
}

/// The path of the note in a file.
///
/// # Errors
/// Why its name can be no path.
pub fn path_of(file: &str) -> Result<String, &'static str> {
    paths::of_source(file)
}

/// Whether a file with that name, without directories, is a note.
#[must_use]
pub fn is_note(name: &str) -> bool {
    paths::is_note(name) && !paths::is_hidden(name)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn note(metadata: &Value, content: &str) -> Note {
        serde_json::from_value(json!({
            "id": "n1", "path": "a/b", "content": content, "tags": ["agent/message", "two words"], "metadata": metadata,
            "createdAt": "2026-07-02T10:00:00.000Z", "updatedAt": "2026-07-03T10:00:00.123Z",
        }))
        .unwrap()
    }

    #[test]
    fn what_is_exported_reads_back() {
        let file = AttachedFile {
            file: "_attachments/a.png".into(),
            filename: "ä \"1\".png".into(),
            mime_type: "image/png".into(),
        };
        for metadata in [
            json!({}),
            json!({"id": 1, "created": null, "tags": {"a": [1, "x", null, true, 1.5]}, "reveille": {"updated": 1}}),
            json!({"reveille": {"updated": "2026-07-02T10:00:00.000Z"}, "path": "x", "updated": "y", "": "- a"}),
            json!({"reveille": {"id": "x"}, "attachments": [[]], "a: b": {"": -0.5}}),
        ] {
            for content in ["", "---\na: 1\n---\n", "---", "\u{feff}x", "\r\nx\r\n", "#tag\n"] {
                for (path, files) in [(false, vec![]), (true, vec![file.clone(), file.clone()])] {
                    let note = note(&metadata, content);
                    let text = render(&note, path, files.clone()).unwrap();
                    let read = NoteFile::parse(&text).unwrap();
                    let exported = read.exported.unwrap();
                    assert_eq!(
                        (&read.metadata, read.content.as_str()),
                        (&note.metadata, content),
                        "{text}"
                    );
                    assert_eq!((exported.path.is_some(), exported.attachments), (path, files), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_the_form_cannot_hold_is_told() {
        let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
        assert!(render(&note(&json!({"a": deep}), "x"), false, Vec::new()).is_err());
        assert!(NoteFile::parse("---\na: [\n---\nx").is_err());
    }

    #[test]
    fn other_objects_of_that_name_are_metadata() {
        for yaml in [
            "reveille: {updated: x}",
            "reveille: {updated: 2026-07-02T10:00:00.000Z, more: 1}",
            "reveille: {path: x}",
            "reveille: {updated: 2026-07-02T10:00:00.000Z, attachments: [{file: x}]}",
        ] {
            let file = NoteFile::parse(&format!("---\n{yaml}\n---\nx")).unwrap();
            assert!(
                file.exported.is_none() && file.metadata.contains_key("reveille"),
                "{yaml}"
            );
        }
    }

    #[test]
    fn names_that_say_another_path_are_none() {
        for (path, file) in [
            ("a/b", Some("a/b.md")),
            ("a.md", Some("a.md.md")),
            ("ü \"x\"?", Some("ü \"x\"?.md")),
            ("../a", None),
            (".a", None),
            ("a//b", None),
            ("a\nb", None),
            // Not composed.
            ("u\u{308}", None),
        ] {
            assert_eq!(file_of(path).as_deref(), file, "{path:?}");
        }
        assert_eq!(file_of(&"x".repeat(253)), None);
    }
}
