//! What a change of a note does to the text of its file.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{BESIDE, Document, OWN, Split, inline_tags, is_beside, line, tag_lines, without_mark};
use crate::folder::yaml::{self, Entry, Root};
use crate::note::{Metadata, Note, NoteId, millis};

/// What shall become of a file.
#[derive(Debug, Default, PartialEq)]
pub(in crate::folder) struct Change {
    /// Written when the file has no key `id`.
    pub(in crate::folder) id: Option<NoteId>,
    pub(in crate::folder) created: Option<Timestamp>,
    pub(in crate::folder) add_tags: Vec<String>,
    pub(in crate::folder) remove_tags: Vec<String>,
    /// Keys with their new values; `None`: taken away.
    pub(in crate::folder) metadata: Vec<(String, Option<Value>)>,
    pub(in crate::folder) content: Option<String>,
}

impl Change {
    /// What makes a file with these tags and that content say what the note says.
    pub(in crate::folder) fn between(before: &Document, tags: &[String], after: &Note) -> Self {
        let missing = |here: &[String], there: &[String]| -> Vec<String> {
            let there: HashSet<&String> = there.iter().collect();
            let tags = here.iter().filter(|tag| !there.contains(tag));
            tags.cloned().collect()
        };
        let set = after
            .metadata
            .iter()
            .filter(|(key, value)| before.metadata.get(*key) != Some(value));
        let gone = before.metadata.keys().filter(|key| !after.metadata.contains_key(*key));
        Self {
            id: None,
            created: None,
            add_tags: missing(&after.tags, tags),
            remove_tags: missing(tags, &after.tags),
            metadata: set
                .map(|(key, value)| (key.clone(), Some(value.clone())))
                .chain(gone.map(|key| (key.clone(), None)))
                .collect(),
            content: (before.content != after.content).then(|| after.content.clone()),
        }
    }

    /// Whether it asks for nothing.
    pub(in crate::folder) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the tags must stand in the front matter from now on: they change, or they would with the text.
    fn fixes_tags(&self, before: &Document) -> bool {
        let content = self.content.as_deref().filter(|_| before.inline);
        !self.add_tags.is_empty()
            || !self.remove_tags.is_empty()
            || content.is_some_and(|content| inline_tags(content) != before.tags)
    }

    fn touches_front_matter(&self) -> bool {
        self.created.is_some() || !self.metadata.is_empty() || self.id.is_some()
    }
}

/// The text of the file after `change`.
///
/// # Errors
/// The file cannot be changed so without touching what is not the vault's. Says why, and what to do.
pub(in crate::folder) fn edit(text: &str, change: &Change) -> Result<String, String> {
    let before = Document::parse(text);
    if let Some(trouble) = &before.trouble {
        return Err(format!(
            "its front matter cannot be read ({trouble}); mend it in an editor"
        ));
    }
    let expected = expected(&before, change);
    let out = rewritten(text, &before, &expected, change)?;
    let after = Document::parse(&out);
    // Whatever was overlooked: what cannot be read back is not written.
    if after != expected {
        return Err(
            "its front matter is written in a way that cannot be changed line by line; write one key a line, \
                    without anchors"
                .into(),
        );
    }
    Ok(out)
}

/// What the changed file must say.
fn expected(before: &Document, change: &Change) -> Document {
    let mut after = before.clone();
    if after.id.is_none() {
        after.id.clone_from(&change.id);
    }
    after.created = change.created.or(before.created);
    after.inline = before.inline && !change.fixes_tags(before);
    let removed: HashSet<&String> = change.remove_tags.iter().collect();
    after.tags.retain(|tag| !removed.contains(tag));
    let mut known: HashSet<String> = after.tags.iter().cloned().collect();
    for tag in &change.add_tags {
        if known.insert(tag.clone()) {
            after.tags.push(tag.clone());
        }
    }
    for (key, value) in &change.metadata {
        match value {
            Some(value) => after.metadata.insert(key.clone(), value.clone()),
            None => after.metadata.remove(key),
        };
    }
    if let Some(content) = &change.content {
        after.content.clone_from(content);
    }
    after
}

fn rewritten(text: &str, before: &Document, expected: &Document, change: &Change) -> Result<String, String> {
    let mut split = Split::of(text);
    // A text between horizontal rules is body.
    if split
        .yaml
        .is_some_and(|yaml| matches!(yaml::parse(yaml), Ok(Root::Other)))
    {
        let body = without_mark(text);
        split = Split {
            open: &text[..text.len() - body.len()],
            yaml: None,
            close: "",
            body,
        };
    }
    let body = change.content.as_deref().unwrap_or(split.body);
    let newline = if split.open.ends_with("\r\n") { "\r\n" } else { "\n" };
    let Some(yaml) = split.yaml else {
        let needs = change.touches_front_matter() || change.fixes_tags(before) || Split::of(body).yaml.is_some();
        let front = if needs {
            let lines = edit_yaml("", before, expected, change, newline)?;
            format!("---{newline}{lines}---{newline}")
        } else {
            String::new()
        };
        return Ok([split.open, &front, body].concat());
    };
    let yaml = edit_yaml(yaml, before, expected, change, newline)?;
    let gap = if split.close.ends_with('\n') || body.is_empty() {
        ""
    } else {
        newline
    };
    Ok([split.open, &yaml, split.close, gap, body].concat())
}

