//! One line: what it says, how long it may be, and how it is written.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value;
use tracing::Level;
use tracing::field::{Field, Visit};

/// Most bytes of one value, as it is written. Longer ones are cut and end with `…`.
pub(super) const VALUE_MAX: usize = 4 << 10;
/// Most bytes of a line, its end included. What does not fit is left out, and `cut` says so.
pub(super) const LINE_MAX: usize = 16 << 10;
/// Room for what every line has.
const FRAME: usize = 1 << 10;
/// What a line says of itself. A field of that name gets another one.
const OWN: [&str; 4] = ["timestamp", "level", "target", "cut"];
/// What stands first, in this order.
const FIRST: [&str; 3] = ["message", "turn", "channel"];

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Json,
    /// For people.
    Text {
        /// With the colours of a terminal.
        colours: bool,
    },
}

/// Where something comes from that came over the crate `log`.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) target: String,
    pub(super) line: u64,
}

/// What an event or a span says, by name. Each name is there once: what was said first stays.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields {
    all: Vec<(Cow<'static, str>, Value)>,
    cut: bool,
}

impl Fields {
    /// Says something, unless that was said.
    pub(super) fn put(&mut self, name: &'static str, value: Value) {
        if !self.all.iter().any(|(known, _)| known == name) {
            self.all.push((name.into(), value));
        }
    }

    /// Adds what somebody else says.
    pub(super) fn add(&mut self, other: &Self) {
        self.cut |= other.cut;
        for (name, value) in &other.all {
            if !self.all.iter().any(|(known, _)| known == name) {
                self.all.push((name.clone(), value.clone()));
            }
        }
    }

    /// Says these instead of what was said before. What is blank is not said any more.
    pub(super) fn replace(&mut self, said: Self) {
        self.cut |= said.cut;
        self.all.retain(|(name, _)| said.get(name).is_none());
        let blank = |value: &Value| value.as_str().is_some_and(str::is_empty);
        self.all.extend(said.all.into_iter().filter(|(_, value)| !blank(value)));
    }

    /// Takes what the crate `log` has put there of its own.
    pub(super) fn take_origin(&mut self) -> Origin {
        let mut origin = Origin::default();
        self.all.retain(|(name, value)| {
            match (name.as_ref(), value) {
                ("log.target", Value::String(target)) => origin.target.clone_from(target),
                ("log.line", Value::Number(line)) => origin.line = line.as_u64().unwrap_or_default(),
                _ => {}
            }
            !name.starts_with("log.")
        });
        origin
    }

    fn text(&mut self, field: &Field, said: fmt::Arguments<'_>) {
        let mut text = Bounded::default();
        // silent-ok: a value that cannot say itself is as far there as it came
        let _ = text.write_fmt(said);
        self.cut |= text.full;
        self.put(field.name(), text.finished().into());
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.all.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// How many bytes a character needs in JSON.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

/// A text that takes no more than it may have.
#[derive(Default)]
struct Bounded {
    text: String,
    spent: usize,
    full: bool,
}

impl Bounded {
    fn finished(mut self) -> String {
        if self.full {
            self.text.push('…');
        }
        self.text
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, said: &str) -> fmt::Result {
        for c in said.chars() {
            if self.spent + cost(c) > VALUE_MAX {
                self.full = true;
                // Whoever says it need not go on.
                return Err(fmt::Error);
            }
            self.spent += cost(c);
            self.text.push(c);
        }
        Ok(())
    }
}

/// A line of the log.
pub(super) struct Line<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) fields: &'a Fields,
}

