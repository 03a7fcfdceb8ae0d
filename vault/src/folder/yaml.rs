//! Front matter as YAML: its entries with the lines where they stand, so that one can be replaced and the others keep every
//! byte; and the writing of single values.
//!
//! Values are read by the core schema of YAML 1.2 (`yes` is a text), the way editors of notes read them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use crate::agent::without_middle;

/// Deepest nesting of a value.
const DEPTH: usize = 64;

/// Most nodes of a front matter, with what aliases repeat: a few lines of aliases could stand for gigabytes.
const NODES: usize = 100_000;

/// Most bytes of text that aliases repeat: one long text could stand there a hundred thousand times.
const REPEATED: usize = 1024 * 1024;

/// What stands between the two lines of dashes.
#[derive(Debug, PartialEq)]
pub(super) enum Root {
    /// Keys with values. No entry: nothing but comments.
    Entries(Vec<Entry>),
    /// Something else, such as a text between two horizontal rules: no front matter.
    Other,
}

/// A key with its value.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// As text, whatever its type.
    pub(super) key: String,
    /// Its value.
    pub(super) value: Value,
    /// Lines of the YAML text, counted from 0. `None` when all entries share lines (`{a: 1, b: 2}`).
    pub(super) lines: Option<std::ops::Range<usize>>,
}

/// Reads front matter.
///
/// # Errors
/// Says what is wrong, and in which line of the front matter.
pub(super) fn parse(text: &str) -> Result<Root, String> {
    let reader = Reader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        repeated: 0,
    };
    reader.root(text).map_err(without_middle)
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
    repeated: usize,
}

impl<'t> Reader<'t> {
    fn root(mut self, text: &str) -> Result<Root, String> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(Root::Entries(Vec::new())),
                (Event::MappingStart(..), span) => {
                    let flow = text
                        .lines()
                        .nth(span.start.line().saturating_sub(1))
                        .is_some_and(|line| line.chars().nth(span.start.col()) == Some('{'));
                    let entries = self.entries(text, flow)?;
                    return self.end().map(|()| Root::Entries(entries));
                }
                // `~` or nothing at all: a block with comments only reads as null.
                (Event::Scalar(value, ScalarStyle::Plain, ..), _) if value.is_empty() => {
                    return Ok(Root::Entries(Vec::new()));
                }
                _ => return Ok(Root::Other),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), String> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Err("it ends too early".into()),
        }
    }

    /// The entries of the outermost mapping, whose start was read.
    fn entries(&mut self, text: &str, flow: bool) -> Result<Vec<Entry>, String> {
        struct Place {
            first: usize,
            /// Lines that belong to the value whatever they look like.
            least: usize,
        }
        let mut found: Vec<(String, Value, Place)> = Vec::new();
        let mut known = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let first = span.start.line().saturating_sub(1);
            let key = self.key(event, &span)?;
            if !known.insert(key.clone()) {
                return Err(format!("line {}: the key {key:?} stands twice", first + 1));
            }
            let (event, span) = self.next()?;
            let block_text = matches!(&event, Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..));
            let mut least = first + 1;
            if matches!(event, Event::Scalar(..)) && !block_text {
                least = least.max(span.end.line());
            }
            let value = self.value(event, &span, 0)?;
            found.push((key, value, Place { first, least }));
        }
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let starts: Vec<usize> = found.iter().map(|(_, _, place)| place.first).collect();
        let entries = found.into_iter().enumerate().map(|(index, (key, value, place))| {
            let limit = starts.get(index + 1).copied().unwrap_or(lines.len());
            Entry {
                key,
                value,
                lines: (!flow).then(|| place.first..end_of_entry(&lines, place.least.min(limit), limit)),
            }
        });
        Ok(entries.collect())
    }

    fn key(&mut self, event: Event<'t>, span: &Span) -> Result<String, String> {
        match event {
            Event::Scalar(text, ..) => Ok(text.into_owned()),
            _ => Err(format!("line {}: a key is no plain text", span.start.line())),
        }
    }

    fn value(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Value, String> {
        self.nodes += 1;
        self.bounded(span, depth)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                let value = if as_text {
                    Value::String(text.into_owned())
                } else {
                    plain(&text)
                };
                (anchor, value)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break (anchor, Value::Array(items));
                    }
                    items.push(self.value(event, &span, depth + 1)?);
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut map = Map::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::MappingEnd {
                        break (anchor, Value::Object(map));
                    }
                    let key = self.key(event, &span)?;
                    let (event, value_span) = self.next()?;
                    let value = self.value(event, &value_span, depth + 1)?;
                    if map.insert(key.clone(), value).is_some() {
                        return Err(format!("line {}: the key {key:?} stands twice", span.start.line()));
                    }
                }
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let known = known.ok_or_else(|| format!("line {}: an alias of nothing", span.start.line()))?;
                let (nodes, bytes) = size(known);
                self.nodes = self.nodes.saturating_add(nodes);
                self.repeated = self.repeated.saturating_add(bytes);
                self.bounded(span, depth)?;
                (0, self.anchors.get(&anchor).cloned().unwrap_or_default())
            }
            other => return Err(format!("line {}: unexpected {other:?}", span.start.line())),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn bounded(&self, span: &Span, depth: usize) -> Result<(), String> {
        if depth > DEPTH || self.nodes > NODES || self.repeated > REPEATED {
            return Err(format!(
                "line {}: it is nested too deeply or too large",
                span.start.line()
            ));
        }
        Ok(())
    }

    /// Nothing may follow the mapping.
    fn end(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, span) => return Err(format!("line {}: a second document", span.start.line())),
            }
        }
    }
}

