//! Effects: which are due, and how they ended. Work grows with the targets and with what is asked for, not with what a dead
//! target has piled up.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Fault, rows};
use crate::model::Effect;

/// The targets that have pending effects: one index seek each.
const TARGETS: &str = "WITH RECURSIVE targets (target) AS (SELECT min(target) FROM outbox WHERE parked = 0 UNION ALL \
     SELECT (SELECT min(target) FROM outbox WHERE parked = 0 AND target > targets.target) FROM targets \
     WHERE targets.target IS NOT NULL)";

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Effect>, Fault> {
    let sql = format!("{TARGETS} SELECT target FROM targets WHERE target IS NOT NULL");
    let targets = rows::collect(connection, &sql, [], |row| Ok(row.get::<_, String>(0)?))?;
    let sql = format!(
        "SELECT {} FROM outbox WHERE parked = 0 AND target = ? ORDER BY id LIMIT ?",
        rows::EFFECT
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut due = Vec::new();
    for target in targets {
        let mut line = statement.query(params![target, limit])?;
        while let Some(row) = line.next()? {
            if row.get::<_, i64>(rows::EFFECT_DUE_AT)? > now.as_millisecond() {
                break;
            }
            due.push(rows::effect(row)?);
        }
    }
    due.sort_by_key(|effect| effect.id);
    due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(due)
}

/// The head of each target decides: an effect behind it waits for it.
pub(super) fn next_due(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let sql = format!(
        "{TARGETS} SELECT min((SELECT due_at FROM outbox WHERE parked = 0 AND outbox.target = targets.target \
         ORDER BY id LIMIT 1)) FROM targets WHERE target IS NOT NULL"
    );
    let at: Option<i64> = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    at.map(rows::time).transpose()
}

/// Takes effects off; says how many there were.
pub(super) fn delivered(connection: &Connection, effects: &[u64]) -> Result<usize, Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE id = ?")?;
    let mut gone = 0;
    // A number that SQLite cannot hold was never given.
    for id in effects.iter().filter_map(|id| i64::try_from(*id).ok()) {
        gone += statement.execute([id])?;
    }
    Ok(gone)
}

/// Notes a failed try; says how many rows that changed.
pub(super) fn undelivered(
    connection: &Connection,
    effect: u64,
    error: &str,
    due_at: Option<Timestamp>,
) -> Result<usize, Fault> {
    let Ok(id) = i64::try_from(effect) else {
        return Ok(0);
    };
    let due_at = due_at.map(Timestamp::as_millisecond);
    Ok(connection
        .prepare_cached(
            "UPDATE outbox SET attempts = attempts + 1, last_error = ?2, parked = ?3, due_at = coalesce(?4, due_at) \
             WHERE id = ?1",
        )?
        .execute(params![id, error, due_at.is_none(), due_at])?)
}
