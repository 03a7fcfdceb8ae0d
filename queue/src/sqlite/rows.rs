//! Between rows and the words of the queue.

use jiff::Timestamp;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Deserialize as _;
use serde_json::Value;
use uuid::Uuid;

use super::Fault;
use crate::model::{
    ChannelName, Conversation, Effect, EffectState, Lane, Message, MessageMode, Overdue, Overview, Place, Spend, State,
    ThreadKey, Turn,
};

/// Columns of a turn with its conversation, in the order that [`turn`] reads.
pub(super) const TURN: &str = "t.id, t.conversation, t.channel, c.thread, t.vault, t.note, t.body, t.state, t.interruptions, \
     t.accepted_at, t.claimed_at, t.settled_at, t.record, t.input_tokens, t.output_tokens, t.cache_read_tokens, \
     t.cache_write_tokens, t.nano_usd, t.chain, t.mode, t.held, t.leader, t.owner, t.lease_until";
/// Number of columns in [`TURN`].
pub(super) const TURN_COLUMNS: usize = 24;
/// Columns of a conversation, in the order that [`conversation`] reads.
pub(super) const CONVERSATION: &str = "id, channel, thread, session, session_cwd, turns, started_at, input_tokens, \
     output_tokens, cache_read_tokens, cache_write_tokens, nano_usd";
/// Number of columns in [`CONVERSATION`].
pub(super) const CONVERSATION_COLUMNS: usize = 12;
/// Columns of an effect, in the order that [`effect`] reads.
pub(super) const EFFECT: &str = "id, turn, target, body, parked, attempts, due_at, last_error";
/// Where `due_at` is in [`EFFECT`].
pub(super) const EFFECT_DUE_AT: usize = 6;
/// Deepest nesting of a stored body. Twice what `serde_json` reads by default, so that whatever came in as JSON can be wrapped
/// and still be stored; small enough to be read back on a thread's stack.
const DEPTH_MAX: usize = 256;

pub(super) fn time(ms: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(ms).map_err(|error| Fault::Corrupt(format!("a time: {error}")))
}

pub(super) fn channel(text: String) -> Result<ChannelName, Fault> {
    text.try_into()
        .map_err(|error: crate::InvalidName| Fault::Corrupt(error.to_string()))
}

pub(super) fn lane(channel: String, thread: &str) -> Result<Lane, Fault> {
    let channel = self::channel(channel)?;
    let thread = ThreadKey::decode(thread).ok_or_else(|| Fault::Corrupt(format!("the thread key {thread:?}")))?;
    Ok(Lane { channel, thread })
}

/// A body as it is stored; refused when it could not be read back.
pub(super) fn text(body: &Value) -> Result<String, Fault> {
    if deeper_than(body, DEPTH_MAX) {
        return Err(Fault::Refused(format!(
            "a body is nested deeper than {DEPTH_MAX} levels"
        )));
    }
    Ok(body.to_string())
}

fn deeper_than(body: &Value, levels: usize) -> bool {
    let below = |inner: &Value| levels == 0 || deeper_than(inner, levels - 1);
    match body {
        Value::Array(items) => items.iter().any(below),
        Value::Object(fields) => fields.values().any(below),
        _ => false,
    }
}

pub(super) fn json(text: &str) -> Result<Value, Fault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    // Bounded when it was written.
    reader.disable_recursion_limit();
    let body = Value::deserialize(&mut reader).and_then(|body| reader.end().map(|()| body));
    body.map_err(|error| Fault::Corrupt(format!("a stored body: {error}")))
}

fn spend(row: &Row<'_>, first: usize) -> rusqlite::Result<Spend> {
    Ok(Spend {
        input_tokens: row.get(first)?,
        output_tokens: row.get(first + 1)?,
        cache_read_tokens: row.get(first + 2)?,
        cache_write_tokens: row.get(first + 3)?,
        nano_usd: row.get(first + 4)?,
    })
}

