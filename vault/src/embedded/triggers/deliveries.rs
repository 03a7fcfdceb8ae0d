//! The rows of deliveries.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Tx, rows};
use crate::embedded::fault::Fault;
use crate::embedded::{files, read, write};
use crate::note::NoteId;
use crate::store::{ContentChange, Key, Patch, Precondition};
use crate::triggers::{Delivery, DeliveryFilter, DeliveryState, Due, DueNow, Event, Outcome, Reply, Secret};

/// How long a delivery is shown after it was delivered, and how many of a trigger.
const DELIVERED_MS: i64 = 7 * 24 * 60 * 60 * 1000;
const DELIVERED_MAX: i64 = 1_000;

/// How long one that was given up can be driven again, and how many of a trigger.
const DEAD_MS: i64 = 30 * 24 * 60 * 60 * 1000;
const DEAD_MAX: i64 = 10_000;

/// How many of a trigger may wait; the oldest are given up.
const WAITING_MAX: i64 = 100_000;

/// Bodies that one answer of [`due`] may carry; the one that passes it is the last of its trigger.
const DUE_BYTES: usize = 8 << 20;

/// Deliveries of a trigger, the newest first.
pub(super) fn list(conn: &Connection, name: &str, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Fault> {
    const SQL: &str = "SELECT seq, id, note_id, event, state, attempts, next_at, status, error, remark, created_at, \
                       settled_at FROM deliveries WHERE trigger = ?1 AND (?2 IS NULL OR state = ?2) AND seq < ?3 \
                       ORDER BY seq DESC LIMIT ?4";
    let Some(trigger) = rows::seq(conn, name)? else {
        return Ok(Vec::new());
    };
    let before = filter
        .before
        .map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let mut statement = conn.prepare_cached(SQL)?;
    let state = filter.state.map(DeliveryState::as_str);
    let mut rows = statement.query(params![trigger, state, before, filter.limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Delivery {
            number: row.get(0)?,
            id: row.get(1)?,
            note: note_id(row, 2)?,
            event: event(row, 3)?,
            state: state_of(row, 4)?,
            attempts: row.get(5)?,
            next_at: optional_time(row, 6)?,
            status: row.get(7)?,
            error: row.get(8)?,
            remark: row.get(9)?,
            created_at: read::time(row.get(10)?)?,
            settled_at: optional_time(row, 11)?,
        });
    }
    Ok(found)
}

/// What is due at `now`.
pub(super) fn due(conn: &Connection, lanes: usize, busy: &[(String, String)], now: Timestamp) -> Result<DueNow, Fault> {
    const TRIGGERS: &str =
        "SELECT seq, name, webhook, timeout_ms, bearer, secret FROM triggers WHERE state = 'enabled' ORDER BY seq";
    let mut statement = conn.prepare_cached(TRIGGERS)?;
    let mut triggers = statement.query([])?;
    let mut found = DueNow::default();
    while let Some(trigger) = triggers.next()? {
        let seq: i64 = trigger.get(0)?;
        let name: String = trigger.get(1)?;
        let working = busy.iter().filter(|(_, of)| *of == name).count();
        let free = lanes.saturating_sub(working);
        if free > 0 {
            let target = Target {
                name,
                webhook: trigger.get(2)?,
                timeout: Duration::from_millis(trigger.get(3)?),
                bearer: trigger.get::<_, Option<String>>(4)?.map(Secret::new),
                secret: Secret::new(trigger.get::<_, String>(5)?),
            };
            heads(conn, seq, &target, free, working, busy, now, &mut found.ready)?;
        }
        let later = next_after(conn, seq, now)?;
        found.next = [found.next, later].into_iter().flatten().min();
    }
    Ok(found)
}

/// A trigger as its receiver needs it.
struct Target {
    name: String,
    webhook: String,
    timeout: Duration,
    bearer: Option<Secret>,
    secret: Secret,
}

#[expect(clippy::too_many_arguments, reason = "one query with its parts")]
fn heads(
    conn: &Connection,
    seq: i64,
    target: &Target,
    free: usize,
    working: usize,
    busy: &[(String, String)],
    now: Timestamp,
    ready: &mut Vec<Due>,
) -> Result<(), Fault> {
    const SQL: &str = "SELECT id, note_id, attempts, body FROM deliveries \
                       WHERE trigger = ?1 AND state = 'waiting' AND next_at <= ?2 ORDER BY next_at, seq LIMIT ?3";
    let limit = i64::try_from(free + working).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query(params![seq, now.as_millisecond(), limit])?;
    let (mut taken, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if busy.iter().any(|(other, _)| *other == id) {
            continue;
        }
        let body: String = row.get(3)?;
        bytes += body.len();
        ready.push(Due {
            id,
            trigger: target.name.clone(),
            note: note_id(row, 1)?,
            attempts: row.get(2)?,
            webhook: target.webhook.clone(),
            timeout: target.timeout,
            bearer: target.bearer.clone(),
            secret: target.secret.clone(),
            body,
        });
        taken += 1;
        if taken == free || bytes >= DUE_BYTES {
            break;
        }
    }
    Ok(())
}

fn next_after(conn: &Connection, trigger: i64, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    const SQL: &str = "SELECT next_at FROM deliveries WHERE trigger = ?1 AND state = 'waiting' AND next_at > ?2 \
                       ORDER BY next_at LIMIT 1";
    let mut statement = conn.prepare_cached(SQL)?;
    let next: Option<i64> = statement
        .query_row(params![trigger, now.as_millisecond()], |row| row.get(0))
        .optional()?;
    next.map(read::time).transpose()
}

/// Where a delivery belongs.
struct Place {
    seq: i64,
    trigger: i64,
    note: NoteId,
    state: DeliveryState,
}

fn place(conn: &Connection, id: &str) -> Result<Option<Place>, Fault> {
    const SQL: &str = "SELECT seq, trigger, note_id, state FROM deliveries WHERE id = ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Place {
        seq: row.get(0)?,
        trigger: row.get(1)?,
        note: note_id(row, 2)?,
        state: state_of(row, 3)?,
    }))
}

