//! A Markdown file as a note, and a note as a Markdown file.
//!
//! Keys of the front matter that are the vault's: `id`, `created` and `tags`. Every other key is metadata under its own
//! name. A metadata key that is called like one of those stands in an object under `reveille`. A change touches only the
//! lines of the keys that it changes; the rest of the file keeps every byte, comments and the order of keys too.

mod edit;

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::edit::{Change, edit};
use super::yaml::{self, Entry, Root};
use crate::embedded::rules;
use crate::note::{Metadata, Note, NoteId, millis};

/// Keys that are not metadata.
pub(super) const OWN: [&str; 4] = ["id", "created", "tags", BESIDE];

/// Holds metadata whose keys are in [`OWN`].
pub(super) const BESIDE: &str = "reveille";

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// From the front matter.
    pub(super) id: Option<NoteId>,
    /// From the front matter.
    pub(super) created: Option<Timestamp>,
    /// In the order in which they stand there, without `#`.
    pub(super) tags: Vec<String>,
    /// The front matter says nothing of tags: they are those in lines of nothing but tags before the text begins.
    inline: bool,
    /// Every other key.
    pub(super) metadata: Metadata,
    /// Behind the front matter.
    pub(super) content: String,
    /// Why the front matter cannot be read. Then the body is all that is known.
    pub(super) trouble: Option<String>,
}

impl Document {
    /// Reads the text of a file.
    pub(super) fn parse(text: &str) -> Self {
        let split = Split::of(text);
        let mut document = Self {
            id: None,
            created: None,
            tags: inline_tags(split.body),
            inline: true,
            metadata: Metadata::new(),
            content: split.body.to_owned(),
            trouble: None,
        };
        let Some(yaml) = split.yaml else { return document };
        match yaml::parse(yaml) {
            Ok(Root::Entries(entries)) => document.take(entries, yaml),
            // A text between horizontal rules.
            Ok(Root::Other) => document = Self::parse_as_body(text),
            Err(trouble) => {
                document = Self {
                    trouble: Some(trouble),
                    ..Self::parse_as_body(text)
                };
            }
        }
        document
    }

    fn parse_as_body(text: &str) -> Self {
        Self {
            id: None,
            created: None,
            tags: Vec::new(),
            inline: true,
            metadata: Metadata::new(),
            content: without_mark(text).to_owned(),
            trouble: None,
        }
    }

    fn take(&mut self, entries: Vec<Entry>, yaml: &str) {
        for entry in entries {
            match entry.key.as_str() {
                "id" if own_id(&entry.value).is_some() => self.id = own_id(&entry.value),
                "created" if own_time(&entry.value).is_some() => self.created = own_time(&entry.value),
                "tags" => {
                    let tags = own_tags(&entry, yaml);
                    // An empty key, as templates have it, says nothing.
                    if !(tags.is_empty() && entry.value.is_null()) {
                        (self.tags, self.inline) = (tags, false);
                    }
                }
                BESIDE if is_beside(&entry.value) => {
                    if let Value::Object(beside) = entry.value {
                        self.metadata.extend(beside);
                    }
                }
                _ => {
                    self.metadata.insert(entry.key, entry.value);
                }
            }
        }
    }
}

/// The parts of a file. Together they are the text of the file.
struct Split<'t> {
    /// A byte order mark and the first line of dashes.
    open: &'t str,
    /// `None`: the file has no front matter, and all of it is `body`.
    yaml: Option<&'t str>,
    /// The second line of dashes.
    close: &'t str,
    body: &'t str,
}

impl<'t> Split<'t> {
    fn of(text: &'t str) -> Self {
        let unmarked = without_mark(text);
        let mark = text.len() - unmarked.len();
        let none = Self {
            open: &text[..mark],
            yaml: None,
            close: "",
            body: unmarked,
        };
        let mut lines = unmarked.split_inclusive('\n');
        let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
            return none;
        };
        let (start, mut at) = (mark + first.len(), mark + first.len());
        for line in lines {
            if line.trim_end() == "---" {
                let end = at + line.len();
                return Self {
                    open: &text[..start],
                    yaml: Some(&text[start..at]),
                    close: &text[at..end],
                    body: &text[end..],
                };
            }
            at += line.len();
        }
        none
    }
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn own_id(value: &Value) -> Option<NoteId> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    // silent-ok: a key `id` that can be no id is metadata
    NoteId::new(text).ok()
}

