//! What ended in a span of time, and what is open now.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Fault, rows};
use crate::model::{ChannelName, Load, Period, Spread, State, Tally};

/// The index has every column: no row of the table is read.
pub(super) const ENDED: &str = "SELECT channel, state, accepted_at, claimed_at, settled_at, input_tokens, output_tokens, nano_usd \
     FROM turns INDEXED BY turns_ended \
     WHERE settled_at >= ?1 AND settled_at < ?2 AND leader IS NULL AND claimed_at IS NOT NULL \
     AND (?3 IS NULL OR channel = ?3)";

/// A span in milliseconds. A clock that was put back makes none that is less than nothing.
fn span(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// The smallest that `share` of 100 are not above.
fn rank(spans: &mut [u64], share: usize) -> Option<Duration> {
    let place = (spans.len() * share).div_ceil(100).checked_sub(1)?;
    let (_, found, _) = spans.select_nth_unstable(place);
    Some(Duration::from_millis(*found))
}

fn spread(mut spans: Vec<u64>) -> Option<Spread> {
    Some(Spread {
        p50: rank(&mut spans, 50)?,
        p95: rank(&mut spans, 95)?,
    })
}

pub(super) fn period(
    connection: &Connection,
    from: Timestamp,
    until: Timestamp,
    channel: Option<&ChannelName>,
) -> Result<Period, Fault> {
    let mut channels = BTreeMap::<String, Tally>::new();
    let (mut durations, mut waits) = (Vec::new(), Vec::new());
    let mut statement = connection.prepare_cached(ENDED)?;
    let mut rows = statement.query(params![
        from.as_millisecond(),
        until.as_millisecond(),
        channel.map(ChannelName::as_str)
    ])?;
    while let Some(row) = rows.next()? {
        let corrupt = |error: rusqlite::types::FromSqlError| Fault::Corrupt(format!("a turn that ended: {error}"));
        let name = row.get_ref(0)?.as_str().map_err(corrupt)?;
        let ended = Tally {
            input_tokens: row.get(5)?,
            output_tokens: row.get(6)?,
            nano_usd: row.get(7)?,
            ..of(rows::state(row.get_ref(1)?.as_str().map_err(corrupt)?)?)
        };
        match channels.get_mut(name) {
            Some(tally) => *tally = tally.plus(ended),
            None => drop(channels.insert(name.to_owned(), ended)),
        }
        let claimed: i64 = row.get(3)?;
        waits.push(span(row.get(2)?, claimed));
        durations.push(span(claimed, row.get(4)?));
    }
    let named = channels
        .into_iter()
        .map(|(name, tally)| Ok((rows::channel(name)?, tally)));
    Ok(Period {
        duration: spread(durations),
        wait: spread(waits),
        channels: named.collect::<Result<_, Fault>>()?,
    })
}

/// One turn.
fn of(state: State) -> Tally {
    let mut tally = Tally::default();
    match state {
        State::Ok => tally.ok = 1,
        State::Error => tally.error = 1,
        State::Cancelled => tally.cancelled = 1,
        State::Interrupted => tally.interrupted = 1,
        // None of these has ended.
        State::Waiting | State::Working | State::Joined => {}
    }
    tally
}

pub(super) fn load(connection: &Connection) -> Result<Load, Fault> {
    // Identities of rows are in the order of acceptance, and the index of those that wait has them.
    let oldest_waiting: Option<i64> = connection
        .prepare_cached(
            "SELECT accepted_at FROM turns WHERE seq = \
             (SELECT min(+seq) FROM turns INDEXED BY turns_waiting WHERE state = 'waiting')",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let effects = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT 100000)")?
        .query_row([], |row| row.get(0))?;
    let oldest_effect: Option<i64> = connection
        .prepare_cached(
            "SELECT t.settled_at FROM (SELECT turn FROM outbox ORDER BY id LIMIT 1) o JOIN turns t ON t.id = o.turn",
        )?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(Load {
        oldest_waiting: oldest_waiting.map(rows::time).transpose()?,
        effects,
        oldest_effect: oldest_effect.map(rows::time).transpose()?,
    })
}