/// Nodes of a value, and bytes of its texts.
fn size(value: &Value) -> (usize, usize) {
    let sum = |one: (usize, usize), other: (usize, usize)| (one.0 + other.0, one.1 + other.1);
    match value {
        Value::Array(items) => items.iter().map(size).fold((1, 0), sum),
        Value::Object(map) => {
            let keys = map.keys().map(String::len).sum();
            map.values().map(size).fold((1, keys), sum)
        }
        Value::String(text) => (1, text.len()),
        _ => (1, 0),
    }
}

/// Blank lines and comments at the left margin before the next key belong to that key, or to nobody.
fn end_of_entry(lines: &[&str], least: usize, limit: usize) -> usize {
    let mut end = limit;
    while end > least {
        let line = lines.get(end - 1).copied().unwrap_or_default();
        if line.trim().is_empty() || line.starts_with('#') {
            end -= 1;
        } else {
            break;
        }
    }
    end
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// A number that JSON can hold as it is; anything else stays a text.
fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            // silent-ok: what is no number is a text
            return u64::from_str_radix(digits, radix)
                .ok()
                .filter(|_| !digits.starts_with('+'))
                .map(Number::from);
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !unsigned.is_empty() && digits(unsigned) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        // silent-ok: a number that is too large for both stays a text, so that no digit is lost
        return (whole.parse::<u64>().map(Number::from))
            .or_else(|_| whole.parse::<i64>().map(Number::from))
            .ok();
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && !exponent.is_empty()
        && digits(exponent);
    // silent-ok: what is no number is a text
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .and_then(Number::from_f64)
}

/// A key or a text as it is written: plain where every reader of YAML takes it for the same text.
pub(super) fn text(text: &str) -> String {
    const WORDS: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];
    let first = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-/. ".contains(&byte));
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if first && rest && !word && !text.ends_with(' ') && text.len() < 200 {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// In double quotes, on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What YAML does not take as it is, and what looks like the end of a line to some readers.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                push(&mut out, format_args!("\\u{:04x}", u32::from(char)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // silent-ok: a `String` takes everything
    let _ = out.write_fmt(text);
}

/// A value on one line.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        other => {
            let mut out = String::new();
            flow(&mut out, other);
            out
        }
    }
}

/// Texts in quotes: inside brackets more characters mean something.
fn flow(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                flow(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                out.push_str(&quoted(key));
                out.push_str(": ");
                flow(out, item);
            }
            out.push('}');
        }
        scalar => push(out, format_args!("{scalar}")),
    }
}

#[cfg(test)]
mod tests;
