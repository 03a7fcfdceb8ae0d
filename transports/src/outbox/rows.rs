//! The statements. Work grows with what is asked for, not with what a dead bridge has piled up.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::model::{Count, Due, Entry, Item, Keep, Listed, Numbered, Retention, Room, State, Which};

/// Most rows that one statement removes: bounds the time that others wait for the thread.
const STEP: usize = 500;

type Outcome<T> = rusqlite::Result<T>;

fn time(row: &Row<'_>, column: usize) -> Outcome<Timestamp> {
    let read = |ms| {
        Timestamp::from_millisecond(ms)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
    };
    row.get(column).and_then(read)
}

fn some_time(row: &Row<'_>, column: usize) -> Outcome<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => time(row, column).map(Some),
        None => Ok(None),
    }
}

/// Answers how many were not known before.
pub(super) fn put(connection: &Connection, entries: &[Entry], keeps: &[Keep], now: Timestamp) -> Outcome<usize> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries (bridge, id, lane, payload, bytes, fleeting, due_at, created_at, since, head) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, \
                 NOT EXISTS (SELECT 1 FROM entries WHERE bridge = ?1 AND lane = ?3 AND head = 1)) \
         ON CONFLICT (bridge, id) DO NOTHING",
    )?;
    let mut fresh = 0;
    for entry in entries {
        fresh += insert.execute(params![
            entry.bridge,
            entry.id,
            entry.lane,
            entry.payload,
            entry.payload.len(),
            entry.fleeting,
            now.as_millisecond()
        ])?;
    }
    for each in keeps {
        keep(connection, each, now)?;
    }
    Ok(fresh)
}

pub(super) fn keep(connection: &Connection, keep: &Keep, now: Timestamp) -> Outcome<()> {
    match &keep.value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO kept (bridge, key, value, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![keep.bridge, keep.key, value, now.as_millisecond()])?,
        None => connection
            .prepare_cached("DELETE FROM kept WHERE bridge = ?1 AND key = ?2")?
            .execute(params![keep.bridge, keep.key])?,
    };
    Ok(())
}

pub(super) fn kept(connection: &Connection, bridge: &str, key: &str) -> Outcome<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM kept WHERE bridge = ?1 AND key = ?2")?
        .query_row([bridge, key], |row| row.get(0))
        .optional()
}

/// Makes the oldest that waits the head of its lane, whatever was it before.
fn promote(connection: &Connection, bridge: &str, lane: &str) -> Outcome<()> {
    connection
        .prepare_cached("UPDATE entries SET head = 0 WHERE bridge = ?1 AND lane = ?2 AND head = 1")?
        .execute([bridge, lane])?;
    connection
        .prepare_cached(
            "UPDATE entries SET head = 1 WHERE seq = \
             (SELECT min(seq) FROM entries WHERE bridge = ?1 AND lane = ?2 AND state = 'waiting')",
        )?
        .execute([bridge, lane])?;
    Ok(())
}

pub(super) fn next(
    connection: &Connection,
    bridge: &str,
    busy: &[String],
    limit: usize,
    now: Timestamp,
) -> Outcome<Due> {
    let busy = serde_json::Value::from(busy).to_string();
    let mut due = Due::default();
    let mut heads = connection.prepare_cached(
        "SELECT seq, due_at FROM entries WHERE bridge = ?1 AND head = 1 AND lane NOT IN (SELECT value FROM json_each(?2)) \
         ORDER BY due_at, seq LIMIT ?3",
    )?;
    let mut whole = connection.prepare_cached(
        "SELECT seq, id, lane, payload, fleeting, number, attempts, created_at, since FROM entries WHERE seq = ?1",
    )?;
    // One more than asked for says when to come again.
    let mut rows = heads.query(params![bridge, busy, limit + 1])?;
    while let Some(row) = rows.next()? {
        let at = time(row, 1)?;
        if at > now || due.ready.len() == limit {
            due.next_at = Some(at);
            break;
        }
        due.ready.push(whole.query_row([row.get::<_, i64>(0)?], item)?);
    }
    Ok(due)
}

