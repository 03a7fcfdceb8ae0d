//! What a listing can ask of metadata, times and order, and what it means. The same for every kind of vault.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use crate::embedded::rules::comparable;
use crate::note::{Metadata, millis, shown};
use crate::store::{Query, VaultError};

/// What a listing is ordered by. Equal places are in the order of insertion; the direction turns that round as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    /// Time of creation.
    CreatedAt,
    /// Time of the last change.
    UpdatedAt,
    /// Path, byte by byte. Notes without a path come last, in both directions.
    Path,
    /// A metadata field that is indexed (`agent` always is): numbers, and texts that are numbers, come before other
    /// texts. Notes whose field has neither text, number nor boolean come last, in both directions.
    Field(String),
}

impl OrderBy {
    /// Reads `created_at`, `updated_at` (or camelCase), `path`, or the name of a metadata field.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "created_at" | "createdAt" => Self::CreatedAt,
            "updated_at" | "updatedAt" => Self::UpdatedAt,
            "path" => Self::Path,
            field => Self::Field(field.to_owned()),
        }
    }
}

/// A part of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Until before this moment.
    pub to: Option<Timestamp>,
}

/// A range of an indexed metadata field that holds dates. They are compared as texts, so that a shorter one is the
/// beginning of its year, month or day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpan {
    /// The field.
    pub field: String,
    /// From this on.
    pub from: Option<String>,
    /// Until before this.
    pub to: Option<String>,
}

impl FieldSpan {
    /// The same as filters.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        let bound = |text: &Option<String>, test: fn(Value) -> Test| {
            text.as_deref().map(|text| Filter {
                field: self.field.clone(),
                // Four digits alone would be a number, and as such before all texts.
                test: test(
                    if is_year(text) {
                        format!("{text}-")
                    } else {
                        text.to_owned()
                    }
                    .into(),
                ),
            })
        };
        [bound(&self.from, Test::Gte), bound(&self.to, Test::Lt)]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A condition on a metadata field. A null value is an absent one.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    field: String,
    test: Test,
}

/// What a field must be. Equality is of texts, as [`Query::metadata`] has it: the number 1 equals the text `1`, not `1.0`.
/// Order is of numbers among numbers (texts that are numbers included) and of texts among texts; between the two kinds
/// there is none. Arrays and objects equal nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal. Null: absent.
    Eq(Value),
    /// Not equal, or absent. Null: there.
    Ne(Value),
    /// Greater.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// Equal to one of them; an empty list matches nothing.
    In(Vec<Value>),
    /// Equal to none of them; an empty list matches everything.
    NotIn(Vec<Value>),
    /// There, or absent.
    Exists(bool),
}

/// The operators by name.
pub const OPERATORS: &[&str] = &["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "exists"];

/// A condition that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// There is no such operator.
    #[error("{operator:?} on {field:?} is no operator; use one of eq, ne, gt, gte, lt, lte, in, not_in, exists")]
    Operator {
        /// The metadata field, or the beginning of its name.
        field: String,
        /// As asked, or its beginning.
        operator: String,
    },
    /// The operator does not take that value.
    #[error("the value of {operator:?} on {field:?} must be {rule}")]
    Value {
        /// The metadata field, or the beginning of its name.
        field: String,
        /// As asked, or its beginning.
        operator: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl BadFilter {
    /// The code that clients of the notes API key on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Operator { .. } => "UNKNOWN_OPERATOR",
            Self::Value { .. } => "INVALID_OPERATOR_VALUE",
        }
    }
}

