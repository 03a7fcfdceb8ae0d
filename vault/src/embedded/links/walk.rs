//! Walks along links, in both directions.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, params};

use crate::embedded::fault::Fault;

/// What lies one link away from a note, with the relationship of that link.
fn steps(conn: &Connection, seq: i64, relationship: Option<&str>) -> Result<Vec<(i64, String)>, Fault> {
    const SQL: &str = "SELECT target, relationship FROM links \
                       WHERE source = ?1 AND target IS NOT NULL AND (?2 IS NULL OR relationship = ?2) \
                       UNION SELECT source, relationship FROM links \
                       WHERE target = ?1 AND (?2 IS NULL OR relationship = ?2)";
    let mut statement = conn.prepare_cached(SQL)?;
    let rows = statement.query_map(params![seq, relationship], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The note at `start` and those at most `depth` links away, each with its distance, the nearest first.
pub(super) fn around(
    conn: &Connection,
    start: i64,
    depth: u32,
    relationship: Option<&str>,
) -> Result<Vec<(i64, u32)>, Fault> {
    let mut seen = std::collections::HashSet::from([start]);
    let mut found = vec![(start, 0)];
    let mut next = 0;
    while let Some(&(seq, distance)) = found.get(next) {
        next += 1;
        if distance == depth {
            break;
        }
        for (neighbour, _) in steps(conn, seq, relationship)? {
            if seen.insert(neighbour) {
                found.push((neighbour, distance + 1));
            }
        }
    }
    Ok(found)
}

/// A shortest way: the notes from `source` to `target`, and the relationships between them.
pub(super) fn path(
    conn: &Connection,
    source: i64,
    target: i64,
    max_depth: u32,
) -> Result<Option<(Vec<i64>, Vec<String>)>, Fault> {
    // Of each note that was reached: from where, and by what.
    let mut reached: HashMap<i64, Option<(i64, String)>> = HashMap::from([(source, None)]);
    let mut border = vec![source];
    for _ in 0..max_depth {
        if border.is_empty() || reached.contains_key(&target) {
            break;
        }
        let mut beyond = Vec::new();
        for seq in border {
            for (neighbour, relationship) in steps(conn, seq, None)? {
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