fn item(row: &Row<'_>) -> Outcome<Item> {
    Ok(Item {
        seq: row.get(0)?,
        id: row.get(1)?,
        lane: row.get(2)?,
        payload: row.get(3)?,
        fleeting: row.get(4)?,
        number: row.get(5)?,
        attempts: row.get(6)?,
        created_at: time(row, 7)?,
        since: time(row, 8)?,
    })
}

/// Ends a wait. Answers whether there was one.
pub(super) fn settle(
    connection: &Connection,
    bridge: &str,
    id: &str,
    (state, error): (State, Option<&str>),
    now: Timestamp,
) -> Outcome<bool> {
    let lane: Option<String> = connection
        .prepare_cached(
            "UPDATE entries SET state = ?3, head = 0, settled_at = ?4, error = coalesce(?5, error), \
             attempts = attempts + (?3 = 'undelivered'), \
             payload = CASE WHEN ?3 = 'delivered' THEN NULL ELSE payload END \
             WHERE bridge = ?1 AND id = ?2 AND state = 'waiting' RETURNING lane",
        )?
        .query_row(params![bridge, id, state.word(), now.as_millisecond(), error], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(lane) = &lane {
        promote(connection, bridge, lane)?;
    }
    Ok(lane.is_some())
}

pub(super) fn later(
    connection: &Connection,
    bridge: &str,
    id: &str,
    error: &str,
    (at, counts): (Timestamp, bool),
) -> Outcome<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE entries SET attempts = attempts + ?5, error = ?3, due_at = ?4 \
             WHERE bridge = ?1 AND id = ?2 AND state = 'waiting'",
        )?
        .execute(params![bridge, id, error, at.as_millisecond(), counts])?;
    Ok(changed > 0)
}

/// Takes a fleeting one away, as if it had been shed.
pub(super) fn discard(connection: &Connection, bridge: &str, id: &str, now: Timestamp) -> Outcome<bool> {
    let lane: Option<String> = connection
        .prepare_cached(
            "DELETE FROM entries WHERE bridge = ?1 AND id = ?2 AND state = 'waiting' AND fleeting = 1 RETURNING lane",
        )?
        .query_row([bridge, id], |row| row.get(0))
        .optional()?;
    if let Some(lane) = &lane {
        shed_of(connection, bridge, lane, now)?;
        promote(connection, bridge, lane)?;
    }
    Ok(lane.is_some())
}

fn shed_of(connection: &Connection, bridge: &str, lane: &str, now: Timestamp) -> Outcome<()> {
    connection
        .prepare_cached(
            "INSERT INTO lanes (bridge, lane, shed, used_at) VALUES (?1, ?2, 1, ?3) \
             ON CONFLICT (bridge, lane) DO UPDATE SET shed = shed + 1, used_at = ?3",
        )?
        .execute(params![bridge, lane, now.as_millisecond()])?;
    Ok(())
}

