//! What a listing is asked.

use reveille_vault::query::{OPERATORS, moment};
use reveille_vault::{Filter, Query, VaultError};
use serde_json::Value;

use super::is_short;

/// A condition as JSON, `{"field": {"operator": value}, …}`, with the metadata that it is asked of under `""`; and dates.
///
/// # Panics
/// When something does not hold.
pub fn queries(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    dates(&text);
    let Ok(Value::Object(mut asked)) = serde_json::from_str(&text) else {
        return;
    };
    let metadata = match asked.remove("") {
        Some(Value::Object(metadata)) => metadata,
        _ => asked.clone(),
    };
    for (field, tests) in &asked {
        for (operator, value) in tests.as_object().into_iter().flatten() {
            match Filter::parse(field, operator, value.clone()) {
                Ok(filter) => {
                    assert!(OPERATORS.contains(&operator.as_str()));
                    opposites(&filter, field, operator, value, &metadata);
                }
                Err(error) => is_short(&error.to_string()),
            }
        }
    }
}

/// Of a condition and its opposite exactly one holds; of two orders at most one.
fn opposites(filter: &Filter, field: &str, operator: &str, value: &Value, metadata: &reveille_vault::Metadata) {
    let other = match operator {
        "eq" => "ne",
        "ne" => "eq",
        "in" => "not_in",
        "not_in" => "in",
        "gt" => "lte",
        "lte" => "gt",
        "lt" => "gte",
        "gte" => "lt",
        _ => return,
    };
    let other = Filter::parse(field, other, value.clone()).expect("its opposite takes the same");
    let (one, other) = (filter.matches(metadata), other.matches(metadata));
    let exact = !matches!(operator, "gt" | "gte" | "lt" | "lte");
    assert!(
        if exact { one != other } else { !(one && other) },
        "{filter:?} of {metadata:?}"
    );
}

fn dates(text: &str) {
    let mut lines = text.lines();
    let (from, to) = (lines.next().unwrap_or_default(), lines.next());
    match moment(from) {
        Ok(at) => {
            let again = reveille_vault::note::millis::format(at);
            assert_eq!(moment(&again).ok(), Some(at));
        }
        Err(VaultError::Invalid(why)) => is_short(&why),
        Err(other) => panic!("{other}"),
    }
    for field in ["created_at", "updated_at", "path", "due"] {
        match Query::default().set_dates(field, Some(from), to) {
            Ok(()) => {}
            Err(VaultError::Invalid(why)) => is_short(&why),
            Err(other) => panic!("{other}"),
        }
    }
}
