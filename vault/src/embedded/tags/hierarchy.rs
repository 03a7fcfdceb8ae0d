//! Which tag is a kind of which: from the schemas of tags, and from notes at `_tags/<child>` with `metadata.parents`.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::embedded::fault::Fault;
use crate::embedded::rules;
use crate::note::Note;

/// Notes below this path say what the tag behind it is a kind of.
const NOTES: &str = "_tags/";

/// The tag and all that are a kind of it; the tag first.
pub(in crate::embedded) fn kinds_of(conn: &Connection, tag: &str) -> Result<Vec<String>, Fault> {
    // UNION drops what has been there before, so that a cycle ends.
    const SQL: &str = "WITH RECURSIVE kinds (tag) AS (\
                           SELECT child FROM tag_edges WHERE parent = ?1 \
                           UNION SELECT e.child FROM kinds k JOIN tag_edges e ON e.parent = k.tag) \
                       SELECT tag FROM kinds WHERE tag <> ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let rows = statement.query_map([tag], |row| row.get(0))?;
    let mut tags = vec![tag.to_owned()];
    for kind in rows {
        tags.push(kind?);
    }
    Ok(tags)
}

/// The parents of a tag, sorted, whoever names them.
pub(super) fn parents_of(conn: &Connection, tag: &str) -> Result<Vec<String>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT DISTINCT parent FROM tag_edges WHERE child = ?1 ORDER BY parent")?;
    let rows = statement.query_map([tag], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The parents that the schema of a tag names, sorted.
pub(super) fn schema_parents(conn: &Connection, tag: &str) -> Result<Vec<String>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT parent FROM tag_edges WHERE child = ?1 AND note IS NULL ORDER BY parent")?;
    let rows = statement.query_map([tag], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes these the parents that the schema of a tag names.
pub(super) fn set_schema_parents(conn: &Connection, tag: &str, parents: &[String]) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM tag_edges WHERE child = ?1 AND note IS NULL")?
        .execute([tag])?;
    let mut statement = conn.prepare_cached("INSERT INTO tag_edges (parent, child) VALUES (?1, ?2)")?;
    for parent in parents {
        statement.execute([parent, tag])?;
    }
    Ok(())
}

/// Schemas that name `from` as a parent name `to` instead; `None`: nothing.
pub(super) fn move_kinds(conn: &Connection, from: &str, to: Option<&str>) -> Result<(), Fault> {
    if let Some(to) = to {
        const SQL: &str = "INSERT INTO tag_edges (parent, child) \
                           SELECT DISTINCT ?2, child FROM tag_edges WHERE parent = ?1 AND note IS NULL AND child <> ?2 \
                               AND child NOT IN (SELECT child FROM tag_edges WHERE parent = ?2 AND note IS NULL)";
        conn.prepare_cached(SQL)?.execute([from, to])?;
    }
    conn.prepare_cached("DELETE FROM tag_edges WHERE parent = ?1 AND note IS NULL")?
        .execute([from])?;
    Ok(())
}

/// Takes over what a note says of tags, if it is one that does; `before`: what it was.
pub(in crate::embedded) fn follow(
    conn: &Connection,
    seq: i64,
    before: Option<&Note>,
    note: &Note,
) -> Result<(), Fault> {
    let said = before.and_then(edges);
    let says = edges(note);
    if said == says {
        return Ok(());
    }
    if said.is_some() {
        conn.prepare_cached("DELETE FROM tag_edges WHERE note = ?1")?
            .execute([seq])?;
    }
    let Some((child, parents)) = says else { return Ok(()) };
    let mut statement = conn.prepare_cached("INSERT INTO tag_edges (parent, child, note) VALUES (?1, ?2, ?3)")?;
    for parent in parents {
        statement.execute(params![parent, child, seq])?;
    }
    Ok(())
}

/// A tag and its parents, if the note is one that names them.
fn edges(note: &Note) -> Option<(&str, Vec<&str>)> {
    let child = rules::bare(note.path.as_deref()?.strip_prefix(NOTES)?);
    let named: Vec<&Value> = match note.metadata.get("parents")? {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let parents = named.into_iter().filter_map(Value::as_str).map(rules::bare);
    let mut parents: Vec<_> = parents.filter(|parent| !parent.is_empty()).collect();
    parents.sort_unstable();
    parents.dedup();
    (!child.is_empty() && !parents.is_empty()).then_some((child, parents))
}