impl From<BadFilter> for VaultError {
    fn from(error: BadFilter) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Filter {
    /// A condition by the name of its operator.
    ///
    /// # Errors
    /// [`BadFilter`].
    pub fn parse(field: &str, operator: &str, value: Value) -> Result<Self, BadFilter> {
        let wrong = |rule| BadFilter::Value {
            field: shown(field),
            operator: shown(operator),
            rule,
        };
        let single = |value: Value| match &value {
            Value::Array(_) | Value::Object(_) => Err(wrong("a text, a number, true, false or null")),
            _ => Ok(value),
        };
        let ordered = |value: Value| match &value {
            Value::String(_) | Value::Number(_) => Ok(value),
            _ => Err(wrong("a text or a number")),
        };
        let list = |value: Value| match value {
            Value::Array(values) => values.into_iter().map(single).collect::<Result<Vec<_>, _>>(),
            _ => Err(wrong("a list")),
        };
        let test = match operator {
            "eq" => Test::Eq(single(value)?),
            "ne" => Test::Ne(single(value)?),
            "gt" => Test::Gt(ordered(value)?),
            "gte" => Test::Gte(ordered(value)?),
            "lt" => Test::Lt(ordered(value)?),
            "lte" => Test::Lte(ordered(value)?),
            "in" => Test::In(list(value)?),
            "not_in" => Test::NotIn(list(value)?),
            "exists" => match value {
                Value::Bool(there) => Test::Exists(there),
                _ => return Err(wrong("true or false")),
            },
            _ => {
                return Err(BadFilter::Operator {
                    field: shown(field),
                    operator: shown(operator),
                });
            }
        };
        Ok(Self {
            field: field.to_owned(),
            test,
        })
    }

    /// The metadata field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What it must be.
    #[must_use]
    pub fn test(&self) -> &Test {
        &self.test
    }

    /// Whether a note with this metadata matches.
    #[must_use]
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let value = metadata.get(&self.field).filter(|value| !value.is_null());
        let compared = |to: &Value| value.and_then(|value| compare(value, to));
        match &self.test {
            Test::Eq(to) => equal(value, to),
            Test::Ne(to) => !equal(value, to),
            Test::Gt(to) => compared(to).is_some_and(Ordering::is_gt),
            Test::Gte(to) => compared(to).is_some_and(Ordering::is_ge),
            Test::Lt(to) => compared(to).is_some_and(Ordering::is_lt),
            Test::Lte(to) => compared(to).is_some_and(Ordering::is_le),
            Test::In(all) => all.iter().any(|to| equal(value, to)),
            Test::NotIn(all) => !all.iter().any(|to| equal(value, to)),
            Test::Exists(there) => value.is_some() == *there,
        }
    }
}

fn equal(value: Option<&Value>, to: &Value) -> bool {
    match (value, to) {
        (None, to) => to.is_null(),
        (Some(value), to) => comparable(value).is_some_and(|text| comparable(to).is_some_and(|to| text == to)),
    }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (Sortable::of(one)?, Sortable::of(other)?) {
        (Sortable::Text(one), Sortable::Text(other)) => Some(one.cmp(&other)),
        (Sortable::Integer(one), Sortable::Integer(other)) => Some(one.cmp(&other)),
        (Sortable::Text(_), _) | (_, Sortable::Text(_)) => None,
        (one, other) => one.number().partial_cmp(&other.number()),
    }
}

/// A metadata value as it is sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sortable {
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Sortable {
    /// `None` for null, arrays and objects.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let text = comparable(value)?;
        let number = match value {
            Value::Number(_) => true,
            Value::String(text) => is_number(text),
            _ => false,
        };
        Some(match (number, text.parse(), text.parse::<f64>()) {
            (true, Ok(integer), _) => Self::Integer(integer),
            (true, _, Ok(real)) if real.is_finite() => Self::Real(real),
            _ => Self::Text(text.into_owned()),
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "compared with a fraction, which is as precise"
    )]
    fn number(&self) -> f64 {
        match self {
            Self::Integer(integer) => *integer as f64,
            Self::Real(real) => *real,
            Self::Text(_) => f64::NAN,
        }
    }
}

/// Digits with at most one point, or what a JSON number looks like when it is written out. `1e5` is a text: identities
/// look like that.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text
        .strip_prefix('-')
        .unwrap_or(text)
        .split_once('.')
        .unwrap_or((text.strip_prefix('-').unwrap_or(text), "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let written = || {
        let real = text.parse().ok().and_then(serde_json::Number::from_f64);
        real.is_some_and(|number| number.to_string() == text)
    };
    (digits(whole) && digits(fraction)) || written()
}

