//! Where a note stands in a listing, and the cursors that say so to clients.

use rusqlite::types::Value;

use crate::note::shown;
use crate::query::OrderBy;
use crate::store::{Query, VaultError};

/// The place of a note: what the listing is ordered by, then the order of insertion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Position {
    /// Null: the note has none.
    pub(super) key: Value,
    pub(super) seq: i64,
}

impl Position {
    /// The opaque cursor. It names order and direction, because it means nothing in others.
    pub(super) fn cursor(&self, query: &Query) -> String {
        let direction = direction(query.descending);
        let key = match (&self.key, order(query)) {
            (Value::Integer(time), OrderBy::CreatedAt) => return format!("{direction}{time}.{}", self.seq),
            (Value::Integer(integer), _) => format!("i{integer}"),
            // Its shortest form reads back as the same number.
            (Value::Real(real), _) => format!("r{real:?}"),
            (Value::Text(text), _) => format!("t{text}"),
            (Value::Null | Value::Blob(_), _) => "n".to_owned(),
        };
        let parts = serde_json::json!([name(&order(query)), key, self.seq]);
        format!("{direction}x{}", hex(&parts.to_string()))
    }

    /// The position that [`Query::after`] names.
    pub(super) fn after(query: &Query) -> Result<Option<Self>, VaultError> {
        let Some(cursor) = query.after.as_deref() else {
            return Ok(None);
        };
        let parsed = cursor.strip_prefix(direction(query.descending)).and_then(|rest| {
            let (wanted, seq, key) = match rest.strip_prefix('x') {
                Some(rest) => {
                    let (order, key, seq): (String, String, i64) = serde_json::from_str(&unhex(rest)?).ok()?;
                    (order, seq, parse_key(&key)?)
                }
                None => {
                    let (time, seq) = rest.split_once('.')?;
                    let time: i64 = time.parse().ok()?;
                    (name(&OrderBy::CreatedAt), seq.parse().ok()?, time.into())
                }
            };
            (wanted == name(&order(query))).then_some(Self { key, seq })
        });
        parsed.map(Some).ok_or_else(|| stray(cursor))
    }
}

/// The order of a listing that is not a search by rank.
pub(super) fn order(query: &Query) -> OrderBy {
    query.order_by.clone().unwrap_or(OrderBy::CreatedAt)
}

/// A cursor of another listing, or none at all.
pub(super) fn stray(cursor: &str) -> VaultError {
    VaultError::Invalid(format!(
        "the cursor {:?} is not one of this listing; start again without a cursor, or keep the sort order",
        shown(cursor)
    ))
}

fn name(order: &OrderBy) -> String {
    match order {
        OrderBy::CreatedAt => "created_at".to_owned(),
        OrderBy::UpdatedAt => "updated_at".to_owned(),
        OrderBy::Path => "path".to_owned(),
        OrderBy::Field(field) => format!("field:{field}"),
    }
}

fn direction(descending: bool) -> char {
    if descending { 'd' } else { 'a' }
}

fn parse_key(text: &str) -> Option<Value> {
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match kind {
        "i" => Value::Integer(rest.parse().ok()?),
        "r" => Value::Real(rest.parse().ok()?),
        "t" => Value::Text(rest.to_owned()),
        "n" => Value::Null,
        _ => return None,
    })
}

/// Cursors travel in headers and URLs, texts of notes in cursors.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn asked(order_by: Option<OrderBy>, descending: bool, after: &str) -> Query {
        Query {
            order_by,
            descending,
            after: Some(after.to_owned()),
            ..Query::default()
        }
    }

    #[test]
    fn cursors_are_read_back_and_keep_their_direction() {
        let position = Position {
            key: Value::Integer(-5),
            seq: 7,
        };
        assert_eq!(position.cursor(&asked(None, true, "")), "d-5.7");
        assert_eq!(
            Position::after(&asked(None, true, "d-5.7")).unwrap(),
            Some(position.clone())
        );
        for wrong in [
            "a-5.7", "", "d", "d1", "d1.", "dx.1", "d1.2.3", "é", "dx", "dx5", "dx5b5d",
        ] {
            assert!(
                matches!(Position::after(&asked(None, true, wrong)), Err(VaultError::Invalid(_))),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn cursors_keep_their_order() {
        let orders = [
            OrderBy::CreatedAt,
            OrderBy::UpdatedAt,
            OrderBy::Path,
            OrderBy::Field("path".into()),
            OrderBy::Field("due".into()),
        ];
        let keys = [
            Value::Integer(i64::MIN),
            Value::Real(0.1 + 0.2),
            Value::Real(-1e-300),
            Value::Text("Ünï/\u{0}\"x".into()),
            Value::Text(String::new()),
            Value::Null,
        ];
        for order in &orders {
            for key in &keys {
                let position = Position {
                    key: key.clone(),
                    seq: 3,
                };
                if *order == OrderBy::CreatedAt && !matches!(key, Value::Integer(_)) {
                    continue;
                }
                let cursor = position.cursor(&asked(Some(order.clone()), false, ""));
                assert!(cursor.bytes().all(|byte| byte.is_ascii_graphic()), "{cursor}");
                for other in &orders {
                    let read = Position::after(&asked(Some(other.clone()), false, &cursor));
                    if order == other {
                        assert_eq!(read.unwrap(), Some(position.clone()));
                    } else {
                        assert!(matches!(read, Err(VaultError::Invalid(_))), "{order:?} {other:?}");
                    }
                }
            }
        }
    }
}
