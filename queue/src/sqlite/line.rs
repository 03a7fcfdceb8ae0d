//! The order of a line, and what a person does to it.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Joined, Lane, Position};

/// Most messages that share one turn: bounds its prompt.
const JOINED_MAX: usize = 50;

/// Refuses what does not wait.
pub(super) fn must_wait(connection: &Connection, turn: Uuid) -> Result<(), Fault> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM turns WHERE id = ?")?
        .query_row([turn], |row| row.get(0))
        .optional()?;
    match state.as_deref() {
        Some("waiting") => Ok(()),
        Some(state) => Err(Fault::NotWaiting(turn, rows::state(state)?)),
        None => Err(Fault::Unknown(turn)),
    }
}

pub(super) fn hold(connection: &Connection, turn: Uuid, held: bool) -> Result<(), Fault> {
    must_wait(connection, turn)?;
    connection
        .prepare_cached("UPDATE turns SET held = ?2 WHERE id = ?1")?
        .execute(params![turn, held])?;
    Ok(())
}

pub(super) fn edit(connection: &Connection, turn: Uuid, body: &Value) -> Result<(), Fault> {
    must_wait(connection, turn)?;
    connection
        .prepare_cached("UPDATE turns SET body = ?2 WHERE id = ?1")?
        .execute(params![turn, rows::text(body)?])?;
    Ok(())
}

/// The ranks of a lane stay the same set, so that what comes later stays behind them; the turns between the old and the new
/// place pass them on.
pub(super) fn reposition(connection: &Connection, turn: Uuid, to: Position) -> Result<(), Fault> {
    must_wait(connection, turn)?;
    let mut line: Vec<(Uuid, i64)> = rows::collect(
        connection,
        "SELECT w.id, w.rank FROM turns t JOIN turns w ON w.channel = t.channel AND w.conversation = t.conversation \
         AND w.state = 'waiting' WHERE t.id = ? ORDER BY w.rank",
        [turn],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let place = |line: &[(Uuid, i64)], wanted: Uuid| line.iter().position(|(id, _)| *id == wanted);
    let ranks: Vec<i64> = line.iter().map(|(_, rank)| *rank).collect();
    let from = place(&line, turn).ok_or(Fault::Unknown(turn))?;
    let moved = line.remove(from);
    let index = match to {
        Position::First => 0,
        Position::Last => line.len(),
        Position::Before(other) if other == turn => from,
        Position::Before(other) => place(&line, other).ok_or(Fault::OtherLine(turn, other))?,
    };
    line.insert(index, moved);
    let mut update = connection.prepare_cached("UPDATE turns SET rank = ?2 WHERE id = ?1")?;
    for ((id, _), new) in line.iter().zip(ranks).filter(|((_, old), new)| old != new) {
        update.execute(params![id, new])?;
    }
    Ok(())
}

/// Lets the messages that stand directly behind a turn join it if it and they are collecting ones, unless its prompt was given
/// already.
pub(super) fn join(connection: &Connection, leader: Uuid) -> Result<(), Fault> {
    let takes = "SELECT 1 FROM turns WHERE id = ? AND mode = 'collect' AND interruptions = 0";
    if connection.prepare_cached(takes)?.exists([leader])? {
        take_along(connection, leader)?;
    }
    Ok(())
}

/// The messages that are part of a turn, in their order.
pub(super) fn joined(connection: &Connection, leader: Uuid) -> Result<Vec<Joined>, Fault> {
    let sql = format!(
        "SELECT {} FROM turns t JOIN conversations c ON c.id = t.conversation WHERE t.leader = ? AND t.state = 'joined' \
         ORDER BY t.rank",
        rows::TURN
    );
    let joined = rows::collect(connection, &sql, [leader], rows::turn)?;
    Ok(joined
        .into_iter()
        .map(|turn| Joined {
            turn: turn.id,
            message: turn.message,
        })
        .collect())
}

/// The turns behind one: whether each may join it, and how many had joined each.
pub(super) const BEHIND: &str = "SELECT w.id, w.mode = 'collect' AND w.interruptions = 0, \
     (SELECT count(*) FROM turns j WHERE j.leader = w.id AND j.state = 'joined') \
     FROM turns t JOIN turns w ON w.channel = t.channel AND w.conversation = t.conversation \
     AND w.state = 'waiting' AND w.held = 0 AND w.rank > t.rank WHERE t.id = ? ORDER BY w.rank LIMIT ?";

/// One that was claimed before and put back brings those that had joined it; one that had begun has an attempt of its own to
/// go on with, and ends the row.
fn take_along(connection: &Connection, leader: Uuid) -> Result<(), Fault> {
    let joined: usize = connection
        .prepare_cached("SELECT count(*) FROM turns WHERE leader = ? AND state = 'joined'")?
        .query_row([leader], |row| row.get(0))?;
    let mut room = JOINED_MAX.saturating_sub(joined);
    let behind: Vec<(Uuid, bool, usize)> = rows::collect(connection, BEHIND, params![leader, room], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    for (turn, fits, along) in behind {
        if !fits || along >= room {
            break;
        }
        room -= 1 + along;
        connection
            .prepare_cached("UPDATE turns SET leader = ?2 WHERE leader = ?1 AND state = 'joined'")?
            .execute(params![turn, leader])?;
        connection
            .prepare_cached("UPDATE turns SET state = 'joined', leader = ?2 WHERE id = ?1")?
            .execute(params![turn, leader])?;
    }
    Ok(())
}

/// The open turns of a channel; parameters: the channel, and how many. Those that joined come with the turn that they are part
/// of.
pub(super) const OPEN: &str = "LEFT JOIN turns l ON l.id = t.leader \
     WHERE t.seq IN (SELECT seq FROM turns w WHERE w.channel = ?1 AND w.state = 'working' \
     UNION ALL SELECT j.seq FROM turns w JOIN turns j ON j.leader = w.id AND j.state = 'joined' \
     WHERE w.channel = ?1 AND w.state = 'working' \
     UNION ALL SELECT seq FROM (SELECT seq FROM turns w WHERE w.channel = ?1 AND w.state = 'waiting' \
     ORDER BY w.rank LIMIT ?2) \
     UNION ALL SELECT j.seq FROM (SELECT id FROM turns w WHERE w.channel = ?1 AND w.state = 'waiting' \
     ORDER BY w.rank LIMIT ?2) first JOIN turns j ON j.leader = first.id AND j.state = 'joined') \
     ORDER BY coalesce(l.state, t.state) = 'working' DESC, coalesce(l.rank, t.rank), t.state = 'joined', t.rank LIMIT ?2";

/// Of each lane its first turn that waits and is not held.
pub(super) const LANES: &str = "SELECT c.channel, c.thread FROM (SELECT conversation, min(rank) AS oldest FROM turns \
     WHERE state = 'waiting' AND held = 0 GROUP BY channel, conversation) AS line \
     CROSS JOIN conversations c ON c.id = line.conversation ORDER BY line.oldest";

/// The lanes of turns that wait and are not held.
pub(super) fn lanes(connection: &Connection) -> Result<Vec<Lane>, Fault> {
    rows::collect(connection, LANES, [], |row| {
        rows::lane(row.get(0)?, &row.get::<_, String>(1)?)
    })
}