/// Takes the outcome of an attempt.
pub(super) fn settle(tx: &Tx<'_>, id: &str, outcome: Outcome, now: Timestamp) -> Result<(), Fault> {
    let Some(place) = place(tx, id)? else { return Ok(()) };
    match outcome {
        Outcome::Delivered { status, reply, remark } => {
            if place.state == DeliveryState::Delivered {
                return Ok(());
            }
            let refused = apply(tx, &place.note, reply, now)?;
            let remarks: Vec<String> = remark.into_iter().chain(refused).collect();
            let remark = (!remarks.is_empty()).then(|| remarks.join("; "));
            const SQL: &str = "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, next_at = NULL, \
                               status = ?2, error = NULL, remark = ?3, settled_at = ?4, body = NULL WHERE seq = ?1";
            tx.prepare_cached(SQL)?
                .execute(params![place.seq, status, remark, now.as_millisecond()])?;
        }
        // Somebody has decided meanwhile.
        _ if place.state != DeliveryState::Waiting => return Ok(()),
        Outcome::Failed { status, error, next_at } => {
            const SQL: &str = "UPDATE deliveries SET attempts = attempts + 1, status = ?2, error = ?3, \
                               next_at = iif(next_at IS NULL, NULL, ?4) WHERE seq = ?1";
            let next_at = next_at.as_millisecond();
            tx.prepare_cached(SQL)?
                .execute(params![place.seq, status, error, next_at])?;
        }
        Outcome::Dead { status, error } => {
            const SQL: &str = "UPDATE deliveries SET state = 'dead', attempts = attempts + 1, next_at = NULL, \
                               status = ?2, error = ?3, settled_at = ?4 WHERE seq = ?1";
            tx.prepare_cached(SQL)?
                .execute(params![place.seq, status, error, now.as_millisecond()])?;
        }
        Outcome::Gone { status, error } => {
            const SQL: &str = "UPDATE deliveries SET state = 'dead', attempts = attempts + (seq = ?2), next_at = NULL, \
                               status = iif(seq = ?2, ?3, status), error = ?4, settled_at = ?5 \
                               WHERE trigger = ?1 AND state = 'waiting'";
            tx.prepare_cached(SQL)?
                .execute(params![place.trigger, place.seq, status, error, now.as_millisecond()])?;
            return rows::gone(tx, place.trigger, now);
        }
    }
    line_up(tx, place.trigger, &place.note, now)
}

