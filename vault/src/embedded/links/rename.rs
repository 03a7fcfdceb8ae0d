//! A note gets another path: the wikilinks that named it go on naming it.

use jiff::Timestamp;
use rusqlite::Connection;

use super::resolve;
use crate::embedded::fault::Fault;
use crate::embedded::read::{self, Stored};
use crate::embedded::{rules, write};
use crate::note::Note;
use crate::store::ChangeKind;
use crate::wikilink::{can_name, last_segment, retarget};

/// What names a note before its path changes: place of the source, and the name. To be asked before the change.
pub(in crate::embedded) struct Named(Vec<(i64, String)>);

impl Named {
    /// Of the note at `seq`.
    pub(in crate::embedded) fn of(conn: &Connection, seq: i64) -> Result<Self, Fault> {
        let mut statement =
            conn.prepare_cached("SELECT source, name FROM links WHERE target = ?1 AND in_body = 1 ORDER BY source")?;
        let rows = statement.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }
}

/// Rewrites what named the note by its old path, after its row has the new one. Each note that changes stands in the change
/// log. Answers the note itself, which may have named itself.
pub(in crate::embedded) fn follow(
    conn: &Connection,
    seq: i64,
    old: &str,
    note: Note,
    named: &Named,
    now: Timestamp,
) -> Result<Note, Fault> {
    let Some(new) = note.path.clone().filter(|path| can_name(path)) else {
        return Ok(note);
    };
    let mut renamed = note;
    for group in named.0.chunk_by(|one, next| one.0 == next.0) {
        let Some((source, _)) = group.first() else { continue };
        let mut names = Vec::new();
        for (_, name) in group {
            if let Some(to) = new_name(conn, seq, old, &new, name)? {
                names.push((name, to));
            }
        }
        let Some(Stored { note: before, .. }) = read::by_seq(conn, *source)? else {
            continue;
        };
        let to = |name: &str| names.iter().find(|(from, _)| *from == name).map(|(_, to)| to.clone());
        let Some(content) = retarget(&before.content, to) else {
            continue;
        };
        // The note itself has been changed and logged a moment ago.
        let own = *source == seq;
        let updated_at = if own {
            before.updated_at
        } else {
            rules::later(now, before.updated_at)
        };
        let after = Note {
            content,
            updated_at,
            ..before.clone()
        };
        write::update_row(conn, *source, &before, &after)?;
        if own {
            renamed = after;
        } else {
            write::log(conn, &after.id, ChangeKind::Updated)?;
        }
    }
    Ok(renamed)
}

/// How a link is to name the note that it named by `name`; `None`: as before. A full path becomes the full path; a short name
/// stays as long as it means the note, and stays short when it can.
fn new_name(conn: &Connection, seq: i64, old: &str, new: &str, name: &str) -> Result<Option<String>, Fault> {
    let means_it = |name: &str| Ok::<_, Fault>(resolve::target(conn, name)? == Some(seq));
    let full = name.eq_ignore_ascii_case(old);
    if !full && means_it(name)? {
        return Ok(None);
    }
    let short = last_segment(new);
    let to = if !full && means_it(short)? { short } else { new };
    Ok((to != name).then(|| to.to_owned()))
}
