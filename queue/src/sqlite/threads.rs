//! Conversations as people see them: by what happened last, with a title of their own.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Listed, ListedPage, Listing, Standing};

/// Turns that one look goes through: whoever asks for what is rare comes again.
const WINDOW: i64 = 20_000;
/// Conversations that are asked for by name at one time.
const NAMED: usize = 500;

/// How a conversation stands, of its row `c` and its newest turn `t`.
const STANDING: &str = "CASE \
    WHEN EXISTS (SELECT 1 FROM turns w WHERE w.channel = c.channel AND w.conversation = c.id AND w.state = 'working') \
        THEN 'working' \
    WHEN EXISTS (SELECT 1 FROM turns w WHERE w.channel = c.channel AND w.conversation = c.id AND w.state = 'waiting') \
        THEN 'queued' \
    WHEN t.state IN ('error', 'interrupted') THEN 'error' ELSE 'idle' END";

fn select() -> String {
    let conversation: Vec<String> = rows::CONVERSATION
        .split(", ")
        .map(|column| format!("c.{}", column.trim()))
        .collect();
    format!(
        "SELECT {}, {}, c.title, c.archived, {STANDING} AS standing, t.seq",
        rows::TURN,
        conversation.join(", ")
    )
}

fn listed(row: &Row<'_>) -> Result<Listed, Fault> {
    let own = rows::TURN_COLUMNS + rows::CONVERSATION_COLUMNS;
    let standing: String = row.get(own + 2)?;
    Ok(Listed {
        turn: rows::turn(row)?,
        conversation: rows::conversation_at(row, rows::TURN_COLUMNS)?,
        title: row.get(own)?,
        archived: row.get(own + 1)?,
        standing: Standing::parse(&standing).ok_or_else(|| Fault::Corrupt(format!("the standing {standing:?}")))?,
        place: row.get(own + 3)?,
    })
}

/// Those of which something happened last, before a place in that order.
pub(super) fn latest(connection: &Connection, listing: &Listing, limit: u32) -> Result<ListedPage, Fault> {
    let newest: Option<i64> = connection.query_row("SELECT max(seq) FROM turns", [], |row| row.get(0))?;
    let newest = newest.map_or(0, |seq| seq.saturating_add(1));
    let before = listing.before.and_then(|place| i64::try_from(place).ok());
    let before = before.map_or(newest, |place| place.min(newest));
    let from = before.saturating_sub(WINDOW);
    let mut parameters: Vec<Value> = vec![from.into(), before.into()];
    let mut conditions = String::new();
    if let Some(channel) = &listing.channel {
        conditions.push_str(" AND t.channel = ?");
        parameters.push(channel.as_str().to_owned().into());
    }
    if let Some(archived) = listing.archived {
        conditions.push_str(" AND c.archived = ?");
        parameters.push(i64::from(archived).into());
    }
    if let Some(standing) = listing.standing {
        conditions.push_str(" AND standing = ?");
        parameters.push(standing.as_str().to_owned().into());
    }
    parameters.push(i64::from(limit).into());
    let sql = format!(
        "{} FROM turns t JOIN conversations c ON c.id = t.conversation WHERE t.seq >= ? AND t.seq < ? AND NOT EXISTS \
         (SELECT 1 FROM turns n WHERE n.conversation = t.conversation AND n.seq > t.seq){conditions} \
         ORDER BY t.seq DESC LIMIT ?",
        select()
    );
    let threads = rows::collect(connection, &sql, params_from_iter(parameters), listed)?;
    let next = match threads.last() {
        Some(last) if threads.len() >= limit as usize => Some(last.place),
        _ => u64::try_from(from).ok().filter(|place| *place > 1),
    };
    Ok(ListedPage { threads, next })
}

/// Those of these identities, the one of which something happened last first.
pub(super) fn named(connection: &Connection, ids: &[Uuid]) -> Result<Vec<Listed>, Fault> {
    let mut found = Vec::new();
    for part in ids.chunks(NAMED) {
        let marks = vec!["?"; part.len()].join(", ");
        let sql = format!(
            "{} FROM conversations c JOIN turns t ON t.seq = (SELECT max(seq) FROM turns n WHERE n.conversation = c.id) \
             WHERE c.id IN ({marks})",
            select()
        );
        found.extend(rows::collect(connection, &sql, params_from_iter(part), listed)?);
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.place));
    Ok(found)
}

/// Says whether there is such a conversation.
pub(super) fn label(
    connection: &Connection,
    id: Uuid,
    title: Option<&Option<String>>,
    archived: Option<bool>,
) -> Result<bool, Fault> {
    let mut find = connection.prepare_cached("SELECT title, archived FROM conversations WHERE id = ?")?;
    let before: Option<(Option<String>, bool)> =
        find.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((old, was_archived)) = before else {
        return Ok(false);
    };
    let title = title.unwrap_or(&old);
    connection
        .prepare_cached("UPDATE conversations SET title = ?2, archived = ?3 WHERE id = ?1")?
        .execute(params![id, title, archived.unwrap_or(was_archived)])?;
    Ok(true)
}