impl Query {
    /// Asks for a range of dates: of `created_at`, `updated_at`, or an indexed metadata field. A bound is a time, or the
    /// beginning of one: `2026`, `2026-11`, `2026-11-20`, `2026-11-20T22:18`.
    ///
    /// # Errors
    /// [`VaultError::Invalid`]: a bound of a time is no time.
    pub fn set_dates(&mut self, field: &str, from: Option<&str>, to: Option<&str>) -> Result<(), VaultError> {
        let span = || -> Result<Span, VaultError> {
            Ok(Span {
                from: from.map(moment).transpose()?,
                to: to.map(moment).transpose()?,
            })
        };
        match OrderBy::parse(field) {
            OrderBy::CreatedAt => self.created = span()?,
            OrderBy::UpdatedAt => self.updated = span()?,
            OrderBy::Path => return Err(VaultError::Invalid("a path is no date".into())),
            OrderBy::Field(field) => {
                self.dated = Some(FieldSpan {
                    field,
                    from: from.map(str::to_owned),
                    to: to.map(str::to_owned),
                });
            }
        }
        Ok(())
    }
}

/// Reads a time, or the beginning of one, as the first moment that it may mean (UTC).
///
/// # Errors
/// [`VaultError::Invalid`].
pub fn moment(text: &str) -> Result<Timestamp, VaultError> {
    const FIRST: &str = "0000-01-01T00:00:00Z";
    let full = match text.len() {
        // Whole parts only: years, months, days, hours, minutes, seconds.
        4 | 7 | 10 | 13 | 16 | 19 if text.is_ascii() => [text, &FIRST[text.len()..]].concat(),
        _ => text.to_owned(),
    };
    millis::parse(&full).map_err(|_| {
        VaultError::Invalid(format!(
            "{:?} is no time; write it like 2026-07-02T10:00:00.000Z or 2026-07-02",
            shown(text)
        ))
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn matched(operator: &str, value: Value) -> String {
        let filter = Filter::parse("f", operator, value).unwrap();
        let values = json!({
            "n": { "other": 1 }, "0": { "f": null }, "1": { "f": 1 }, "t": { "f": "1" }, "d": { "f": 1.5 }, "9": { "f": "9" },
            "T": { "f": "10" }, "a": { "f": "abc" }, "y": { "f": true }, "l": { "f": ["1"] }, "m": { "f": "2026-07-02" },
        });
        let mut names: Vec<_> = values.as_object().unwrap().iter().collect();
        names.retain(|(_, metadata)| filter.matches(metadata.as_object().unwrap()));
        let mut names: Vec<_> = names.into_iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.concat()
    }

    #[test]
    fn operators_mean_what_the_contract_says() {
        for (operator, value, expected) in [
            ("eq", json!(1), "1t"),
            ("eq", json!("1"), "1t"),
            ("eq", json!("1.0"), ""),
            ("eq", json!(true), "y"),
            ("eq", json!(null), "0n"),
            ("ne", json!("abc"), "019Tdlmnty"),
            ("ne", json!(null), "19Tadlmty"),
            ("gt", json!(1), "9Td"),
            ("gte", json!("1"), "19Tdt"),
            ("lt", json!("9"), "1dt"),
            ("lte", json!(9.0), "19dt"),
            ("gt", json!("2026-07"), "amy"),
            ("lt", json!("b"), "am"),
            ("in", json!([]), ""),
            ("in", json!(["abc", 1.5, null]), "0adn"),
            ("not_in", json!([]), "019Tadlmnty"),
            ("not_in", json!(["abc", "1", null]), "9Tdlmy"),
            ("exists", json!(true), "19Tadlmty"),
            ("exists", json!(false), "0n"),
        ] {
            assert_eq!(matched(operator, value.clone()), expected, "{operator} {value}");
        }
    }

    #[test]
    fn what_is_no_condition_is_told() {
        for (operator, value, code) in [
            ("like", json!("x"), "UNKNOWN_OPERATOR"),
            ("", json!("x"), "UNKNOWN_OPERATOR"),
            ("eq", json!([1]), "INVALID_OPERATOR_VALUE"),
            ("ne", json!({}), "INVALID_OPERATOR_VALUE"),
            ("gt", json!(null), "INVALID_OPERATOR_VALUE"),
            ("lte", json!(true), "INVALID_OPERATOR_VALUE"),
            ("in", json!("a"), "INVALID_OPERATOR_VALUE"),
            ("not_in", json!([["a"]]), "INVALID_OPERATOR_VALUE"),
            ("exists", json!("yes"), "INVALID_OPERATOR_VALUE"),
        ] {
            let bad = Filter::parse("f", operator, value).unwrap_err();
            assert_eq!(bad.code(), code, "{operator}");
            assert!(bad.to_string().contains("\"f\""), "{bad}");
        }
        for name in OPERATORS {
            let value = if *name == "exists" { json!(true) } else { json!(["a"]) };
            let known = Filter::parse("f", name, value);
            assert!(!matches!(known, Err(BadFilter::Operator { .. })), "{name}");
        }
    }

    #[test]
    fn a_value_sorts_the_same_whoever_wrote_it() {
        for (value, expected) in [
            (json!(5), Sortable::Integer(5)),
            (json!("-5"), Sortable::Integer(-5)),
            (json!("007"), Sortable::Integer(7)),
            (json!("1.10"), Sortable::Real(1.1)),
            (json!(u64::MAX), Sortable::Real(18_446_744_073_709_551_615.0)),
            (
                json!(u64::MAX.to_string()),
                Sortable::Real(18_446_744_073_709_551_615.0),
            ),
            (json!(1e300), Sortable::Real(1e300)),
            (json!(json!(1e300).to_string()), Sortable::Real(1e300)),
            (json!("1e300"), Sortable::Text("1e300".into())),
            (json!("1e5"), Sortable::Text("1e5".into())),
            (json!("1.2.3"), Sortable::Text("1.2.3".into())),
            (json!("+1"), Sortable::Text("+1".into())),
            (json!(".5"), Sortable::Text(".5".into())),
            (json!("inf"), Sortable::Text("inf".into())),
            (json!(""), Sortable::Text(String::new())),
            (json!(true), Sortable::Text("true".into())),
        ] {
            assert_eq!(Sortable::of(&value), Some(expected), "{value}");
        }
        assert_eq!(Sortable::of(&json!([1])), None);
    }

    #[test]
    fn a_date_may_be_the_beginning_of_a_time() {
        for (text, expected) in [
            ("2026", "2026-01-01T00:00:00.000Z"),
            ("2026-11", "2026-11-01T00:00:00.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20T22", "2026-11-20T22:00:00.000Z"),
            ("2026-11-20T22:18", "2026-11-20T22:18:00.000Z"),
            ("2026-11-20T22:18:32", "2026-11-20T22:18:32.000Z"),
            ("2026-11-20T22:18:32.5Z", "2026-11-20T22:18:32.500Z"),
            ("2026-11-20T22:18:32+02:00", "2026-11-20T20:18:32.000Z"),
        ] {
            assert_eq!(millis::format(moment(text).unwrap()), expected, "{text}");
        }
        for wrong in ["", "yesterday", "2026-1", "2026-13", "20261120", "ü026"] {
            assert!(matches!(moment(wrong), Err(VaultError::Invalid(_))), "{wrong:?}");
        }
        let span = FieldSpan {
            field: "due".into(),
            from: Some("2026".into()),
            to: Some("2026-08".into()),
        };
        let matches = |due: &str| {
            let metadata = json!({ "due": due });
            span.filters()
                .iter()
                .all(|filter| filter.matches(metadata.as_object().unwrap()))
        };
        let found = ["2025-12-31", "2026-01-01", "2026-07-31T23:59", "2026-08-01", "x"].map(matches);
        assert_eq!(found, [false, true, true, false, false]);
    }
}
