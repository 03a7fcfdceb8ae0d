//! From a file and the environment to the keys of the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::{Config, ConfigError};

pub(super) fn has_key(table: &Table, section: &str, key: &str) -> bool {
    let section = table.get(section).and_then(Value::as_table);
    section.is_some_and(|section| section.contains_key(key))
}

pub(super) fn read_table(path: &Path, required: bool) -> Result<Table, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.parse().map_err(|error: toml::de::Error| ConfigError::Wrong {
            origin: path.display().to_string(),
            message: at_line(&text, &error),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(Table::new()),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The message with its line number. The error's long form would show the line itself, which may hold a key.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.lines().count().max(1), error.message())
}

/// The table with a variable laid over it. A variable is text; where the key wants a number, a truth value or a list (as in
/// the file, as JSON, or by commas), it is read as that. What fits nowhere is blamed on the variable.
pub(super) fn overlaid(table: &Table, variable: &str, rest: &str, text: &str) -> Result<Table, ConfigError> {
    let readings = [
        Some(Value::String(text.to_owned())),
        text.parse().ok().map(Value::Integer), // silent-ok: then it is no number
        text.parse().ok().map(Value::Float),   // silent-ok: likewise
        text.parse().ok().map(Value::Boolean), // silent-ok: likewise
        list(text),
    ];
    let mut refused: Option<ConfigError> = None;
    for value in readings.into_iter().flatten() {
        let is_list = value.is_array();
        let mut laid = table.clone();
        overlay(&mut laid, variable, rest, value)?;
        match parse(&laid, &format!("the variable {variable}")) {
            Ok(_) => return Ok(laid),
            // The complaint about the text itself is the one that a person understands; of a list that about its items.
            Err(error) if is_list && refused.as_ref().is_some_and(wants_list) => refused = Some(error),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or_else(|| Ok(table.clone()), Err)
}

/// Whether it is the key of a list that took something else.
fn wants_list(refused: &ConfigError) -> bool {
    matches!(refused, ConfigError::Wrong { message, .. } if message.contains("expected a sequence"))
}

/// A text as a list: `["a", "b"]` as in the file or as JSON, or `a, b`. None: it begins like the former and is not one.
fn list(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with('[') {
        let toml = format!("list = {text}").parse::<Table>().ok(); // silent-ok: then it may be JSON
        let toml = toml
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("list"));
        let json = || serde_json::from_str(text).ok(); // silent-ok: then it is no such list
        if let Some(list) = toml.or_else(json).filter(Value::is_array) {
            return Some(list);
        }
        // An address such as [::1] begins like one.
        if text.contains(['"', '\'']) {
            return None;
        }
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
}

/// Sets `CLAUDE__ENV__NAME` and the like in the table. Keys below `claude.env` keep their case.
fn overlay(table: &mut Table, variable: &str, rest: &str, value: Value) -> Result<(), ConfigError> {
    let wrong = |message: &str| ConfigError::Wrong {
        origin: format!("the variable {variable}"),
        message: message.into(),
    };
    let mut parts: Vec<String> = rest.split("__").map(str::to_owned).collect();
    let keep_case = parts.len() > 2 && parts[0].eq_ignore_ascii_case("claude") && parts[1].eq_ignore_ascii_case("env");
    if keep_case {
        parts = vec!["claude".into(), "env".into(), parts[2..].join("__")];
    } else {
        parts.iter_mut().for_each(|part| *part = part.to_ascii_lowercase());
    }
    let Some((last, sections)) = parts.split_last() else {
        return Ok(());
    };
    let mut at = table;
    for section in sections {
        let next = at.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        if next.is_array() && section == "vault" {
            return Err(wrong(
                "the file has several vaults ([[vault]]), and no variable can tell which of them it means; set it in the file",
            ));
        }
        if ["transport", "hook", "webhook"].contains(&section.as_str()) {
            return Err(wrong(
                "bridges ([[transport]]), hooks ([[hook]]) and webhooks ([[webhook]]) are for the file alone; set it there",
            ));
        }
        at = next
            .as_table_mut()
            .ok_or_else(|| wrong("it names a key below one that has a value"))?;
    }
    at.insert(last.clone(), value);
    Ok(())
}

pub(super) fn parse(table: &Table, origin: &str) -> Result<Config, ConfigError> {
    Value::Table(table.clone())
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Wrong {
            origin: origin.to_owned(),
            message: explain(&error),
        })
}

/// The message with the place: only the error's long form names the key.
fn explain(error: &toml::de::Error) -> String {
    let message = error.message().replace("expected usize", "expected a whole number");
    let message = message.replace("expected u32", "expected a whole number");
    let (text, message) = (error.to_string(), with_nearest(&message));
    match text.lines().find_map(|line| line.strip_prefix("in ")) {
        Some(place) => format!("{place}: {message}"),
        None => message,
    }
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.to_owned();
    }
    let Some(given) = quoted.next() else {
        return message.to_owned();
    };
    let nearest = quoted.max_by(|a, b| strsim::jaro_winkler(given, a).total_cmp(&strsim::jaro_winkler(given, b)));
    match nearest {
        Some(nearest) => format!("unknown key `{given}`; did you mean `{nearest}`? ({message})"),
        None => message.to_owned(),
    }
}

/// Replaces each `${NAME}` by the variable's value; answers the name of one that is not set.
pub(super) fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(environment.get(name).ok_or_else(|| name.to_owned())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