pub(super) fn number(connection: &Connection, bridge: &str, id: &str, now: Timestamp) -> Outcome<Option<Numbered>> {
    let found: Option<(String, Option<u64>)> = connection
        .prepare_cached("SELECT lane, number FROM entries WHERE bridge = ?1 AND id = ?2")?
        .query_row([bridge, id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((lane, number)) = found else { return Ok(None) };
    let (last, shed): (u64, u64) = connection
        .prepare_cached(
            "INSERT INTO lanes (bridge, lane, number, used_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (bridge, lane) DO UPDATE SET number = number + ?3, used_at = ?4 RETURNING number, shed",
        )?
        .query_row(
            params![bridge, lane, u8::from(number.is_none()), now.as_millisecond()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    if number.is_none() {
        connection
            .prepare_cached("UPDATE entries SET number = ?3 WHERE bridge = ?1 AND id = ?2")?
            .execute(params![bridge, id, last])?;
    }
    Ok(Some(Numbered {
        number: number.unwrap_or(last),
        shed,
    }))
}

pub(super) fn amend(connection: &Connection, bridge: &str, id: &str, payload: &str, renumber: bool) -> Outcome<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE entries SET payload = ?3, bytes = ?4, number = CASE WHEN ?5 THEN NULL ELSE number END \
             WHERE bridge = ?1 AND id = ?2 AND state = 'waiting'",
        )?
        .execute(params![bridge, id, payload, payload.len(), renumber])?;
    Ok(changed > 0)
}

/// Makes room. What has a number may be on its way and stays.
pub(super) fn all_kept(connection: &Connection, bridge: &str) -> Outcome<Vec<(String, String)>> {
    connection
        .prepare_cached("SELECT key, value FROM kept WHERE bridge = ?1 ORDER BY key")?
        .query_map([bridge], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// What may go for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loose {
    /// Fleeting entries without a number.
    Fleeting,
    /// All that waits.
    All,
}

pub(super) fn shed(connection: &Connection, bridge: &str, loose: Loose, room: Room, now: Timestamp) -> Outcome<u64> {
    let (counted, taken) = match loose {
        Loose::Fleeting => ("AND fleeting = 1", "AND fleeting = 1 AND number IS NULL"),
        Loose::All => ("", ""),
    };
    let (mut entries, mut bytes): (u64, u64) = connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM entries WHERE bridge = ?1 AND state = 'waiting' {counted}"
        ))?
        .query_row([bridge], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut oldest = connection.prepare_cached(&format!(
        "SELECT seq, lane, bytes, created_at FROM entries WHERE bridge = ?1 AND state = 'waiting' {taken} \
         ORDER BY seq LIMIT ?2"
    ))?;
    let oldest: Vec<(i64, String, u64, Timestamp)> = oldest
        .query_map(params![bridge, STEP], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, time(row, 3)?))
        })?
        .collect::<Outcome<_>>()?;
    let mut gone = 0;
    for (seq, lane, size, created_at) in oldest {
        if entries <= room.entries && bytes <= room.bytes && created_at >= room.oldest {
            break;
        }
        connection
            .prepare_cached("DELETE FROM entries WHERE seq = ?1")?
            .execute([seq])?;
        shed_of(connection, bridge, &lane, now)?;
        promote(connection, bridge, &lane)?;
        (entries, bytes, gone) = (entries.saturating_sub(1), bytes.saturating_sub(size), gone + 1);
    }
    Ok(gone)
}

pub(super) fn redrive(connection: &Connection, bridge: &str, which: &Which, now: Timestamp) -> Outcome<u64> {
    let sql = "UPDATE entries SET state = 'waiting', attempts = 0, due_at = ?2, since = ?2, settled_at = NULL \
               WHERE bridge = ?1 AND state = 'undelivered'";
    let now = now.as_millisecond();
    let read = |row: &Row<'_>| row.get::<_, String>(0);
    let mut lanes: Vec<String> = match which {
        Which::All => connection
            .prepare_cached(&format!("{sql} RETURNING lane"))?
            .query_map(params![bridge, now], read)?
            .collect::<Outcome<_>>()?,
        Which::One(id) => connection
            .prepare_cached(&format!("{sql} AND id = ?3 RETURNING lane"))?
            .query_map(params![bridge, now, id], read)?
            .collect::<Outcome<_>>()?,
    };
    let count = lanes.len() as u64;
    lanes.sort_unstable();
    lanes.dedup();
    for lane in lanes {
        promote(connection, bridge, &lane)?;
    }
    Ok(count)
}

pub(super) fn hasten(connection: &Connection, bridge: &str, now: Timestamp) -> Outcome<u64> {
    let changed = connection
        .prepare_cached("UPDATE entries SET due_at = ?2 WHERE bridge = ?1 AND head = 1 AND due_at > ?2")?
        .execute(params![bridge, now.as_millisecond()])?;
    Ok(changed as u64)
}

pub(super) fn renew(connection: &Connection, bridge: &str, now: Timestamp) -> Outcome<u64> {
    let changed = connection
        .prepare_cached(
            "UPDATE entries SET since = ?2, due_at = min(due_at, ?2), attempts = 0 WHERE bridge = ?1 AND state = 'waiting'",
        )?
        .execute(params![bridge, now.as_millisecond()])?;
    Ok(changed as u64)
}

