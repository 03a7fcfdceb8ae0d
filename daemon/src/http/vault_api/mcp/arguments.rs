//! Arguments of a call: known by name, taken by type, and turned into what the REST routes read.

use serde_json::{Map, Value};

use super::super::answer::Failure;
use super::catalog::Entry;

/// How metadata can be asked for.
pub(super) const OPERATORS: &str = "Keys and the values that they must have, or conditions such as {\"due\": {\"gte\": \
    \"2026-07\", \"lt\": \"2026-08\"}}: eq ne gt gte lt lte in not_in exists.";

/// Most notes of a listing.
const LIMIT: i64 = 200;

/// Arguments whose names are known.
pub(in crate::http) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Takes them under their usual names. What the tool does not know is refused: the model would believe that it counted.
    pub(super) fn of(entry: &Entry, given: Map<String, Value>) -> Result<Self, Failure> {
        Self::known(entry.name, &entry.arguments(), entry.aliases, given)
    }

    /// The same for any tool. `aliases`: other spellings and the usual ones.
    pub(in crate::http) fn known(
        tool: &str,
        known: &[String],
        aliases: &[(&str, &str)],
        given: Map<String, Value>,
    ) -> Result<Self, Failure> {
        let mut arguments = Map::new();
        for (name, value) in given {
            let usual = aliases.iter().find(|(alias, _)| *alias == name);
            let name = usual.map_or(name, |(_, usual)| (*usual).to_owned());
            if !known.contains(&name) {
                let message = format!(
                    "{tool} has no argument {name:?}; it takes: {}. Nothing was done",
                    known.join(", ")
                );
                return Err(Failure::invalid(name, message));
            }
            arguments.insert(name, value);
        }
        Ok(Self(arguments))
    }

    /// What is left of them.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// Null counts as absent.
    pub(in crate::http) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(in crate::http) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::invalid(name, format!("{name} must be text"))),
        }
    }

    /// Text that must be there.
    pub(in crate::http) fn needed(&mut self, name: &str) -> Result<String, Failure> {
        let text = self.text(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Failure::invalid(name, format!("{name} is missing; nothing was done")))
    }

    pub(in crate::http) fn switch(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(on)),
            Some(_) => Err(Failure::invalid(name, format!("{name} must be true or false"))),
        }
    }

    pub(in crate::http) fn index(&mut self, name: &str) -> Result<Option<usize>, Failure> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok()); // silent-ok: told below
        let rule = || Failure::invalid(name, format!("{name} must be a whole number from 0"));
        number.map(Some).ok_or_else(rule)
    }

    pub(in crate::http) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let rule = || Failure::invalid(name, format!("{name} must be an array of texts"));
        let Some(value) = self.take(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(rule)?;
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().map(Some).ok_or_else(rule)
    }

    /// Query parameters of the listing route.
    pub(super) fn parameters(self) -> Result<Vec<(String, String)>, Failure> {
        let mut pairs = Vec::new();
        let twice =
            self.0.contains_key("date_filter") && ["date_from", "date_to"].iter().any(|key| self.0.contains_key(*key));
        if twice {
            let message = "date_filter stands instead of date_from and date_to, not beside them";
            return Err(Failure::invalid("date_filter", message));
        }
        for (name, value) in self.0 {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("metadata", value) => metadata(value, &mut pairs)?,
                ("near", value) => {
                    let keys = ["note_id", "depth", "relationship"].map(|key| (key, format!("near[{key}]")));
                    parts(&name, value, &keys, &mut pairs)?;
                }
                ("date_filter", value) => {
                    let keys = ["field", "from", "to"].map(|key| (key, format!("date_{key}")));
                    parts(&name, value, &keys, &mut pairs)?;
                }
                ("limit", value) => pairs.push((name, limit(&value)?.to_string())),
                ("sort", value) => pairs.push((name.clone(), one_of(&name, &value, &["asc", "desc"])?)),
                ("tag_match", value) => pairs.push((name.clone(), one_of(&name, &value, &["any", "all"])?)),
                (_, Value::Array(items)) => pairs.push((name.clone(), comma_list(&name, &items)?)),
                (_, value) => pairs.push((name.clone(), plain(&name, &value)?)),
            }
        }
        Ok(pairs)
    }
}

/// Negative: as many as there may be.
fn limit(value: &Value) -> Result<i64, Failure> {
    let number = value.as_i64();
    let number = number.ok_or_else(|| Failure::invalid("limit", "limit must be a whole number"))?;
    Ok(if number < 0 { LIMIT } else { number.min(LIMIT) })
}

fn one_of(name: &str, value: &Value, words: &[&str]) -> Result<String, Failure> {
    let word = value.as_str().filter(|word| words.contains(word));
    let rule = || Failure::invalid(name, format!("{name} must be one of: {}", words.join(", ")));
    word.map(str::to_owned).ok_or_else(rule)
}

fn comma_list(name: &str, items: &[Value]) -> Result<String, Failure> {
    let rule = || Failure::invalid(name, format!("{name} must be an array of texts without commas"));
    let texts = items
        .iter()
        .map(|item| item.as_str().filter(|text| !text.contains(',')));
    Ok(texts.collect::<Option<Vec<_>>>().ok_or_else(rule)?.join(","))
}

/// Text, a number or a switch.
fn plain(name: &str, value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(Failure::invalid(
            name,
            format!("{name} must be text, a number, or true or false"),
        )),
    }
}

fn metadata(value: Value, pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let Value::Object(wanted) = value else {
        return Err(Failure::invalid("metadata", "metadata must be an object"));
    };
    for (key, value) in wanted {
        match value {
            Value::Object(conditions) => {
                for (operator, value) in conditions {
                    pairs.push((format!("meta.{key}[{operator}]"), operand(&value)));
                }
            }
            Value::Null => pairs.push((format!("meta.{key}[eq]"), operand(&Value::Null))),
            value => pairs.push((format!("meta.{key}"), plain(&format!("metadata.{key}"), &value)?)),
        }
    }
    Ok(())
}

/// As the listing route reads it: lists and null as JSON, texts as they are.
fn operand(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// An object whose keys have parameters of their own.
fn parts(name: &str, value: Value, known: &[(&str, String)], pairs: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let keys: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
    let rule = || Failure::invalid(name, format!("{name} must be an object of: {}", keys.join(", ")));
    let Value::Object(fields) = value else {
        return Err(rule());
    };
    for (key, value) in fields {
        let (_, parameter) = known.iter().find(|(known, _)| *known == key).ok_or_else(rule)?;
        if !value.is_null() {
            pairs.push((parameter.clone(), plain(&format!("{name}.{key}"), &value)?));
        }
    }
    Ok(())
}
