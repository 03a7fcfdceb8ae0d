//! Conversations as people see them: by what happened last, with a title of their own.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{ChannelName, Conversation, Listed, ListedPage, Listing, Standing};

/// Conversations that one look goes through: whoever asks for what is rare comes again.
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

/// The turns that a look for failures goes through.
const FAILED: &str = "turns t INDEXED BY turns_failed WHERE t.state IN ('error', 'interrupted')";

/// Those of which something happened last, before a place in that order.
pub(super) fn latest(connection: &Connection, listing: &Listing, limit: u32) -> Result<ListedPage, Fault> {
    // The two are one list each in the index.
    let archived = match listing.archived {
        Some(archived) => vec![archived],
        None => vec![false, true],
    };
    // What may be rare is looked for in a part at a time; the lists go on from the same place.
    let mut from = None;
    for archived in &archived {
        from = from.max(window(connection, listing, *archived)?);
    }
    let mut threads = Vec::new();
    for archived in archived {
        let (sql, parameters) = look(listing, archived, from, limit);
        threads.extend(rows::collect(connection, &sql, params_from_iter(parameters), listed)?);
    }
    threads.sort_by_key(|one| std::cmp::Reverse(one.place));
    threads.truncate(limit as usize);
    let next = match threads.last() {
        Some(last) if threads.len() >= limit as usize => Some(last.place),
        _ => from.and_then(|from| u64::try_from(from).ok()),
    };
    Ok(ListedPage { threads, next })
}

/// Before which turn a listing goes on.
fn before(listing: &Listing) -> i64 {
    let before = listing.before.and_then(|place| i64::try_from(place).ok());
    before.unwrap_or(i64::MAX)
}

/// The conversations `c` of a listing, in the order of an index.
fn by_time(listing: &Listing) -> &'static str {
    match listing.channel {
        Some(_) => "conversations c INDEXED BY conversations_of_channel",
        None => "conversations c INDEXED BY conversations_latest",
    }
}

/// The conditions of a listing on the conversations `c`.
fn conditions(listing: &Listing, archived: bool) -> (String, Vec<Value>) {
    let mut conditions = "c.archived = ? AND c.latest > 0 AND c.latest < ?".to_owned();
    let mut parameters: Vec<Value> = vec![i64::from(archived).into(), before(listing).into()];
    if let Some(channel) = &listing.channel {
        conditions.push_str(" AND c.channel = ?");
        parameters.push(channel.as_str().to_owned().into());
    }
    (conditions, parameters)
}

/// Where the part ends that one look goes through; `None`: with the list.
fn window(connection: &Connection, listing: &Listing, archived: bool) -> Result<Option<i64>, Fault> {
    let (which, mut parameters) = match listing.standing {
        None | Some(Standing::Working | Standing::Queued) => return Ok(None),
        Some(Standing::Error) => (
            format!("SELECT t.seq FROM {FAILED} AND t.seq < ? ORDER BY t.seq"),
            vec![before(listing).into()],
        ),
        Some(Standing::Idle) => {
            let (conditions, parameters) = conditions(listing, archived);
            let which = format!(
                "SELECT c.latest FROM {} WHERE {conditions} ORDER BY c.latest",
                by_time(listing)
            );
            (which, parameters)
        }
    };
    parameters.push((WINDOW - 1).into());
    let mut statement = connection.prepare_cached(&format!("{which} DESC LIMIT 1 OFFSET ?"))?;
    let found = statement.query_row(params_from_iter(parameters), |row| row.get(0));
    Ok(found.optional()?)
}

/// The statement of one list.
fn look(listing: &Listing, archived: bool, from: Option<i64>, limit: u32) -> (String, Vec<Value>) {
    let (mut conditions, mut parameters) = conditions(listing, archived);
    if let Some(from) = from {
        conditions.push_str(" AND c.latest >= ?");
        parameters.push(from.into());
    }
    if let Some(standing) = listing.standing {
        conditions.push_str(" AND standing = ?");
        parameters.push(standing.as_str().to_owned().into());
    }
    parameters.push(i64::from(limit).into());
    let open = |index: &str, state: &str| {
        format!(
            "(SELECT DISTINCT conversation FROM turns INDEXED BY {index} WHERE state = '{state}') o \
             CROSS JOIN conversations c ON c.id = o.conversation CROSS JOIN turns t ON t.seq = c.latest WHERE true"
        )
    };
    let which = match listing.standing {
        // Where something is to be done is known by the turns that are open.
        Some(Standing::Working) => open("turns_working", "working"),
        Some(Standing::Queued) => open("turns_waiting", "waiting"),
        Some(Standing::Error) => {
            let turns = FAILED.replace(
                " WHERE ",
                " CROSS JOIN conversations c ON c.id = t.conversation AND c.latest = t.seq WHERE ",
            );
            // As above, in words of the index.
            conditions.push_str(" AND t.seq < ?");
            parameters.insert(parameters.len() - 1, before(listing).into());
            turns
        }
        Some(Standing::Idle) | None => {
            format!("{} CROSS JOIN turns t ON t.seq = c.latest WHERE true", by_time(listing))
        }
    };
    // The two are the same: the index that is followed knows one of them.
    let order = match listing.standing {
        Some(Standing::Error) => "t.seq",
        _ => "c.latest",
    };
    let sql = format!(
        "{} FROM {which} AND {conditions} ORDER BY {order} DESC LIMIT ?",
        select()
    );
    (sql, parameters)
}

/// Those of these identities, the one of which something happened last first.
pub(super) fn named(connection: &Connection, ids: &[Uuid]) -> Result<Vec<Listed>, Fault> {
    let mut found = Vec::new();
    for part in ids.chunks(NAMED) {
        let marks = vec!["?"; part.len()].join(", ");
        let sql = format!(
            "{} FROM conversations c CROSS JOIN turns t ON t.seq = c.latest WHERE c.id IN ({marks})",
            select()
        );
        found.extend(rows::collect(connection, &sql, params_from_iter(part), listed)?);
    }
    found.sort_by_key(|one| std::cmp::Reverse(one.place));
    Ok(found)
}

/// Conversations of a channel, in the order in which they were made. `None`: `after` is none of them.
pub(super) fn some(
    connection: &Connection,
    channel: &ChannelName,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Option<Vec<Conversation>>, Fault> {
    let mut last = 0_i64;
    if let Some(after) = after {
        let mut find = connection.prepare_cached("SELECT seq FROM conversations WHERE id = ? AND channel = ?")?;
        match find
            .query_row(params![after, channel.as_str()], |row| row.get(0))
            .optional()?
        {
            Some(seq) => last = seq,
            None => return Ok(None),
        }
    }
    let sql = format!(
        "SELECT {} FROM conversations INDEXED BY conversations_made WHERE channel = ? AND seq > ? ORDER BY seq LIMIT ?",
        rows::CONVERSATION
    );
    let parameters = params![channel.as_str(), last, limit];
    Ok(Some(rows::collect(connection, &sql, parameters, rows::conversation)?))
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
