//! Reads values of a definition and gathers everything that is wrong.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::{BackendKind, KeepWarm, Mount, NAME_RULE, Problem, is_name, mounts};
use crate::agent::Want;
use crate::note::Note;

/// How the names begin under which roles ask for what they want.
const ROLES: &str = "role--";
/// How a time span is written.
const SPAN: &str = "write it like 90s, 5m or 1h 30m";

/// Most warnings of a note: a list may have very many wrong entries.
const WARNINGS: usize = 40;

pub(super) struct Reader<'a> {
    note: &'a Note,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// A time span above zero.
fn span(text: &str) -> Option<Duration> {
    let signed = text.parse::<SignedDuration>().ok()?; // silent-ok: the caller tells that it is none
    Duration::try_from(signed).ok().filter(|span| !span.is_zero()) // silent-ok: likewise, for a negative one
}

impl<'a> Reader<'a> {
    pub(super) fn new(note: &'a Note) -> Self {
        Self {
            note,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What is wrong, and what looks wrong.
    pub(super) fn findings(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    pub(super) fn reject(&mut self, key: &'static str, message: impl Into<String>) {
        self.problems.push(Problem::new(key, message));
    }

    fn warn(&mut self, key: &'static str, message: impl Into<String>) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(Problem::new(key, message));
        }
    }

    /// One value as text. A list or an object where one value is wanted is no absence.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let text = self.note.text(key);
        match self.note.metadata.get(key) {
            Some(Value::Array(list)) if !list.is_empty() => self.reject(key, "is a list; give one value"),
            Some(Value::Object(object)) if !object.is_empty() => self.reject(key, "is an object; give one value"),
            _ => {}
        }
        text
    }

    pub(super) fn name(&mut self) -> String {
        let before = self.problems.len();
        match self.text("name") {
            // What roles are granted is kept under such names.
            Some(name) if name.starts_with(ROLES) => {
                self.reject(
                    "name",
                    format!("{name:?} will not do; names that begin with {ROLES} are those of roles"),
                );
            }
            Some(name) if is_name(&name) => return name,
            Some(name) => self.reject("name", format!("{name:?} will not do; {NAME_RULE}")),
            None if self.problems.len() == before => {
                self.reject("name", format!("is missing; give the agent a name of {NAME_RULE}"));
            }
            None => {}
        }
        String::new()
    }

    /// The value of one of several words; the first is the default. Older words are understood and not offered.
    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        former: &[(&str, T)],
    ) -> T {
        let Some(text) = self.text(key) else {
            return T::default();
        };
        if let Some((_, value)) = words.iter().chain(former).find(|(word, _)| *word == text) {
            return *value;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.reject(key, format!("{text:?} is not known; use one of: {}", known.join(", ")));
        T::default()
    }

    pub(super) fn backend(&mut self) -> BackendKind {
        if self.note.text("backend").as_deref() == Some("interactive") {
            let message = "\"interactive\" was retired; use one of: programmatic, attached";
            self.reject("backend", message);
            return BackendKind::default();
        }
        self.choice("backend", &BackendKind::WORDS, &BackendKind::FORMER_WORDS)
    }

    /// Text that must satisfy a rule.
    pub(super) fn checked(&mut self, key: &'static str, rule: &str, good: impl Fn(&str) -> bool) -> Option<String> {
        let text = self.text(key)?;
        if good(&text) {
            return Some(text);
        }
        self.reject(key, format!("{text:?} will not do; {rule}"));
        None
    }

    /// A list, or text that commas and blanks split.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let (list, wrong) = self.entries(key);
        for at in wrong {
            self.warn(key, format!("entry {at} is left out: it is no text"));
        }
        list
    }

    /// The entries of a list, and the places of those that are none.
    fn entries(&mut self, key: &'static str) -> (Vec<String>, Vec<usize>) {
        let Some(Value::Array(entries)) = self.note.metadata.get(key) else {
            let text = self.text(key).unwrap_or_default();
            let parts = text.split(|c: char| c == ',' || c.is_whitespace());
            return (
                parts.filter(|part| !part.is_empty()).map(str::to_owned).collect(),
                Vec::new(),
            );
        };
        let (mut list, mut wrong) = (Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            match entry {
                Value::String(text) if text.trim().is_empty() => {}
                Value::String(text) => list.push(text.trim().to_owned()),
                Value::Number(_) | Value::Bool(_) => list.push(entry.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => wrong.push(at + 1),
            }
        }
        (list, wrong)
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
        let parsed = span(&text);
        if parsed.is_none() {
            self.reject(key, format!("{text:?} is no time span; {SPAN}"));
        }
        parsed
    }

    pub(super) fn keep_warm(&mut self) -> Option<KeepWarm> {
        let text = self.text("keep_warm")?;
        let parsed = match text.as_str() {
            "false" => Some(KeepWarm::Never),
            "true" => Some(KeepWarm::AsConfigured),
            text => span(text).map(KeepWarm::For),
        };
        if parsed.is_none() {
            let message = format!("{text:?} is neither true nor false nor a time span; {SPAN}");
            self.reject("keep_warm", message);
        }
        parsed
    }

    pub(super) fn number<T: FromStr + PartialOrd + Default>(&mut self, key: &'static str, what: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse::<T>().ok().filter(|n| *n > T::default());
        if parsed.is_none() {
            self.reject(key, format!("{text:?} will not do; {what}"));
        }
        parsed
    }

    pub(super) fn dollars(&mut self, key: &'static str, example: &str) -> Option<f64> {
        let what = format!("US dollars above 0, such as {example}");
        let dollars: f64 = self.number(key, &what)?;
        if !dollars.is_finite() {
            self.reject(key, format!("{dollars} will not do; {what}"));
        }
        Some(dollars)
    }

    pub(super) fn mounts(&mut self) -> Vec<Mount> {
        let Some(value) = self.note.metadata.get("mounts").filter(|value| !value.is_null()) else {
            return Vec::new();
        };
        let (mounts, wrong) = mounts::parse(value);
        wrong.into_iter().for_each(|why| self.warn("mounts", why));
        mounts
    }

    pub(super) fn wants(&mut self) -> Vec<Want> {
        let Some(value) = self.note.metadata.get("wants").filter(|value| !value.is_null()) else {
            return Vec::new();
        };
        match Want::parse_list(value) {
            Ok(wants) => wants,
            Err(why) => {
                self.reject("wants", why);
                Vec::new()
            }
        }
    }
}
