//! The rows of triggers.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Rule, Tx};
use crate::embedded::fault::Fault;
use crate::embedded::read;
use crate::store::VaultError;
use crate::triggers::{NewTrigger, PutTrigger, Secret, Trigger, TriggerState};

/// Most triggers of a vault: each of them is asked at every write, and has lanes of its own.
const TRIGGERS_MAX: u32 = 64;

/// Longest name, in characters.
const NAME_CHARS: usize = 128;

const COLUMNS: &str = "SELECT t.name, t.events, t.predicate, t.webhook, t.timeout_ms, t.bearer IS NOT NULL, t.state, \
                       t.created_at, t.updated_at, \
                       (SELECT count(*) FROM deliveries WHERE trigger = t.seq AND state = 'waiting'), \
                       (SELECT count(*) FROM deliveries WHERE trigger = t.seq AND state = 'dead') FROM triggers t";

/// Those that leave deliveries.
pub(super) fn rules(conn: &Connection) -> Result<Vec<Rule>, Fault> {
    const SQL: &str = "SELECT seq, name, events, predicate FROM triggers WHERE state <> 'gone' ORDER BY seq";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([])?;
    let mut rules = Vec::new();
    while let Some(row) = rows.next()? {
        rules.push(Rule {
            seq: row.get(0)?,
            name: row.get(1)?,
            events: json(row, 2, "list of events")?,
            when: json(row, 3, "predicate of a trigger")?,
        });
    }
    Ok(rules)
}

pub(super) fn list(conn: &Connection) -> Result<Vec<Trigger>, Fault> {
    let mut statement = conn.prepare_cached(&format!("{COLUMNS} ORDER BY t.name"))?;
    let mut rows = statement.query([])?;
    let mut triggers = Vec::new();
    while let Some(row) = rows.next()? {
        triggers.push(trigger(row)?);
    }
    Ok(triggers)
}

pub(super) fn find(conn: &Connection, name: &str) -> Result<Option<Trigger>, Fault> {
    let mut statement = conn.prepare_cached(&format!("{COLUMNS} WHERE t.name = ?1"))?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(trigger).transpose()
}

/// Makes a trigger, or makes the one of that name this one.
pub(super) fn put(tx: &Tx<'_>, new: NewTrigger, now: Timestamp) -> Result<PutTrigger, Fault> {
    check(&new)?;
    let before = find(tx, &new.name)?;
    if before.is_none() {
        let mut count = tx.prepare_cached("SELECT count(*) FROM triggers")?;
        if count.query_row([], |row| row.get::<_, u32>(0))? >= TRIGGERS_MAX {
            let message = format!("a vault can have {TRIGGERS_MAX} triggers; remove one that is not needed");
            return Err(VaultError::Invalid(message).into());
        }
    }
    let state = match (new.enabled, before.as_ref().map(|before| before.state)) {
        (Some(true), _) | (None, None | Some(TriggerState::Enabled | TriggerState::Gone)) => TriggerState::Enabled,
        (Some(false), _) | (None, Some(TriggerState::Paused)) => TriggerState::Paused,
    };
    let took_secret = before.is_none() || new.rotate;
    const SQL: &str = "INSERT INTO triggers (name, events, predicate, webhook, timeout_ms, bearer, secret, state, created_at, \
                       updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) ON CONFLICT (name) DO UPDATE SET \
                       events = ?2, predicate = ?3, webhook = ?4, timeout_ms = ?5, bearer = ?6, \
                       secret = iif(?10, ?7, secret), state = ?8, updated_at = ?9";
    tx.prepare_cached(SQL)?.execute(params![
        new.name,
        text(&new.events)?,
        text(&new.when.normalised())?,
        new.webhook,
        i64::try_from(new.timeout.as_millis()).unwrap_or(i64::MAX),
        new.bearer.as_ref().map(Secret::expose),
        new.secret.expose(),
        state_text(state),
        now.as_millisecond(),
        took_secret
    ])?;
    tx.changed();
    let trigger = find(tx, &new.name)?.ok_or_else(|| Fault::damaged("trigger", "it is not where it was written"))?;
    Ok(PutTrigger {
        trigger,
        created: before.is_none(),
        took_secret,
    })
}

pub(super) fn enable(tx: &Tx<'_>, name: &str, enabled: bool, now: Timestamp) -> Result<Option<Trigger>, Fault> {
    let state = if enabled {
        TriggerState::Enabled
    } else {
        TriggerState::Paused
    };
    const SQL: &str = "UPDATE triggers SET state = ?2, updated_at = ?3 WHERE name = ?1 AND state <> ?2";
    tx.prepare_cached(SQL)?
        .execute(params![name, state_text(state), now.as_millisecond()])?;
    tx.changed();
    find(tx, name)
}

/// The receiver has said that it is gone.
pub(super) fn gone(tx: &Tx<'_>, seq: i64, now: Timestamp) -> Result<(), Fault> {
    tx.prepare_cached("UPDATE triggers SET state = 'gone', updated_at = ?2 WHERE seq = ?1")?
        .execute(params![seq, now.as_millisecond()])?;
    tx.changed();
    Ok(())
}

pub(super) fn remove(tx: &Tx<'_>, name: &str) -> Result<bool, Fault> {
    let removed = tx
        .prepare_cached("DELETE FROM triggers WHERE name = ?1")?
        .execute([name])?;
    tx.changed();
    Ok(removed > 0)
}

/// The trigger's place, by its name.
pub(super) fn seq(conn: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    let mut statement = conn.prepare_cached("SELECT seq FROM triggers WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

fn check(new: &NewTrigger) -> Result<(), Fault> {
    let wrong = |message: String| Err(VaultError::Invalid(message).into());
    let name = &new.name;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return wrong(format!(
            "{name:?} is no name of a trigger: 1 to {NAME_CHARS} characters, without control characters"
        ));
    }
    if new.events.is_empty() {
        return wrong("a trigger asks for `created`, `updated` or both".into());
    }
    if new
        .when
        .tags
        .iter()
        .any(|tag| tag.trim().trim_start_matches('#').is_empty())
    {
        return wrong("a tag that a trigger asks for is blank".into());
    }
    Ok(())
}

fn trigger(row: &Row<'_>) -> Result<Trigger, Fault> {
    Ok(Trigger {
        name: row.get(0)?,
        events: json(row, 1, "list of events")?,
        when: json(row, 2, "predicate of a trigger")?,
        webhook: row.get(3)?,
        timeout: Duration::from_millis(row.get(4)?),
        has_bearer: row.get(5)?,
        state: state(row, 6)?,
        created_at: read::time(row.get(7)?)?,
        updated_at: read::time(row.get(8)?)?,
        waiting: row.get(9)?,
        dead: row.get(10)?,
    })
}

fn state_text(state: TriggerState) -> &'static str {
    match state {
        TriggerState::Enabled => "enabled",
        TriggerState::Paused => "paused",
        TriggerState::Gone => "gone",
    }
}

fn state(row: &Row<'_>, column: usize) -> Result<TriggerState, Fault> {
    let text: String = row.get(column)?;
    match text.as_str() {
        "enabled" => Ok(TriggerState::Enabled),
        "paused" => Ok(TriggerState::Paused),
        "gone" => Ok(TriggerState::Gone),
        other => Err(Fault::damaged("state of a trigger", other)),
    }
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize, what: &str) -> Result<T, Fault> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| Fault::damaged(what, error))
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| VaultError::Invalid(error.to_string()).into())
}