/// Writes what the receiver asked for. Answers why not, when the note does not take it.
fn apply(tx: &Tx<'_>, note: &NoteId, reply: Reply, now: Timestamp) -> Result<Option<String>, Fault> {
    if reply == Reply::default() {
        return Ok(None);
    }
    tx.execute_batch("SAVEPOINT reply")?;
    match write_reply(&tx.quiet(), note, reply, now) {
        Ok(()) => {
            tx.execute_batch("RELEASE reply")?;
            Ok(None)
        }
        Err(Fault::Refused(error)) => {
            tx.execute_batch("ROLLBACK TO reply; RELEASE reply")?;
            Ok(Some(format!("what it asked to be written was not: {error}")))
        }
        Err(fault) => Err(fault),
    }
}

fn write_reply(tx: &Tx<'_>, note: &NoteId, reply: Reply, now: Timestamp) -> Result<(), Fault> {
    let key = Key::Id(note.clone());
    let patch = Patch {
        content: reply.content.map_or(ContentChange::Keep, ContentChange::Replace),
        metadata: reply.metadata,
        ..Patch::default()
    };
    write::patch(tx, &key, patch, Precondition::Force, now)?;
    if reply.attachments.is_empty() {
        return Ok(());
    }
    let seq = read::existing(tx, &key)?.seq;
    for attachment in reply.attachments {
        files::attach(tx, seq, note, attachment, now)?;
    }
    Ok(())
}

/// Lets the first that waits of a note be due, and no other.
fn line_up(tx: &Tx<'_>, trigger: i64, note: &NoteId, now: Timestamp) -> Result<(), Fault> {
    const FIRST: &str = "SELECT seq, next_at FROM deliveries WHERE trigger = ?1 AND note_id = ?2 AND state = 'waiting' \
                         ORDER BY seq LIMIT 1";
    let mut statement = tx.prepare_cached(FIRST)?;
    let first: Option<(i64, Option<i64>)> = statement
        .query_row(params![trigger, note.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, None)) = first else { return Ok(()) };
    tx.prepare_cached("UPDATE deliveries SET next_at = ?2 WHERE seq = ?1")?
        .execute(params![seq, now.as_millisecond()])?;
    tx.tell();
    Ok(())
}

