//! Which note a wikilink means: the one with that path, without regard to ASCII case; else the only one whose path ends
//! with it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::segment;
use crate::embedded::fault::Fault;
use crate::wikilink::last_segment;

/// The place of the note that `name` means now.
pub(super) fn target(conn: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    // Of several that differ in case: the one written like this, then the oldest.
    const EXACT: &str = "SELECT seq FROM notes WHERE path IS NOT NULL AND path = ?1 COLLATE NOCASE \
                         ORDER BY path <> ?1, seq LIMIT 1";
    let found = conn.prepare_cached(EXACT)?.query_row([name], |row| row.get(0));
    if let Some(seq) = found.optional()? {
        return Ok(Some(seq));
    }
    const ENDS: &str = concat!(
        "SELECT seq FROM notes WHERE path IS NOT NULL AND ",
        segment!("path"),
        " = ?1 COLLATE NOCASE AND substr('/' || path, -length(?2)) = ?2 COLLATE NOCASE LIMIT 2"
    );
    let mut statement = conn.prepare_cached(ENDS)?;
    let end = format!("/{name}");
    let found = statement.query_map([last_segment(name), end.as_str()], |row| row.get(0))?;
    Ok(match found.collect::<Result<Vec<i64>, _>>()?.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// Looks anew for what the wikilinks mean that may mean a note at `path`: one has come there, or has left it.
pub(super) fn around(conn: &Connection, path: &str) -> Result<(), Fault> {
    const ANY: &str = concat!(
        "SELECT 1 FROM links WHERE in_body = 1 AND ",
        segment!("name"),
        " = ?1 COLLATE NOCASE"
    );
    const NAMES: &str = concat!(
        "SELECT DISTINCT name FROM links WHERE in_body = 1 AND ",
        segment!("name"),
        " = ?1 COLLATE NOCASE"
    );
    const SET: &str = concat!(
        "UPDATE links SET target = ?3 WHERE in_body = 1 AND ",
        segment!("name"),
        " = ?1 COLLATE NOCASE AND name = ?2 AND target IS NOT ?3"
    );
    let segment = last_segment(path);
    // `DISTINCT` makes a table before it looks, and nearly always there is none.
    if !conn.prepare_cached(ANY)?.exists([segment])? {
        return Ok(());
    }
    let mut statement = conn.prepare_cached(NAMES)?;
    let names = statement
        .query_map([segment], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for name in names {
        let target = target(conn, &name)?;
        conn.prepare_cached(SET)?.execute(params![segment, name, target])?;
    }
    Ok(())
}
