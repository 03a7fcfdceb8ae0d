//! What was said in turns that ended long ago goes; that they were, when, and what they cost stays.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Forgotten, State};
use crate::queue::Forget;

/// Where the turns begin that were not all looked at: their `seq`. No vault can be called so.
const CURSOR: &str = "retention/journal";

struct Ended {
    seq: i64,
    id: Uuid,
    body: String,
    record: Option<String>,
    accepted_at: i64,
    /// Nothing of it is left to be done.
    over: bool,
}

/// One batch, in the order of acceptance.
pub(super) fn forget(
    connection: &Connection,
    before: Timestamp,
    after: Option<u64>,
    limit: u32,
    forget: Forget,
) -> Result<Forgotten, Fault> {
    let before = before.as_millisecond();
    let known = cursor(connection)?;
    let start = after.map_or(Ok(known), i64::try_from);
    let start = start.map_err(|_| Fault::Refused("a place in the journal is out of range".into()))?; // silent-ok: said here
    let batch = rows::collect(
        connection,
        "SELECT t.seq, t.id, t.body, t.record, t.accepted_at, t.state, coalesce(t.settled_at < ?2, 0), \
         EXISTS (SELECT 1 FROM outbox o WHERE o.turn = coalesce(t.leader, t.id)) \
         FROM turns t WHERE t.seq > ?1 ORDER BY t.seq LIMIT ?3",
        params![start, before, limit],
        ended,
    )?;
    let is_full = batch.len() >= limit as usize;
    let (mut forgotten, mut last, mut done) = (0, start, known);
    for turn in batch {
        if turn.accepted_at >= before {
            // What came later has not ended earlier.
            return conclude(
                connection,
                (known, done),
                Forgotten {
                    turns: forgotten,
                    next: None,
                },
            );
        }
        if turn.over {
            forgotten += u64::from(forget_one(connection, &turn, forget)?);
            // Up to the first one that is still to go, nothing has to be looked at again.
            if done == last {
                done = turn.seq;
            }
        }
        last = turn.seq;
    }
    // silent-ok: positions are counted from one.
    let next = u64::try_from(last).ok().filter(|_| is_full && last > start);
    conclude(connection, (known, done), Forgotten { turns: forgotten, next })
}

fn ended(row: &Row<'_>) -> Result<Ended, Fault> {
    let is_terminal = rows::state(&row.get::<_, String>(5)?).map(State::is_terminal)?;
    let (is_old, owes): (bool, bool) = (row.get(6)?, row.get(7)?);
    Ok(Ended {
        seq: row.get(0)?,
        id: row.get(1)?,
        body: row.get(2)?,
        record: row.get(3)?,
        accepted_at: row.get(4)?,
        over: is_terminal && is_old && !owes,
    })
}

/// Whether there was something to forget.
fn forget_one(connection: &Connection, turn: &Ended, forget: Forget) -> Result<bool, Fault> {
    let record = turn.record.as_deref().map(rows::json).transpose();
    // silent-ok: what cannot be read is as it was, and whoever asks for the turn is told.
    let (Ok(mut body), Ok(record)) = (rows::json(&turn.body), record) else {
        return Ok(false);
    };
    let mut record = record.unwrap_or(Value::Null);
    if !forget(&mut body, &mut record) {
        return Ok(false);
    }
    connection
        .prepare_cached("UPDATE turns SET body = ?2, record = ?3 WHERE id = ?1")?
        .execute(params![turn.id, rows::text(&body)?, rows::text(&record)?])?;
    Ok(true)
}

fn cursor(connection: &Connection) -> Result<i64, Fault> {
    let mut statement = connection.prepare_cached("SELECT at FROM cursors WHERE feed = ?")?;
    let at = statement.query_row([CURSOR], |row| row.get(0)).optional()?;
    Ok(at.unwrap_or(0))
}

fn conclude(connection: &Connection, (known, done): (i64, i64), forgotten: Forgotten) -> Result<Forgotten, Fault> {
    if done > known {
        let sql = "INSERT INTO cursors (feed, at) VALUES (?1, ?2) ON CONFLICT (feed) DO UPDATE SET at = excluded.at";
        connection.prepare_cached(sql)?.execute(params![CURSOR, done])?;
    }
    Ok(forgotten)
}