/// Makes deliveries due now that are dead or wait for their next attempt.
pub(super) fn redrive(tx: &Tx<'_>, name: &str, ids: Option<&[String]>, now: Timestamp) -> Result<u64, Fault> {
    // One that waits behind another one is not counted: it goes when it is its turn.
    const ONE: &str = "UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = NULL, settled_at = NULL \
                       WHERE trigger = ?1 AND id = ?2 AND (state = 'dead' OR (state = 'waiting' AND next_at IS NOT NULL)) \
                       RETURNING note_id";
    const ALL: &str = "UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = NULL, settled_at = NULL \
                       WHERE trigger = ?1 AND (state = 'dead' OR (state = 'waiting' AND next_at IS NOT NULL)) \
                       RETURNING note_id";
    let Some(trigger) = rows::seq(tx, name)? else {
        return Ok(0);
    };
    let mut notes = Vec::new();
    match ids {
        Some(ids) => {
            let mut statement = tx.prepare_cached(ONE)?;
            for id in ids {
                let note: Option<String> = statement.query_row(params![trigger, id], |row| row.get(0)).optional()?;
                notes.extend(note);
            }
        }
        None => {
            let mut statement = tx.prepare_cached(ALL)?;
            let found = statement.query_map([trigger], |row| row.get(0))?;
            notes = found.collect::<Result<_, _>>()?;
        }
    }
    let count = notes.len();
    notes.sort_unstable();
    notes.dedup();
    for note in notes {
        line_up_again(tx, trigger, &note, now)?;
    }
    tx.tell();
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// As [`line_up`], when an earlier one has come back before one that was first.
fn line_up_again(tx: &Tx<'_>, trigger: i64, note: &str, now: Timestamp) -> Result<(), Fault> {
    const SQL: &str = "UPDATE deliveries SET next_at = iif(seq = (SELECT min(seq) FROM deliveries WHERE trigger = ?1 \
                       AND note_id = ?2 AND state = 'waiting'), ?3, NULL) \
                       WHERE trigger = ?1 AND note_id = ?2 AND state = 'waiting'";
    tx.prepare_cached(SQL)?
        .execute(params![trigger, note, now.as_millisecond()])?;
    Ok(())
}

/// Removes what is too old or too much.
pub(super) fn prune(tx: &Tx<'_>, now: Timestamp) -> Result<u64, Fault> {
    let mut triggers = tx.prepare_cached("SELECT seq FROM triggers")?;
    let triggers = triggers.query_map([], |row| row.get(0))?;
    let triggers: Vec<i64> = triggers.collect::<Result<_, _>>()?;
    let mut removed = 0;
    for trigger in triggers {
        give_up_surplus(tx, trigger, now)?;
        for (state, age, most) in [
            (DeliveryState::Delivered, DELIVERED_MS, DELIVERED_MAX),
            (DeliveryState::Dead, DEAD_MS, DEAD_MAX),
        ] {
            const SQL: &str = "DELETE FROM deliveries WHERE trigger = ?1 AND state = ?2 AND (settled_at < ?3 OR seq <= \
                               (SELECT seq FROM deliveries WHERE trigger = ?1 AND state = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?4))";
            let before = now.as_millisecond().saturating_sub(age);
            removed += tx
                .prepare_cached(SQL)?
                .execute(params![trigger, state.as_str(), before, most])?;
        }
    }
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

/// Gives up the oldest of those that wait when there are too many.
fn give_up_surplus(tx: &Tx<'_>, trigger: i64, now: Timestamp) -> Result<(), Fault> {
    const SQL: &str = "UPDATE deliveries SET state = 'dead', next_at = NULL, settled_at = ?2, error = ?3 \
                       WHERE trigger = ?1 AND state = 'waiting' AND seq <= (SELECT seq FROM deliveries \
                       WHERE trigger = ?1 AND state = 'waiting' ORDER BY seq DESC LIMIT 1 OFFSET ?4) RETURNING note_id";
    let error = format!("more than {WAITING_MAX} deliveries of this trigger waited; the oldest were given up");
    let mut statement = tx.prepare_cached(SQL)?;
    let notes = statement.query_map(params![trigger, now.as_millisecond(), error, WAITING_MAX], |row| {
        row.get(0)
    })?;
    let mut notes: Vec<String> = notes.collect::<Result<_, _>>()?;
    notes.sort_unstable();
    notes.dedup();
    for note in notes {
        let note = NoteId::new(note).map_err(|error| Fault::damaged("note id", error))?;
        line_up(tx, trigger, &note, now)?;
    }
    Ok(())
}

/// How many were given up.
pub(super) fn dead(conn: &Connection) -> Result<u64, Fault> {
    const SQL: &str = "SELECT coalesce(sum((SELECT count(*) FROM deliveries WHERE trigger = t.seq AND state = 'dead')), 0) \
                       FROM triggers t";
    Ok(conn.prepare_cached(SQL)?.query_row([], |row| row.get(0))?)
}

fn note_id(row: &Row<'_>, column: usize) -> Result<NoteId, Fault> {
    NoteId::new(row.get::<_, String>(column)?).map_err(|error| Fault::damaged("note id", error))
}

fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Fault> {
    row.get::<_, Option<i64>>(column)?.map(read::time).transpose()
}

fn event(row: &Row<'_>, column: usize) -> Result<Event, Fault> {
    let text: String = row.get(column)?;
    match text.as_str() {
        "created" => Ok(Event::Created),
        "updated" => Ok(Event::Updated),
        other => Err(Fault::damaged("event", other)),
    }
}

fn state_of(row: &Row<'_>, column: usize) -> Result<DeliveryState, Fault> {
    let text: String = row.get(column)?;
    match text.as_str() {
        "waiting" => Ok(DeliveryState::Waiting),
        "delivered" => Ok(DeliveryState::Delivered),
        "dead" => Ok(DeliveryState::Dead),
        other => Err(Fault::damaged("state of a delivery", other)),
    }
}
