//! Links that stand in bodies.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::resolve;
use crate::embedded::fault::Fault;
use crate::wikilink;

/// Most links that are taken from one body: a note with more is no note of a person, and must not hold up the others.
const LINKS: usize = 10_000;

/// Makes the links in the body of a note known, instead of those that were there.
pub(super) fn index(conn: &Connection, seq: i64, content: &str, now: i64) -> Result<(), Fault> {
    let names = names(content);
    let mut statement = conn.prepare_cached("SELECT name FROM links WHERE source = ?1 AND in_body = 1 ORDER BY seq")?;
    let known = statement
        .query_map([seq], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    if names == known {
        return Ok(());
    }
    conn.prepare_cached("DELETE FROM links WHERE source = ?1 AND in_body = 1")?
        .execute([seq])?;
    const SQL: &str = "INSERT INTO links (source, target, name, relationship, metadata, in_body, created_at) \
                       VALUES (?1, ?2, ?3, ?4, '{}', 1, ?5)";
    let mut statement = conn.prepare_cached(SQL)?;
    for name in names {
        let target = resolve::target(conn, &name)?;
        statement.execute(params![seq, target, name, wikilink::RELATIONSHIP, now])?;
    }
    Ok(())
}

/// What the body names, each once, in order.
fn names(content: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut names: Vec<_> = wikilink::find(content).into_iter().map(|link| link.target).collect();
    names.retain(|name| seen.insert(name.clone()));
    if names.len() > LINKS {
        tracing::warn!(
            links = names.len(),
            taken = LINKS,
            "a note has more links than are taken from one body"
        );
        names.truncate(LINKS);
    }
    names
}