pub(super) fn turn(row: &Row<'_>) -> Result<Turn, Fault> {
    let record: Option<String> = row.get(12)?;
    let claimed_by: Option<String> = row.get(22)?;
    let claim_ends = row.get::<_, Option<i64>>(23)?.filter(|_| claimed_by.is_some());
    Ok(Turn {
        id: row.get(0)?,
        conversation: row.get(1)?,
        message: Message {
            lane: lane(row.get(2)?, &row.get::<_, String>(3)?)?,
            chain: row.get(18)?,
            mode: mode(&row.get::<_, String>(19)?)?,
            vault: row.get(4)?,
            note: row.get(5)?,
            body: json(&row.get::<_, String>(6)?)?,
        },
        state: state(&row.get::<_, String>(7)?)?,
        held: row.get(20)?,
        leader: row.get(21)?,
        claimed_by,
        claim_ends: claim_ends.map(time).transpose()?,
        interruptions: row.get(8)?,
        accepted_at: time(row.get(9)?)?,
        claimed_at: row.get::<_, Option<i64>>(10)?.map(time).transpose()?,
        settled_at: row.get::<_, Option<i64>>(11)?.map(time).transpose()?,
        record: record.as_deref().map(json).transpose()?,
        spend: spend(row, 13)?,
    })
}

pub(super) fn conversation(row: &Row<'_>) -> Result<Conversation, Fault> {
    conversation_at(row, 0)
}

/// The same behind other columns.
pub(super) fn conversation_at(row: &Row<'_>, first: usize) -> Result<Conversation, Fault> {
    let session: Option<Uuid> = row.get(first + 3)?;
    let cwd: Option<String> = row.get(first + 4)?;
    Ok(Conversation {
        id: row.get(first)?,
        lane: lane(row.get(first + 1)?, &row.get::<_, String>(first + 2)?)?,
        session: session.zip(cwd),
        turns: row.get(first + 5)?,
        started_at: row.get::<_, Option<i64>>(first + 6)?.map(time).transpose()?,
        spend: spend(row, first + 7)?,
    })
}

fn overview(row: &Row<'_>) -> Result<Overview, Fault> {
    let last: Option<Uuid> = row.get(3)?;
    let last = match last {
        Some(id) => Some((id, state(&row.get::<_, String>(4)?)?, time(row.get(5)?)?)),
        None => None,
    };
    Ok(Overview {
        channel: channel(row.get(0)?)?,
        waiting: row.get(1)?,
        turns: row.get(2)?,
        last,
        spend: spend(row, 6)?,
    })
}

fn mode(text: &str) -> Result<MessageMode, Fault> {
    MessageMode::parse(text).ok_or_else(|| Fault::Corrupt(format!("the message mode {text:?}")))
}

pub(super) fn state(text: &str) -> Result<State, Fault> {
    State::parse(text).ok_or_else(|| Fault::Corrupt(format!("the state {text:?}")))
}

pub(super) fn effect(row: &Row<'_>) -> Result<Effect, Fault> {
    Ok(Effect {
        id: row.get(0)?,
        turn: row.get(1)?,
        target: row.get(2)?,
        body: json(&row.get::<_, String>(3)?)?,
        state: if row.get(4)? {
            EffectState::Parked
        } else {
            EffectState::Pending
        },
        attempts: row.get(5)?,
        due_at: time(row.get(EFFECT_DUE_AT)?)?,
        last_error: row.get(7)?,
    })
}

/// An effect, the channel of its turn, the end of its turn, and whether it is behind another one.
pub(super) fn overdue(row: &Row<'_>) -> Result<Overdue, Fault> {
    Ok(Overdue {
        effect: effect(row)?,
        channel: lane(row.get(8)?, "main")?.channel,
        since: time(row.get(9)?)?,
        behind: row.get(10)?,
    })
}

/// The turn that a message was accepted as.
pub(super) fn accepted_turn(connection: &Connection, vault: &str, note: &str) -> Result<Option<Uuid>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id FROM turns WHERE vault = ? AND note = ?")?;
    Ok(statement.query_row(params![vault, note], |row| row.get(0)).optional()?)
}

/// The sum of a column, exact, in two halves: SQLite's own fails when it is too large, this one ends at the largest number.
pub(super) fn sum(column: &str) -> String {
    let (high, low) = (format!("sum({column} >> 32)"), format!("sum({column} & 4294967295)"));
    format!(
        "iif({high} + ({low} >> 32) >= 2147483648, {}, ({high} << 32) + {low})",
        i64::MAX
    )
}

