//! Claims of those who are no workers of ours: they hold for a time, whatever becomes of the process.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{Fault, control, rows, writes};
use crate::model::{ChannelName, Conversation, Front, Held, Turn};

/// The turns `t` of a channel that can be taken. One in whose lane a worker of ours runs is not given away.
const FREE: &str = "t.channel = ? AND t.state = 'waiting' AND t.held = 0 AND NOT EXISTS \
     (SELECT 1 FROM turns w WHERE w.channel = t.channel AND w.conversation = t.conversation AND w.state = 'working' \
      AND w.owner IS NULL)";

/// The first turn of a channel's line.
pub(super) fn first() -> String {
    format!("SELECT t.id FROM turns t WHERE {FREE} ORDER BY t.rank LIMIT 1")
}

/// All that is taken.
pub(super) const TAKEN: &str =
    "WHERE t.state = 'working' AND t.owner IS NOT NULL ORDER BY t.channel, t.claimed_at, t.seq";

pub(super) fn take(
    connection: &Connection,
    channel: &ChannelName,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Held>, Fault> {
    if control::is_paused(connection, channel, now)? {
        return Ok(None);
    }
    let first: Option<Uuid> = connection
        .prepare_cached(&first())?
        .query_row([channel.as_str()], |row| row.get(0))
        .optional()?;
    let Some(turn) = first else {
        return Ok(None);
    };
    let Some(mut conversation) = conversation_of(connection, turn)? else {
        return Err(Fault::Corrupt(format!("the turn {turn} is of no conversation")));
    };
    let claim = writes::give(connection, turn, Some(owner), &mut conversation, (now, until))?;
    Ok(Some(Held {
        claim,
        owner: owner.to_owned(),
        until,
    }))
}

fn conversation_of(connection: &Connection, turn: Uuid) -> Result<Option<Conversation>, Fault> {
    let sql = format!(
        "SELECT {} FROM conversations WHERE id = (SELECT conversation FROM turns WHERE id = ?)",
        rows::CONVERSATION
    );
    let found = rows::collect(connection, &sql, [turn], rows::conversation)?;
    Ok(found.into_iter().next())
}

pub(super) fn held(connection: &Connection, turn: Uuid, now: Timestamp) -> Result<Option<Held>, Fault> {
    let sql = "SELECT owner, lease_until FROM turns WHERE id = ? AND state = 'working' AND owner IS NOT NULL";
    let found: Option<(String, Option<i64>)> = connection
        .prepare_cached(sql)?
        .query_row([turn], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((owner, until)) = found else {
        return Ok(None);
    };
    let Some(conversation) = conversation_of(connection, turn)? else {
        return Ok(None);
    };
    let claim = writes::claimed(connection, turn, conversation, now)?;
    let until = until.map_or(Ok(now), rows::time)?;
    Ok(Some(Held { claim, owner, until }))
}

pub(super) fn lapse(connection: &Connection, now: Timestamp) -> Result<Vec<Turn>, Fault> {
    let over: Vec<Uuid> = rows::collect(
        connection,
        "SELECT id FROM turns WHERE state = 'working' AND owner IS NOT NULL AND lease_until < ? ORDER BY rank",
        [now.as_millisecond()],
        |row| Ok(row.get(0)?),
    )?;
    let requeue = format!("UPDATE turns SET {} WHERE id = ?", writes::REQUEUE);
    let read = format!(
        "SELECT {} FROM turns t JOIN conversations c ON c.id = t.conversation WHERE t.id = ?",
        rows::TURN
    );
    let mut back = Vec::with_capacity(over.len());
    for turn in over {
        connection.prepare_cached(&requeue)?.execute([turn])?;
        back.extend(rows::collect(connection, &read, [turn], rows::turn)?);
    }
    Ok(back)
}

pub(super) fn front(connection: &Connection, channel: &ChannelName, limit: u32) -> Result<Front, Fault> {
    let waiting = connection
        .prepare_cached(&format!("SELECT count(*) FROM turns t WHERE {FREE}"))?
        .query_row([channel.as_str()], |row| row.get(0))?;
    let sql = format!(
        "SELECT {} FROM turns t JOIN conversations c ON c.id = t.conversation \
         WHERE {FREE} ORDER BY t.rank LIMIT ?",
        rows::TURN
    );
    let turns = rows::collect(connection, &sql, params![channel.as_str(), limit], rows::turn)?;
    Ok(Front { waiting, turns })
}