const LISTED: &str = "seq, bridge, id, lane, state, bytes, number, attempts, error, created_at, \
     CASE WHEN state = 'waiting' THEN due_at END, settled_at";

fn listed(row: &Row<'_>) -> Outcome<Listed> {
    Ok(Listed {
        seq: row.get(0)?,
        bridge: row.get(1)?,
        id: row.get(2)?,
        lane: row.get(3)?,
        state: State::of(&row.get::<_, String>(4)?),
        bytes: row.get(5)?,
        number: row.get(6)?,
        attempts: row.get(7)?,
        error: row.get(8)?,
        created_at: time(row, 9)?,
        due_at: some_time(row, 10)?,
        settled_at: some_time(row, 11)?,
    })
}

pub(super) fn list(
    connection: &Connection,
    bridge: &str,
    state: State,
    (after, limit): (u64, u32),
) -> Outcome<Vec<Listed>> {
    connection
        .prepare_cached(&format!(
            "SELECT {LISTED} FROM entries WHERE bridge = ?1 AND state = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4"
        ))?
        .query_map(
            params![bridge, state.word(), i64::try_from(after).unwrap_or(i64::MAX), limit],
            listed,
        )?
        .collect()
}

pub(super) fn find(connection: &Connection, bridge: &str, id: &str) -> Outcome<Option<(Listed, Option<String>)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {LISTED}, payload FROM entries WHERE bridge = ?1 AND id = ?2"
        ))?
        .query_row([bridge, id], |row| Ok((listed(row)?, row.get(12)?)))
        .optional()
}

pub(super) fn counts(connection: &Connection) -> Outcome<Vec<Count>> {
    connection
        .prepare_cached(
            "SELECT bridge, sum(state = 'waiting'), sum(state = 'delivered'), sum(state = 'undelivered'), \
             (SELECT created_at FROM entries o WHERE o.bridge = e.bridge AND o.state = 'waiting' ORDER BY seq LIMIT 1) \
             FROM entries e GROUP BY bridge ORDER BY bridge",
        )?
        .query_map([], |row| {
            Ok(Count {
                bridge: row.get(0)?,
                waiting: row.get(1)?,
                delivered: row.get(2)?,
                undelivered: row.get(3)?,
                oldest_at: some_time(row, 4)?,
            })
        })?
        .collect()
}

/// Removes a step of what is over. Answers how many, 0 when nothing is left.
pub(super) fn sweep(connection: &Connection, until: Retention) -> Outcome<u64> {
    let mut gone = 0;
    for (state, before) in [
        (State::Delivered, until.delivered_before),
        (State::Undelivered, until.undelivered_before),
    ] {
        gone += connection
            .prepare_cached(
                "DELETE FROM entries WHERE seq IN \
                 (SELECT seq FROM entries WHERE state = ?1 AND settled_at < ?2 ORDER BY settled_at LIMIT ?3)",
            )?
            .execute(params![state.word(), before.as_millisecond(), STEP])?;
    }
    gone += connection
        .prepare_cached(
            "DELETE FROM lanes WHERE (bridge, lane) IN (SELECT bridge, lane FROM lanes l WHERE used_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM entries e WHERE e.bridge = l.bridge AND e.lane = l.lane AND e.state = 'waiting') LIMIT ?2)",
        )?
        .execute(params![until.lanes_before.as_millisecond(), STEP])?;
    Ok(gone as u64)
}

/// Removes a step of everything of a bridge. Answers how many, 0 when nothing is left.
pub(super) fn remove(connection: &Connection, bridge: &str) -> Outcome<u64> {
    let gone = connection
        .prepare_cached("DELETE FROM entries WHERE seq IN (SELECT seq FROM entries WHERE bridge = ?1 LIMIT ?2)")?
        .execute(params![bridge, STEP])?;
    if gone == 0 {
        connection.execute("DELETE FROM lanes WHERE bridge = ?1", [bridge])?;
        connection.execute("DELETE FROM kept WHERE bridge = ?1", [bridge])?;
    }
    Ok(gone as u64)
}
