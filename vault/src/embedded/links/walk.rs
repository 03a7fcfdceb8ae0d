//! Walks along links, in both directions.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::embedded::fault::Fault;
use crate::embedded::scope;
use crate::links::Near;
use crate::scope::TagScope;

/// What links are followed.
struct Steps {
    sql: String,
    params: Vec<Value>,
}

impl Steps {
    /// Links with that relationship, to notes that the scope sees.
    fn new(relationship: Option<&str>, scope: Option<&TagScope>) -> Self {
        let mut sql = "SELECT x.seq, x.relationship FROM (\
                           SELECT target AS seq, relationship FROM links WHERE source = ?1 AND target IS NOT NULL \
                           UNION SELECT source, relationship FROM links WHERE target = ?1) x WHERE true"
            .to_owned();
        let mut params = Vec::new();
        if let Some(relationship) = relationship {
            sql.push_str(" AND x.relationship = ?");
            params.push(Value::from(relationship.to_owned()));
        }
        if let Some(scope) = scope {
            let (condition, lists) = scope::condition("x.seq", scope);
            sql.push_str(" AND ");
            sql.push_str(&condition);
            params.extend(lists);
        }
        Self { sql, params }
    }

    /// What lies one link away from a note, with the relationship of that link.
    fn beside(&self, conn: &Connection, seq: i64) -> Result<Vec<(i64, String)>, Fault> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        let params = std::iter::once(Value::from(seq)).chain(self.params.iter().cloned());
        let rows = statement.query_map(params_from_iter(params), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// The note at `start` and those near it, each with its distance, the nearest first.
pub(super) fn around(conn: &Connection, start: i64, near: &Near) -> Result<Vec<(i64, u32)>, Fault> {
    let steps = Steps::new(near.relationship.as_deref(), near.scope.as_ref());
    let mut seen = HashSet::from([start]);
    let mut found = vec![(start, 0)];
    let mut next = 0;
    while let Some(&(seq, distance)) = found.get(next) {
        next += 1;
        if distance == near.depth {
            break;
        }
        for (neighbour, _) in steps.beside(conn, seq)? {
            if seen.insert(neighbour) {
                found.push((neighbour, distance + 1));
            }
        }
    }
    Ok(found)
}

/// The notes of a way and the relationships between them: one less.
type Way = (Vec<i64>, Vec<String>);

/// A shortest way: the notes from `source` to `target`, and the relationships between them.
pub(super) fn path(conn: &Connection, source: i64, target: i64, max_depth: u32) -> Result<Option<Way>, Fault> {
    // Of each note that was reached: from where, and by what.
    let mut reached: HashMap<i64, Option<(i64, String)>> = HashMap::from([(source, None)]);
    let steps = Steps::new(None, None);
    let mut border = vec![source];
    for _ in 0..max_depth {
        if border.is_empty() || reached.contains_key(&target) {
            break;
        }
        let mut beyond = Vec::new();
        for seq in border {
            for (neighbour, relationship) in steps.beside(conn, seq)? {
                if let Entry::Vacant(entry) = reached.entry(neighbour) {
                    entry.insert(Some((seq, relationship)));
                    beyond.push(neighbour);
                }
            }
        }
        border = beyond;
    }
    if !reached.contains_key(&target) {
        return Ok(None);
    }
    let (mut notes, mut relationships) = (vec![target], Vec::new());
    let mut at = target;
    while let Some(Some((from, relationship))) = reached.remove(&at) {
        notes.push(from);
        relationships.push(relationship);
        at = from;
    }
    notes.reverse();
    relationships.reverse();
    Ok(Some((notes, relationships)))
}