impl Line<'_> {
    /// With its end.
    pub(super) fn written(&self, form: Form) -> String {
        match form {
            Form::Json => self.json(),
            Form::Text { colours } => self.text(colours),
        }
    }

    /// What it says, in order, without what has no room; and whether something had none.
    fn parts(&self) -> (Vec<(Cow<'_, str>, &Value)>, bool) {
        let first = FIRST
            .iter()
            .filter_map(|name| Some((Cow::from(*name), self.fields.get(name)?)));
        let others = self
            .fields
            .all
            .iter()
            .filter(|(name, _)| !FIRST.contains(&name.as_ref()));
        let others = others.map(|(name, value)| match OWN.contains(&name.as_ref()) {
            true => (Cow::from(format!("{name}_")), value),
            false => (Cow::from(name.as_ref()), value),
        });
        let mut room = LINE_MAX - FRAME;
        let mut cut = self.fields.cut;
        let mut parts = Vec::with_capacity(self.fields.all.len());
        for (name, value) in first.chain(others) {
            let needed = name.len() + 8 + value_cost(value);
            match room.checked_sub(needed) {
                Some(left) => {
                    room = left;
                    parts.push((name, value));
                }
                None => cut = true,
            }
        }
        (parts, cut)
    }

    fn json(&self) -> String {
        let (parts, cut) = self.parts();
        let target: String = self.target.chars().take(128).collect();
        let mut line = format!(
            "{{\"timestamp\":\"{:.6}\",\"level\":\"{}\",\"target\":{}",
            Timestamp::now(),
            self.level,
            Value::from(target)
        );
        for (name, value) in parts {
            // silent-ok: writing to a text does not fail
            let _ = write!(line, ",{}:{value}", Value::from(name.as_ref()));
        }
        if cut {
            line.push_str(",\"cut\":true");
        }
        line.push_str("}\n");
        line
    }

    fn text(&self, colours: bool) -> String {
        let paint = |code: &str, text: &str| match colours {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        };
        let level = match self.level {
            Level::ERROR => paint("31", "ERROR"),
            Level::WARN => paint("33", " WARN"),
            Level::INFO => paint("32", " INFO"),
            Level::DEBUG => paint("34", "DEBUG"),
            Level::TRACE => paint("35", "TRACE"),
        };
        let now = format!("{:.6}", Timestamp::now());
        let target: String = self.target.chars().take(128).map(plain).collect();
        let mut line = format!("{} {level} {}", paint("2", &now), paint("2", &format!("{target}:")));
        let (parts, cut) = self.parts();
        for (name, value) in parts {
            let value = match value {
                Value::String(text) => shown(text),
                other => other.to_string(),
            };
            line.push(' ');
            if name == "message" {
                line.push_str(&value);
            } else {
                line.push_str(&paint("3", &name));
                line.push_str(&paint("2", "="));
                line.push_str(&value);
            }
        }
        if cut {
            line.push_str(" …");
        }
        line.push('\n');
        line
    }
}

fn value_cost(value: &Value) -> usize {
    match value {
        // The quotes, and what says that it was cut.
        Value::String(text) => text.chars().map(cost).sum::<usize>() + 5,
        // No number is longer.
        _ => 32,
    }
}

/// A terminal obeys some characters, and a line has one line.
fn plain(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            c => shown.push(plain(c)),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn line(fields: &Fields, form: Form) -> String {
        let line = Line {
            level: Level::WARN,
            target: "reveille::x",
            fields,
        };
        line.written(form)
    }

    fn fields(said: &[(&'static str, Value)]) -> Fields {
        let mut fields = Fields::default();
        said.iter().for_each(|(name, value)| fields.put(name, value.clone()));
        fields
    }

    #[test]
    fn a_line_is_one_object_and_no_field_passes_for_what_the_line_says_of_itself() {
        let said = [
            ("count", json!(3)),
            ("message", json!("a \"b\"\nc\u{1b}[31m")),
            ("level", json!("audit")),
            ("target", json!("audit")),
            ("turn", json!("t1")),
        ];
        let mut fields = fields(&said);
        fields.add(&self::fields(&[("turn", json!("t2")), ("channel", json!("eng"))]));
        let text = line(&fields, Form::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let mut object: Value = serde_json::from_str(&text).unwrap();
        let at = object.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(at.as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!(
            object,
            json!({
                "level": "WARN", "target": "reveille::x", "message": "a \"b\"\nc\u{1b}[31m",
                "turn": "t1", "channel": "eng", "count": 3, "level_": "audit", "target_": "audit"
            })
        );
    }

    #[test]
    fn text_is_one_line_that_no_terminal_obeys() {
        let fields = fields(&[("message", json!("a\nb\u{1b}[2J")), ("turn", json!("t1"))]);
        let text = line(&fields, Form::Text { colours: false });
        let (_, said) = text.split_once(' ').unwrap();
        assert_eq!(said, " WARN reveille::x: a\\nb\u{fffd}[2J turn=t1\n");
        let coloured = line(&fields, Form::Text { colours: true });
        assert!(coloured.contains("\u{1b}[33m WARN\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn values_and_lines_end() {
        for text in ["é".repeat(LINE_MAX), "\u{1}".repeat(LINE_MAX), "\"".repeat(LINE_MAX)] {
            let mut said = Bounded::default();
            assert!(write!(said, "{text}").is_err());
            let said = said.finished();
            let names = ["message", "a", "b", "c", "d", "e", "turn", "channel"];
            let mut all = Fields::default();
            names.iter().for_each(|name| all.put(name, said.clone().into()));
            all.cut = true;
            for form in [Form::Json, Form::Text { colours: false }] {
                let text = line(&all, form);
                assert!(text.len() <= LINE_MAX && text.len() > LINE_MAX / 4, "{}", text.len());
                assert!(text.contains('…'));
            }
            let object: Value = serde_json::from_str(&line(&all, Form::Json)).unwrap();
            assert_eq!(object["cut"], true);
            assert!(
                object["turn"].is_string() && object["channel"].is_string(),
                "they come first"
            );
        }
    }
}