/// A time, or a date or time of day in the zone of this machine.
fn own_time(value: &Value) -> Option<Timestamp> {
    let Value::String(text) = value else { return None };
    let text = text.trim();
    if let Ok(at) = millis::parse(text) {
        return Some(at);
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = local.to_zoned(jiff::tz::TimeZone::system());
    // silent-ok: a key `created` that is no time is metadata
    zoned.ok().map(|zoned| millis::truncate(zoned.timestamp()))
}

fn own_tags(entry: &Entry, yaml: &str) -> Vec<String> {
    let mut tags = TagList::default();
    match &entry.value {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(tag) => tags.push(tag),
                    Value::Number(tag) => tags.push(&tag.to_string()),
                    _ => {}
                }
            }
        }
        // Commas or spaces separate: a tag of a text editor holds neither.
        Value::String(text) => text
            .split(|char: char| char == ',' || char.is_whitespace())
            .for_each(|tag| tags.push(tag)),
        Value::Number(tag) => tags.push(&tag.to_string()),
        _ => {}
    }
    // `tags: #a` and `- #a` are comments to YAML, and tags to whoever writes them.
    let lines = yaml.lines().enumerate();
    for (_, line) in lines.filter(|(number, _)| entry.lines.as_ref().is_some_and(|lines| lines.contains(number))) {
        let rest = line.strip_prefix("tags:").unwrap_or(line).trim();
        let rest = rest.strip_prefix("- ").unwrap_or(rest).trim_start();
        if let Some(words) = tag_words(&rest.replace(',', " ")) {
            words.iter().for_each(|tag| tags.push(tag));
        }
    }
    tags.list
}

/// Tags in the order in which they came, each once.
#[derive(Default)]
struct TagList {
    list: Vec<String>,
    known: HashSet<String>,
}

impl TagList {
    /// Takes a tag that keeps the rules; others could not be asked for.
    fn push(&mut self, tag: &str) {
        for part in tag.split(',') {
            // silent-ok: a tag that breaks the rules is shown in the file, and to nobody else
            if let Ok(mut checked) = rules::checked_tags(&[part.to_owned()])
                && let Some(tag) = checked.pop()
                && self.known.insert(tag.clone())
            {
                self.list.push(tag);
            }
        }
    }
}

/// The tags of a line that holds nothing else.
fn tag_words(line: &str) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    for word in line.split_whitespace() {
        let tag = word.strip_prefix('#')?;
        let valid = |char: char| char.is_alphanumeric() || "_-/".contains(char);
        if !tag.chars().all(valid) || !tag.chars().any(char::is_alphabetic) {
            return None;
        }
        tags.push(tag);
    }
    (!tags.is_empty()).then_some(tags)
}

/// Tags in the lines before the text begins. A tag anywhere else is a word of the text: who mentions
/// `#agent/message/inbound` does not send a message.
fn inline_tags(body: &str) -> Vec<String> {
    let mut tags = TagList::default();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let Some(words) = tag_words(line) else { break };
        words.iter().for_each(|tag| tags.push(tag));
    }
    tags.list
}

/// Whether a value under [`BESIDE`] is the vault's: an object with nothing but names of [`OWN`].
fn is_beside(value: &Value) -> bool {
    matches!(value, Value::Object(map) if !map.is_empty() && map.keys().all(|key| OWN.contains(&key.as_str())))
}

/// What stands in the front matter of a file under a key, whatever it means.
pub(super) fn entry(text: &str, key: &str) -> Option<Value> {
    match yaml::parse(Split::of(text).yaml?) {
        Ok(Root::Entries(entries)) => {
            let mut entries = entries.into_iter();
            entries.find(|entry| entry.key == key).map(|entry| entry.value)
        }
        // silent-ok: whoever reads the whole file is told
        Ok(Root::Other) | Err(_) => None,
    }
}

/// The text of a file for a new note.
pub(super) fn render(note: &Note) -> String {
    render_with(note, Metadata::new())
}

/// The same, with what shall stand under [`BESIDE`] before the metadata that belongs there.
pub(super) fn render_with(note: &Note, mut beside: Metadata) -> String {
    let mut out = "---\n".to_owned();
    out.push_str(&line("id", &Value::from(note.id.as_str()), "\n"));
    out.push_str(&line("created", &Value::from(millis::format(note.created_at)), "\n"));
    out.push_str(&tag_lines(&note.tags, "\n"));
    for (key, value) in &note.metadata {
        if OWN.contains(&key.as_str()) {
            beside.insert(key.clone(), value.clone());
        } else {
            out.push_str(&line(key, value, "\n"));
        }
    }
    if !beside.is_empty() {
        out.push_str(&line(BESIDE, &Value::Object(beside), "\n"));
    }
    out.push_str("---\n");
    out.push_str(&note.content);
    out
}

fn line(key: &str, value: &Value, newline: &str) -> String {
    format!("{}: {}{newline}", yaml::text(key), yaml::value(value))
}

fn tag_lines(tags: &[String], newline: &str) -> String {
    if tags.is_empty() {
        // The key says that there are none, also in the text.
        return format!("tags: []{newline}");
    }
    let mut out = format!("tags:{newline}");
    for tag in tags {
        out.push_str(&format!("  - {}{newline}", yaml::text(tag)));
    }
    out
}

#[cfg(test)]
mod tests;
