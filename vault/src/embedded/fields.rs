//! Metadata fields that listings can be ordered and narrowed by: an index of their values.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::narrow;
use crate::note::{Metadata, Note};
use crate::query::{Filter, Sortable, Test};
use crate::store::VaultError;

/// Most fields that can be indexed. Each costs every write a little.
const FIELDS: usize = 64;

/// Indexes the fields that the schema of a tag declares as indexed, and no others. Reads every note when one is new.
pub(super) fn settle(conn: &Connection) -> Result<(), Fault> {
    const SQL: &str = "SELECT DISTINCT f.key FROM tags t, json_each(t.fields) f \
                       WHERE t.fields IS NOT NULL AND f.value ->> '$.indexed' = true AND f.key <> ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let wanted = statement.query_map([narrow::INDEXED], |row| row.get(0))?;
    let wanted: Vec<String> = wanted.collect::<Result<_, _>>()?;
    if wanted.len() > FIELDS {
        let message = format!(
            "a vault can index {FIELDS} metadata fields, these would be {}; nothing was changed",
            wanted.len()
        );
        return Err(VaultError::Invalid(message).into());
    }
    let present = declared(conn)?;
    for name in present.iter().filter(|name| !wanted.contains(name)) {
        conn.prepare_cached("DELETE FROM indexed_fields WHERE name = ?1")?
            .execute([name])?;
    }
    let new: Vec<String> = wanted.into_iter().filter(|name| !present.contains(name)).collect();
    index(conn, &new)
}

fn index(conn: &Connection, new: &[String]) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    for name in new {
        conn.prepare_cached("INSERT INTO indexed_fields (name) VALUES (?1)")?
            .execute([name])?;
    }
    let mut notes = conn.prepare("SELECT seq, metadata FROM notes")?;
    let mut rows = notes.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        // One note that cannot be read keeps nobody from declaring a field. It is told of where it is read, and its values are
        // found when it is written again.
        let Ok(metadata) = serde_json::from_str(text) else {
            continue;
        };
        insert_values(conn, row.get(0)?, &metadata, new)?;
    }
    Ok(())
}

/// The indexed fields.
pub(super) fn declared(conn: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT name FROM indexed_fields")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Indexes a new note.
pub(super) fn add(conn: &Connection, seq: i64, note: &Note) -> Result<(), Fault> {
    if note.metadata.is_empty() {
        return Ok(());
    }
    insert_values(conn, seq, &note.metadata, &declared(conn)?)
}

/// Indexes a note whose metadata were those of `before`.
pub(super) fn change(conn: &Connection, seq: i64, before: &Note, note: &Note) -> Result<(), Fault> {
    const DELETE: &str = "DELETE FROM note_fields WHERE note = ?1 AND field = ?2";
    let mut fields = declared(conn)?;
    // What is as it was stays: a new place costs three pages.
    fields.retain(|field| before.metadata.get(field) != note.metadata.get(field));
    for field in &fields {
        conn.prepare_cached(DELETE)?.execute(params![seq, field])?;
    }
    insert_values(conn, seq, &note.metadata, &fields)
}

fn insert_values(conn: &Connection, seq: i64, metadata: &Metadata, fields: &[String]) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO note_fields (field, value, note) VALUES (?1, ?2, ?3)";
    for field in fields {
        if let Some(value) = metadata.get(field).and_then(Sortable::of) {
            conn.prepare_cached(SQL)?
                .execute(params![field, sql_value(value), seq])?;
        }
    }
    Ok(())
}

fn sql_value(value: Sortable) -> Value {
    match value {
        Sortable::Integer(integer) => integer.into(),
        Sortable::Real(real) => real.into(),
        Sortable::Text(text) => text.into(),
    }
}

/// A condition on `f.value` that holds for all notes that match the filter, and what it compares with. It may hold for
/// some more. `None`: the index cannot help, as with what is asked to be absent.
pub(super) fn bounds(filter: &Filter) -> Option<(String, Vec<Value>)> {
    let one = |operator: &str, value: &serde_json::Value| {
        let value = Sortable::of(value)?;
        // Order is among one kind only, and in SQLite every number comes before the first text.
        let kind = match (&value, operator) {
            (Sortable::Text(_), "<" | "<=") => " AND f.value >= ''",
            (Sortable::Integer(_) | Sortable::Real(_), ">" | ">=") => " AND f.value < ''",
            _ => "",
        };
        Some((format!("f.value {operator} ?{kind}"), vec![sql_value(value)]))
    };
    match filter.test() {
        Test::Eq(value) => one("=", value),
        Test::Gt(value) => one(">", value),
        Test::Gte(value) => one(">=", value),
        Test::Lt(value) => one("<", value),
        Test::Lte(value) => one("<=", value),
        Test::In(values) if values.len() <= FIELDS => {
            let values: Option<Vec<_>> = values.iter().map(|value| Sortable::of(value).map(sql_value)).collect();
            values.map(|values| (format!("f.value IN ({})", marks(values.len())), values))
        }
        Test::In(_) | Test::Ne(_) | Test::NotIn(_) | Test::Exists(_) => None,
    }
}

/// `?,?,?`
pub(super) fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}