/// The lines between the dashes.
fn edit_yaml(
    yaml: &str,
    before: &Document,
    expected: &Document,
    change: &Change,
    newline: &str,
) -> Result<String, String> {
    let Root::Entries(entries) = yaml::parse(yaml)? else {
        return Err("its front matter is no list of keys".into());
    };
    let mut lines = Lines::new(yaml, entries, newline);
    let is_plain = |key: &str| match key {
        "id" => before.id.is_none(),
        "created" => before.created.is_none(),
        _ => false,
    };
    let mut beside_changed = false;
    for (key, value) in &change.metadata {
        if OWN.contains(&key.as_str()) {
            beside_changed = true;
            if lines.has(key) && (is_plain(key) || (key == BESIDE && !lines.holds_beside())) {
                lines.set(key, None)?;
            }
        } else {
            lines.set(key, value.as_ref().map(|value| line(key, value, newline)))?;
        }
    }
    if beside_changed {
        // The keys that stand under their own names although those are the vault's.
        let plain = |key: &String| lines.has(key) && is_plain(key);
        let beside: Metadata = expected
            .metadata
            .iter()
            .filter(|(key, _)| OWN.contains(&key.as_str()) && !plain(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let text = (!beside.is_empty()).then(|| line(BESIDE, &Value::Object(beside), newline));
        lines.set(BESIDE, text)?;
    }
    if change.fixes_tags(before) {
        lines.set("tags", Some(tag_lines(&expected.tags, newline)))?;
    }
    if let Some(created) = change.created {
        let value = Value::from(millis::format(created));
        lines.set("created", Some(line("created", &value, newline)))?;
    }
    if let Some(id) = change.id.as_ref().filter(|_| before.id.is_none() && !lines.has("id")) {
        lines.set("id", Some(line("id", &Value::from(id.as_str()), newline)))?;
    }
    Ok(lines.text())
}

/// The lines of a front matter under change.
struct Lines<'t> {
    lines: Vec<&'t str>,
    entries: Vec<Entry>,
    /// New text of entries by their place; `None`: gone.
    set: Vec<(usize, Option<String>)>,
    added: Vec<(String, String)>,
    newline: &'t str,
}

impl<'t> Lines<'t> {
    fn new(yaml: &'t str, entries: Vec<Entry>, newline: &'t str) -> Self {
        Self {
            lines: yaml.split_inclusive('\n').collect(),
            entries,
            set: Vec::new(),
            added: Vec::new(),
            newline,
        }
    }

    fn has(&self, key: &str) -> bool {
        let gone = |index| self.set.iter().any(|(set, text)| *set == index && text.is_none());
        let mut entries = self.entries.iter().enumerate();
        entries.any(|(index, entry)| entry.key == key && !gone(index))
    }

    fn holds_beside(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.key == BESIDE && is_beside(&entry.value))
    }

    /// Gives a key its lines, or takes it away.
    fn set(&mut self, key: &str, text: Option<String>) -> Result<(), String> {
        let known = self.entries.iter().position(|entry| entry.key == key);
        if let Some(index) = known {
            if self.entries.get(index).is_some_and(|entry| entry.lines.is_none()) {
                return Err("its front matter is written in braces on one line; write one key a line".into());
            }
            self.set.retain(|(set, _)| *set != index);
            self.set.push((index, text));
        } else if let Some(text) = text {
            if self.entries.iter().any(|entry| entry.lines.is_none()) {
                return Err("its front matter is written in braces on one line; write one key a line".into());
            }
            self.added.retain(|(added, _)| added != key);
            self.added.push((key.to_owned(), text));
        } else {
            self.added.retain(|(added, _)| added != key);
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut at = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(range) = &entry.lines else { continue };
            let Some((_, text)) = self.set.iter().find(|(set, _)| *set == index) else {
                continue;
            };
            out.extend(self.lines.get(at..range.start).unwrap_or_default().iter().copied());
            out.push_str(text.as_deref().unwrap_or_default());
            at = range.end;
        }
        out.extend(self.lines.get(at..).unwrap_or_default().iter().copied());
        if !self.added.is_empty() && !out.is_empty() && !out.ends_with('\n') {
            out.push_str(self.newline);
        }
        out.extend(self.added.iter().map(|(_, text)| text.as_str()));
        out
    }
}