/// Turns by a part of their identity. Identities are made in order of time, so their index ends with the newest.
pub(super) fn called(connection: &Connection, part: &str, most: u32) -> Result<Vec<Uuid>, Fault> {
    if part.is_empty() || !part.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    collect(
        connection,
        "SELECT id FROM (SELECT id FROM turns ORDER BY id DESC LIMIT 100000) \
         WHERE hex(id) LIKE ?1 || '%' OR hex(id) LIKE '%' || ?1 LIMIT ?2",
        params![part, most],
        |row| Ok(row.get(0)?),
    )
}

/// All rows of a query, each through `read`.
pub(super) fn collect<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Turns with their conversation, picked by a condition on `t`.
pub(super) fn turns(connection: &Connection, rest: &str, parameters: Vec<SqlValue>) -> Result<Vec<Turn>, Fault> {
    let sql = format!("SELECT {TURN} FROM turns t JOIN conversations c ON c.id = t.conversation {rest}");
    collect(connection, &sql, params_from_iter(parameters), turn)
}

/// How far a line is counted to tell a place in it.
pub(super) const COUNTED_AHEAD: u64 = 999;

/// Whether a turn of a conversation is worked on.
pub(super) fn is_worked_on(connection: &Connection, channel: &ChannelName, conversation: Uuid) -> Result<bool, Fault> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM turns WHERE channel = ? AND conversation = ? AND state = 'working'")?
        .exists(params![channel.as_str(), conversation])?)
}

/// How many turns of a conversation are worked on: from outside several may be at once.
pub(super) fn working(connection: &Connection, channel: &ChannelName, conversation: Uuid) -> Result<u64, Fault> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM turns WHERE channel = ? AND conversation = ? AND state = 'working'")?
        .query_row(params![channel.as_str(), conversation], |row| row.get(0))?)
}

/// Where an open turn stands in line. Bounded: a long line is not counted to its end.
pub(super) fn place(connection: &Connection, turn: Uuid) -> Result<Option<Place>, Fault> {
    let sql = format!(
        // One that joined stands where the turn does that it is part of.
        "SELECT l.conversation, iif(l.state = 'waiting', \
         (SELECT count(*) FROM turns w WHERE w.channel = l.channel AND w.conversation = l.conversation \
          AND w.state = 'working') \
         + (SELECT count(*) FROM (SELECT 1 FROM turns w WHERE w.channel = l.channel AND w.conversation = l.conversation \
            AND w.state = 'waiting' AND w.held = 0 AND w.rank < l.rank LIMIT {COUNTED_AHEAD})), 0) \
         FROM turns t JOIN turns l ON l.id = coalesce(t.leader, t.id) \
         WHERE t.id = ? AND t.state IN ('waiting', 'working', 'joined')"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let read = |row: &Row<'_>| {
        Ok(Place {
            conversation: row.get(0)?,
            ahead: row.get(1)?,
        })
    };
    Ok(statement.query_row([turn], read).optional()?)
}

/// Every channel at a glance, or one. What is counted has been counted before.
pub(super) fn overviews(connection: &Connection, channel: Option<&ChannelName>) -> Result<Vec<Overview>, Fault> {
    let which = if channel.is_some() { "WHERE k.channel = ?" } else { "" };
    let sql = format!(
        "SELECT k.channel, \
             (SELECT count(*) FROM turns w WHERE w.channel = k.channel AND w.state = 'waiting'), \
             k.turns, l.id, l.state, l.settled_at, k.input_tokens, k.output_tokens, k.cache_read_tokens, \
             k.cache_write_tokens, k.nano_usd FROM totals k \
             LEFT JOIN turns l ON l.seq = (SELECT seq FROM turns s WHERE s.channel = k.channel \
                   AND s.settled_at IS NOT NULL ORDER BY s.settled_at DESC, s.seq DESC LIMIT 1) \
             {which} ORDER BY k.channel"
    );
    collect(
        connection,
        &sql,
        params_from_iter(channel.map(ChannelName::as_str)),
        overview,
    )
}
