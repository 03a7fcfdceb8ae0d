//! Effects: which are due, and how they ended. Work grows with the targets and with what is asked for, not with what a dead
//! target has piled up.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Effect, Overdue};

/// The targets that have pending effects: one index seek each.
const TARGETS: &str = "WITH RECURSIVE targets (target) AS (SELECT min(target) FROM outbox WHERE parked = 0 UNION ALL \
     SELECT (SELECT min(target) FROM outbox WHERE parked = 0 AND target > targets.target) FROM targets \
     WHERE targets.target IS NOT NULL)";

/// Whether the group of `target` is in the list `?1`. What stands before the first `/` is the group; without one: none.
const HELD: &str = "substr(target, 1, instr(target, '/') - 1) IN (SELECT value FROM json_each(?1))";

/// Whether an older effect of the same target was tried in vain.
const BEHIND: &str = "o.parked = 0 AND EXISTS (SELECT 1 FROM outbox h WHERE h.parked = 0 AND h.target = o.target \
     AND h.id < o.id AND h.attempts > 0)";

/// Names as a parameter for [`HELD`].
pub(super) fn list(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

/// No delivery is put off as long as this: what is due later still was put off by a clock that has been put back since, and
/// would hold up what is behind it for as long. In milliseconds.
const FAR_MS: i64 = 60 * 60 * 1000;

pub(super) fn due(connection: &Connection, now: Timestamp, limit: u32, held: &str) -> Result<Vec<Effect>, Fault> {
    let sql = format!("{TARGETS} SELECT target FROM targets WHERE target IS NOT NULL AND NOT {HELD}");
    let targets = rows::collect(connection, &sql, [held], |row| Ok(row.get::<_, String>(0)?))?;
    let sql = format!(
        "SELECT {} FROM outbox WHERE parked = 0 AND target = ? ORDER BY id LIMIT ?",
        rows::EFFECT
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut due = Vec::new();
    for target in targets {
        let mut line = statement.query(params![target, limit])?;
        while let Some(row) = line.next()? {
            let (at, now) = (row.get::<_, i64>(rows::EFFECT_DUE_AT)?, now.as_millisecond());
            if at > now && at <= now.saturating_add(FAR_MS) {
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
pub(super) fn next_due(connection: &Connection, held: &str) -> Result<Option<Timestamp>, Fault> {
    let sql = format!(
        "{TARGETS} SELECT min((SELECT due_at FROM outbox WHERE parked = 0 AND outbox.target = targets.target \
         ORDER BY id LIMIT 1)) FROM targets WHERE target IS NOT NULL AND NOT {HELD}"
    );
    let at: Option<i64> = connection.prepare_cached(&sql)?.query_row([held], |row| row.get(0))?;
    at.map(rows::time).transpose()
}

/// Takes effects off. Says how many there were, and which of their turns have none left.
pub(super) fn delivered(connection: &Connection, effects: &[u64]) -> Result<(usize, Vec<Uuid>), Fault> {
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE id = ? RETURNING turn")?;
    let mut gone = 0;
    let mut turns = Vec::new();
    // A number that SQLite cannot hold was never given.
    for id in effects.iter().filter_map(|id| i64::try_from(*id).ok()) {
        if let Some(turn) = statement.query_row([id], |row| row.get::<_, Uuid>(0)).optional()? {
            gone += 1;
            turns.push(turn);
        }
    }
    turns.sort_unstable();
    turns.dedup();
    let mut ended = Vec::new();
    for turn in turns {
        if left(connection, turn)? == 0 {
            ended.push(turn);
        }
    }
    Ok((gone, ended))
}

pub(super) fn left(connection: &Connection, turn: Uuid) -> Result<u64, Fault> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM outbox WHERE turn = ?")?;
    Ok(statement.query_row([turn], |row| row.get(0))?)
}

/// Says how many rows that made due.
pub(super) fn retry(connection: &Connection, turn: Option<Uuid>, now: Timestamp) -> Result<u64, Fault> {
    const SQL: &str = "UPDATE outbox SET parked = 0, due_at = min(due_at, ?1)";
    let now = now.as_millisecond();
    let changed = match turn {
        Some(turn) => connection
            .prepare_cached(&format!("{SQL} WHERE turn = ?2"))?
            .execute(params![now, turn])?,
        None => connection.prepare_cached(SQL)?.execute([now])?,
    };
    Ok(changed as u64)
}

pub(super) fn overdue(connection: &Connection, held: &str, after: u64, limit: u32) -> Result<Vec<Overdue>, Fault> {
    let Ok(after) = i64::try_from(after) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT {}, (SELECT channel FROM turns t WHERE t.id = turn), \
         (SELECT coalesce(settled_at, accepted_at) FROM turns t WHERE t.id = turn), {BEHIND} FROM outbox o WHERE id > ?2 AND (attempts > 0 OR parked OR {HELD} OR {BEHIND}) ORDER BY id LIMIT ?3",
        rows::EFFECT
    );
    rows::collect(connection, &sql, params![held, after, limit], rows::overdue)
}

pub(super) fn count_overdue(connection: &Connection, held: &str) -> Result<u64, Fault> {
    let sql = format!("SELECT count(*) FROM outbox o WHERE attempts > 0 OR parked OR {HELD} OR {BEHIND}");
    Ok(connection.prepare_cached(&sql)?.query_row([held], |row| row.get(0))?)
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
