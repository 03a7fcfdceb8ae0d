//! Pauses, budgets' ledgers, and resets.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{ChainTotals, ChannelName, DayTotals, Pause, ThreadKey, Turn};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn day_of(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(DAY_MS)
}

pub(super) fn is_paused(connection: &Connection, channel: &ChannelName, now: Timestamp) -> Result<bool, Fault> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM pauses WHERE channel = ? AND (until IS NULL OR until > ?)")?
        .exists(params![channel.as_str(), now.as_millisecond()])?)
}

pub(super) fn pause(connection: &Connection, channel: &ChannelName, pause: &Pause) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO pauses (channel, code, reason, since, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (channel) \
             DO UPDATE SET code = excluded.code, reason = excluded.reason, since = excluded.since, until = excluded.until",
        )?
        .execute(params![
            channel.as_str(),
            pause.code,
            pause.reason,
            pause.since.as_millisecond(),
            pause.until.map(Timestamp::as_millisecond)
        ])?;
    Ok(())
}

/// Says whether there was one that held.
pub(super) fn resume(
    connection: &Connection,
    channel: &ChannelName,
    codes: &[String],
    now: Timestamp,
) -> Result<bool, Fault> {
    let found = rows::collect(
        connection,
        "SELECT code, until IS NULL OR until > ? FROM pauses WHERE channel = ?",
        params![now.as_millisecond(), channel.as_str()],
        |row| Ok((row.get::<_, String>(0)?, row.get(1)?)),
    )?;
    let Some((code, held)) = found.into_iter().next() else {
        return Ok(false);
    };
    if !codes.is_empty() && !codes.contains(&code) {
        return Ok(false);
    }
    connection
        .prepare_cached("DELETE FROM pauses WHERE channel = ?")?
        .execute([channel.as_str()])?;
    Ok(held)
}

pub(super) fn pauses(connection: &Connection, now: Timestamp) -> Result<Vec<(ChannelName, Pause)>, Fault> {
    rows::collect(
        connection,
        "SELECT channel, code, reason, since, until FROM pauses WHERE until IS NULL OR until > ? ORDER BY channel",
        [now.as_millisecond()],
        |row| {
            let pause = Pause {
                code: row.get(1)?,
                reason: row.get(2)?,
                since: rows::time(row.get(3)?)?,
                until: row.get::<_, Option<i64>>(4)?.map(rows::time).transpose()?,
            };
            Ok((rows::channel(row.get(0)?)?, pause))
        },
    )
}

/// Counts an attempt of a turn on its channel's day.
pub(super) fn add_to_day(
    connection: &Connection,
    turn: Uuid,
    turns: i64,
    nano_usd: i64,
    now: Timestamp,
) -> Result<(), Fault> {
    // A day on which a channel took nothing has no row.
    if (turns, nano_usd) == (0, 0) {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO days (channel, day, turns, nano_usd) SELECT channel, ?2, ?3, ?4 FROM turns WHERE id = ?1 \
             ON CONFLICT (day, channel) DO UPDATE SET turns = turns + excluded.turns, \
             nano_usd = min(nano_usd + excluded.nano_usd, ?5)",
        )?
        .execute(params![turn, day_of(now), turns, nano_usd, i64::MAX])?;
    Ok(())
}

pub(super) fn day(connection: &Connection, channel: &ChannelName, now: Timestamp) -> Result<DayTotals, Fault> {
    let found = rows::collect(
        connection,
        "SELECT turns, nano_usd FROM days WHERE day = ? AND channel = ?",
        params![day_of(now), channel.as_str()],
        |row| {
            Ok(DayTotals {
                turns: row.get(0)?,
                nano_usd: row.get(1)?,
            })
        },
    )?;
    Ok(found.into_iter().next().unwrap_or_default())
}

pub(super) fn days(
    connection: &Connection,
    now: Timestamp,
    channel: Option<&ChannelName>,
) -> Result<Vec<(ChannelName, DayTotals)>, Fault> {
    if let Some(channel) = channel {
        let totals = day(connection, channel, now)?;
        let any = totals != DayTotals::default();
        return Ok(any.then(|| (channel.clone(), totals)).into_iter().collect());
    }
    rows::collect(
        connection,
        "SELECT channel, turns, nano_usd FROM days WHERE day = ? ORDER BY channel",
        [day_of(now)],
        |row| {
            let totals = DayTotals {
                turns: row.get(1)?,
                nano_usd: row.get(2)?,
            };
            Ok((rows::channel(row.get(0)?)?, totals))
        },
    )
}

/// Sums over the chain of a turn. A chain is short: its budget sees to that.
pub(super) fn chain(connection: &Connection, turn: &Turn) -> Result<ChainTotals, Fault> {
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE x.settled_at IS NOT NULL AND x.leader IS NULL), {}, \
         count(*) FILTER (WHERE x.seq < (SELECT seq FROM turns WHERE id = ?2)) FROM turns x WHERE x.chain = ?1",
        rows::sum("x.nano_usd")
    );
    let read = |row: &rusqlite::Row<'_>| {
        Ok(ChainTotals {
            messages: row.get(0)?,
            turns: row.get(1)?,
            nano_usd: row.get(2)?,
            before: row.get(3)?,
        })
    };
    let found = rows::collect(connection, &sql, params![turn.message.chain, turn.id], read)?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Forgets sessions, also those of attempts that were cut off. What runs now forgets its own when it goes back in line.
pub(super) fn reset(connection: &Connection, channel: &ChannelName, thread: Option<&ThreadKey>) -> Result<u64, Fault> {
    let thread = thread.map(ThreadKey::encode);
    let (which, parameters) = match &thread {
        Some(thread) => ("channel = ?1 AND thread = ?2", vec![channel.as_str(), thread]),
        None => ("channel = ?1", vec![channel.as_str()]),
    };
    connection
        .prepare_cached(&format!(
            "UPDATE turns SET cut_session = NULL WHERE state = 'waiting' AND channel = ?1 AND conversation IN \
             (SELECT id FROM conversations WHERE {which})"
        ))?
        .execute(rusqlite::params_from_iter(&parameters))?;
    let reset = connection
        .prepare_cached(&format!(
            "UPDATE conversations SET session = NULL, session_cwd = NULL, generation = generation + 1 WHERE {which}"
        ))?
        .execute(rusqlite::params_from_iter(&parameters))?;
    Ok(reset as u64)
}
/// Forgets the session of a conversation in which nothing is to be done.
pub(super) fn forget_session(connection: &Connection, conversation: Uuid) -> Result<bool, Fault> {
    let forgotten = connection
        .prepare_cached(
            "UPDATE conversations SET session = NULL, session_cwd = NULL WHERE id = ?1 \
             AND NOT EXISTS (SELECT 1 FROM turns WHERE conversation = ?1 AND settled_at IS NULL)",
        )?
        .execute([conversation])?;
    Ok(forgotten > 0)
}
