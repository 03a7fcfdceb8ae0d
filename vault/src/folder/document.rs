//! A Markdown file as a note, and what a change of the note does to the text of the file.
//!
//! Keys of the front matter that are the vault's: `id`, `created` and `tags`. Every other key is metadata under its own
//! name. A metadata key that is called like one of those stands in an object under `reveille`. A change touches only the
//! lines of the keys that it changes; the rest of the file keeps every byte, comments and the order of keys too.

use jiff::Timestamp;
use serde_json::Value;

use super::yaml::{self, Entry, Root};
use crate::embedded::rules;
use crate::note::{Metadata, Note, NoteId, millis};

/// Keys that are not metadata.
const OWN: [&str; 4] = ["id", "created", "tags", BESIDE];

/// Holds metadata whose keys are in [`OWN`].
const BESIDE: &str = "reveille";

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
    let mut tags = Vec::new();
    match &entry.value {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(tag) => push_tag(&mut tags, tag),
                    Value::Number(tag) => push_tag(&mut tags, &tag.to_string()),
                    _ => {}
                }
            }
        }
        // Commas or spaces separate: a tag of a text editor holds neither.
        Value::String(text) => text
            .split(|char: char| char == ',' || char.is_whitespace())
            .for_each(|tag| push_tag(&mut tags, tag)),
        Value::Number(tag) => push_tag(&mut tags, &tag.to_string()),
        _ => {}
    }
    // `tags: #a` and `- #a` are comments to YAML, and tags to whoever writes them.
    let lines = yaml.lines().enumerate();
    for (_, line) in lines.filter(|(number, _)| entry.lines.as_ref().is_some_and(|lines| lines.contains(number))) {
        let rest = line.strip_prefix("tags:").unwrap_or(line).trim();
        let rest = rest.strip_prefix("- ").unwrap_or(rest).trim_start();
        if let Some(words) = tag_words(&rest.replace(',', " ")) {
            words.iter().for_each(|tag| push_tag(&mut tags, tag));
        }
    }
    tags
}

/// Takes a tag that keeps the rules; others could not be asked for.
fn push_tag(tags: &mut Vec<String>, tag: &str) {
    for part in tag.split(',') {
        // silent-ok: a tag that breaks the rules is shown in the file, and to nobody else
        if let Ok(mut checked) = rules::checked_tags(&[part.to_owned()])
            && let Some(tag) = checked.pop()
            && !tags.contains(&tag)
        {
            tags.push(tag);
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
    let mut tags = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let Some(words) = tag_words(line) else { break };
        words.iter().for_each(|tag| push_tag(&mut tags, tag));
    }
    tags
}

/// Whether a value under [`BESIDE`] is the vault's: an object with nothing but names of [`OWN`].
fn is_beside(value: &Value) -> bool {
    matches!(value, Value::Object(map) if !map.is_empty() && map.keys().all(|key| OWN.contains(&key.as_str())))
}

/// The text of a file for a new note.
pub(super) fn render(note: &Note) -> String {
    let mut out = "---\n".to_owned();
    out.push_str(&line("id", &Value::from(note.id.as_str()), "\n"));
    out.push_str(&line("created", &Value::from(millis::format(note.created_at)), "\n"));
    out.push_str(&tag_lines(&note.tags, "\n"));
    let mut beside = Metadata::new();
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

/// What shall become of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// Written when the file has no key `id`.
    pub(super) id: Option<NoteId>,
    pub(super) created: Option<Timestamp>,
    pub(super) add_tags: Vec<String>,
    pub(super) remove_tags: Vec<String>,
    /// Keys with their new values; `None`: taken away.
    pub(super) metadata: Vec<(String, Option<Value>)>,
    pub(super) content: Option<String>,
}

impl Change {
    /// What makes a file with these tags and that content say what the note says.
    pub(super) fn between(before: &Document, tags: &[String], after: &Note) -> Self {
        let missing = |here: &[String], there: &[String]| -> Vec<String> {
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
    pub(super) fn is_empty(&self) -> bool {
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
pub(super) fn edit(text: &str, change: &Change) -> Result<String, String> {
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
    after.tags.retain(|tag| !change.remove_tags.contains(tag));
    for tag in &change.add_tags {
        if !after.tags.contains(tag) {
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

#[cfg(test)]
mod tests;
