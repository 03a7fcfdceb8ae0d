//! Links that are given with a note. They name their target by id or path; while there is no such note they wait for it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use crate::embedded::fault::Fault;
use crate::embedded::read;
use crate::links::{NewLink, OldLink};
use crate::note::normalise_path;
use crate::store::Key;

/// Takes links away from a note, then adds others. Whether anything changed.
pub(in crate::embedded) fn change(
    conn: &Connection,
    seq: i64,
    add: Vec<NewLink>,
    remove: &[OldLink],
    now: Timestamp,
) -> Result<bool, Fault> {
    let mut changed = false;
    for link in remove {
        changed |= take(conn, seq, link)?;
    }
    for link in add {
        changed |= put(conn, seq, link.checked()?, now)?;
    }
    Ok(changed)
}

fn put(conn: &Connection, seq: i64, link: NewLink, now: Timestamp) -> Result<bool, Fault> {
    const FIND: &str = "SELECT seq, metadata FROM links WHERE source = ?1 AND in_body = 0 AND relationship = ?2 \
                        AND iif(?3 IS NULL, target IS NULL AND name = ?4, target = ?3)";
    const INSERT: &str = "INSERT INTO links (source, target, name, relationship, metadata, in_body, created_at) \
                          VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)";
    let (target, name) = target(conn, &link.target)?;
    let metadata = Value::from(link.metadata).to_string();
    let found: Option<(i64, String)> = conn
        .prepare_cached(FIND)?
        .query_row(params![seq, link.relationship, target, name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match found {
        Some((_, before)) if before == metadata => Ok(false),
        Some((row, _)) => {
            conn.prepare_cached("UPDATE links SET metadata = ?2 WHERE seq = ?1")?
                .execute(params![row, metadata])?;
            Ok(true)
        }
        None => {
            conn.prepare_cached(INSERT)?.execute(params![
                seq,
                target,
                name,
                link.relationship,
                metadata,
                now.as_millisecond()
            ])?;
            Ok(true)
        }
    }
}

fn take(conn: &Connection, seq: i64, link: &OldLink) -> Result<bool, Fault> {
    const SQL: &str = "DELETE FROM links WHERE source = ?1 AND in_body = 0 AND (?2 IS NULL OR relationship = ?2) \
                       AND iif(?3 IS NULL, target IS NULL AND name = ?4, target = ?3)";
    let (target, name) = target(conn, link.target.trim())?;
    let relationship = link.relationship.as_deref().map(str::trim);
    let taken = conn
        .prepare_cached(SQL)?
        .execute(params![seq, relationship, target, name])?;
    Ok(taken > 0)
}

/// The note that is named, and the name to wait for while there is none.
fn target(conn: &Connection, named: &str) -> Result<(Option<i64>, String), Fault> {
    if let Some(found) = read::find(conn, &Key::IdOrPath(named.to_owned()))? {
        return Ok((Some(found.seq), named.to_owned()));
    }
    let Some(path) = normalise_path(named) else {
        return Ok((None, named.to_owned()));
    };
    let found = read::find(conn, &Key::Path(path.clone()))?;
    Ok((found.map(|found| found.seq), path))
}

/// A note has come that is called `name`: what waited for it leads to it now.
pub(super) fn arrived(conn: &Connection, seq: i64, name: &str) -> Result<(), Fault> {
    const WAIT: &str = "SELECT seq FROM links WHERE name = ?1 AND target IS NULL AND in_body = 0";
    // Nearly always none. An update by `WAIT` itself makes a table for what it finds before it looks.
    let mut statement = conn.prepare_cached(WAIT)?;
    let waiting: Vec<i64> = statement
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for link in waiting {
        conn.prepare_cached("UPDATE links SET target = ?1 WHERE seq = ?2")?
            .execute([seq, link])?;
    }
    Ok(())
}
