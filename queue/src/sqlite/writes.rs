//! What the writer does inside its transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::counts::Counts;
use super::{Fault, control, line, rows};
use crate::model::{
    Accepted, Claim, Conversation, FeedCursor, Lane, Lease, Message, MessageMode, NewEffect, Place, Position, Recovery,
    SessionUpdate, Settlement, Spend, State,
};

/// The conversation of a lane, made when there is none.
fn conversation_of(connection: &Connection, lane: &Lane, fresh: impl FnOnce() -> Uuid) -> Result<Uuid, Fault> {
    let thread = lane.thread.encode();
    let mut find = connection.prepare_cached("SELECT id FROM conversations WHERE channel = ? AND thread = ?")?;
    let found = find
        .query_row(params![lane.channel.as_str(), thread], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let id = fresh();
    connection
        .prepare_cached("INSERT INTO conversations (id, channel, thread) VALUES (?, ?, ?)")?
        .execute(params![id, lane.channel.as_str(), thread])?;
    Ok(id)
}

pub(super) fn accept(
    connection: &Connection,
    messages: &[Message],
    cursor: Option<&FeedCursor>,
    (now, counts): (Timestamp, &Counts),
    ids: &dyn Fn() -> Uuid,
) -> Result<Vec<Accepted>, Fault> {
    let mut answers = Vec::with_capacity(messages.len());
    for message in messages {
        if let Some(turn) = rows::accepted_turn(connection, &message.vault, &message.note)? {
            refresh(connection, turn, message)?;
            answers.push(Accepted {
                turn,
                fresh: false,
                place: None,
            });
            continue;
        }
        let turn = ids();
        let place = insert(connection, turn, message, (now, counts), ids)?;
        answers.push(Accepted {
            turn,
            fresh: true,
            place: Some(place),
        });
    }
    if let Some(cursor) = cursor {
        let at = i64::try_from(cursor.at).map_err(|_| {
            Fault::Refused(format!(
                "the cursor {} of the feed {:?} is out of range",
                cursor.at, cursor.feed
            ))
        })?;
        connection
            .prepare_cached(
                "INSERT INTO cursors (feed, at) VALUES (?, ?) \
                 ON CONFLICT (feed) DO UPDATE SET at = excluded.at WHERE excluded.at > at",
            )?
            .execute(params![cursor.feed, at])?;
    }
    Ok(answers)
}

fn insert(
    connection: &Connection,
    turn: Uuid,
    message: &Message,
    (now, counts): (Timestamp, &Counts),
    ids: &dyn Fn() -> Uuid,
) -> Result<Place, Fault> {
    let conversation = conversation_of(connection, &message.lane, ids)?;
    let waiting = counts.arrives(connection, &message.lane.channel, conversation)?;
    connection
        .prepare_cached(
            // The rank is the `seq` that AUTOINCREMENT is about to give: there is one writer.
            "INSERT INTO turns (id, conversation, channel, vault, note, body, state, accepted_at, chain, mode, rank) \
             VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, \
                     1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'turns'), 0))",
        )?
        .execute(params![
            turn,
            conversation,
            message.lane.channel.as_str(),
            message.vault,
            message.note,
            rows::text(&message.body)?,
            now.as_millisecond(),
            message.chain,
            message.mode.as_str(),
        ])?;
    let mut ahead = waiting;
    if message.mode == MessageMode::Interrupt {
        line::reposition(connection, turn, Position::First)?;
        ahead = 0;
    }
    Ok(Place {
        conversation,
        ahead: ahead.min(rows::COUNTED_AHEAD) + rows::working(connection, &message.lane.channel, conversation)?,
    })
}

/// A message that was edited while it waits: its turn takes the new text over.
fn refresh(connection: &Connection, turn: Uuid, message: &Message) -> Result<(), Fault> {
    let body = rows::text(&message.body)?;
    connection
        .prepare_cached(
            "UPDATE turns SET body = ?2 WHERE id = ?1 AND state = 'waiting' AND interruptions = 0 AND body <> ?2 \
             AND conversation = (SELECT id FROM conversations WHERE channel = ?3 AND thread = ?4)",
        )?
        .execute(params![
            turn,
            body,
            message.lane.channel.as_str(),
            message.lane.thread.encode()
        ])?;
    Ok(())
}

pub(super) fn rewind(connection: &Connection, feed: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM cursors WHERE feed = ?")?
        .execute([feed])?;
    Ok(())
}

/// The turn of a lane that is next.
pub(super) const HEAD: &str = "SELECT id FROM turns WHERE channel = ? AND conversation = ? AND state = 'waiting' AND held = 0 \
     ORDER BY rank LIMIT 1";

/// The turn of a lane that a worker may claim now, with its conversation.
fn next(connection: &Connection, lane: &Lane, now: Timestamp) -> Result<Option<(Uuid, Conversation)>, Fault> {
    let sql = format!(
        "SELECT {} FROM conversations WHERE channel = ? AND thread = ?",
        rows::CONVERSATION
    );
    let found = rows::collect(
        connection,
        &sql,
        params![lane.channel.as_str(), lane.thread.encode()],
        rows::conversation,
    )?;
    let Some(conversation) = found.into_iter().next() else {
        return Ok(None);
    };
    let line = params![lane.channel.as_str(), conversation.id];
    let busy = rows::is_worked_on(connection, &lane.channel, conversation.id)?;
    let head: Option<Uuid> = connection
        .prepare_cached(HEAD)?
        .query_row(line, |row| row.get(0))
        .optional()?;
    let Some(turn) = head.filter(|_| !busy) else {
        return Ok(None);
    };
    let paused = control::is_paused(connection, &lane.channel, now)?;
    Ok((!paused).then_some((turn, conversation)))
}

pub(super) fn claim(
    connection: &Connection,
    lane: &Lane,
    (now, lease_until): (Timestamp, Timestamp),
    counts: &Counts,
) -> Result<Option<Claim>, Fault> {
    let Some((turn, mut conversation)) = next(connection, lane, now)? else {
        return Ok(None);
    };
    let claim = give(connection, turn, None, &mut conversation, (now, lease_until))?;
    match claim.joined.is_empty() {
        true => counts.leaves(&lane.channel, claim.conversation.id),
        // Some of them may have joined an earlier attempt, and waited no more.
        false => counts.forget(),
    }
    Ok(Some(claim))
}

/// What [`claim`] would give. The epoch is the one before that claim.
pub(super) fn peek(connection: &Connection, lane: &Lane, now: Timestamp) -> Result<Option<Claim>, Fault> {
    let Some((turn, conversation)) = next(connection, lane, now)? else {
        return Ok(None);
    };
    claimed(connection, turn, conversation, now).map(Some)
}

/// Makes a waiting turn one that is worked on; `owner`: by somebody outside.
pub(super) fn give(
    connection: &Connection,
    turn: Uuid,
    owner: Option<&str>,
    conversation: &mut Conversation,
    (now, lease_until): (Timestamp, Timestamp),
) -> Result<Claim, Fault> {
    connection
        .prepare_cached(
            "UPDATE turns SET state = 'working', epoch = epoch + 1, claimed_at = ?, lease_until = ?, owner = ?, \
             generation = (SELECT generation FROM conversations c WHERE c.id = turns.conversation) WHERE id = ?",
        )?
        .execute(params![now.as_millisecond(), lease_until.as_millisecond(), owner, turn])?;
    if conversation.started_at.is_none() {
        connection
            .prepare_cached("UPDATE conversations SET started_at = ? WHERE id = ?")?
            .execute(params![now.as_millisecond(), conversation.id])?;
        conversation.started_at = Some(rows::time(now.as_millisecond())?);
    }
    line::join(connection, turn)?;
    claimed(connection, turn, conversation.clone(), now)
}

/// Everything that the worker of a turn needs to know.
pub(super) fn claimed(
    connection: &Connection,
    turn: Uuid,
    conversation: Conversation,
    now: Timestamp,
) -> Result<Claim, Fault> {
    let sql = format!(
        "SELECT {}, t.epoch, t.cut_session FROM turns t JOIN conversations c ON c.id = t.conversation WHERE t.id = ?",
        rows::TURN
    );
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            rows::turn(row)?,
            row.get::<_, u64>(rows::TURN_COLUMNS)?,
            row.get::<_, Option<Uuid>>(rows::TURN_COLUMNS + 1)?,
        ))
    };
    let gone = || Fault::Corrupt(format!("the turn {turn} is gone"));
    let (row, epoch, begun_session) = rows::collect(connection, &sql, [turn], read)?
        .into_iter()
        .next()
        .ok_or_else(gone)?;
    let joined = match row.message.mode {
        MessageMode::Collect => line::joined(connection, turn)?,
        _ => Vec::new(),
    };
    Ok(Claim {
        lease: Lease { turn, epoch },
        spent: row.spend,
        chain: control::chain(connection, &row)?,
        today: control::day(connection, &row.message.lane.channel, now)?,
        message: row.message,
        conversation,
        interruptions: row.interruptions,
        begun_session,
        accepted_at: row.accepted_at,
        joined,
    })
}

/// Runs an `UPDATE turns SET …` under a lease; nobody else may have claimed or settled the turn.
pub(super) fn under(
    connection: &Connection,
    lease: Lease,
    set: &str,
    values: impl rusqlite::Params,
) -> Result<(), Fault> {
    let held = i64::try_from(lease.epoch).ok().map(|epoch| {
        connection
            .prepare_cached("SELECT 1 FROM turns WHERE id = ? AND epoch = ? AND state = 'working'")?
            .exists(params![lease.turn, epoch])
    });
    if !held.transpose()?.unwrap_or(false) {
        return Err(Fault::Stale(lease.turn));
    }
    connection
        .prepare_cached(&format!("UPDATE turns SET {set} WHERE id = ?1"))?
        .execute(values)?;
    Ok(())
}

pub(super) fn heartbeat(connection: &Connection, lease: Lease, lease_until: Timestamp) -> Result<(), Fault> {
    under(
        connection,
        lease,
        "lease_until = ?2",
        params![lease.turn, lease_until.as_millisecond()],
    )
}

pub(super) fn begin(connection: &Connection, lease: Lease, session: Uuid) -> Result<(), Fault> {
    under(connection, lease, "begun_session = ?2", params![lease.turn, session])
}

pub(super) fn unbegin(connection: &Connection, lease: Lease) -> Result<(), Fault> {
    under(
        connection,
        lease,
        "begun_session = NULL, \
         interruptions = iif(begun_session IS NULL, max(interruptions - 1, 0), interruptions), \
         cut_session = iif(begun_session IS NULL AND interruptions <= 1, NULL, cut_session)",
        params![lease.turn],
    )
}

/// Back in line. The session of the attempt is forgotten with the conversation's, when that was reset meanwhile.
pub(super) const REQUEUE: &str = "state = 'waiting', lease_until = NULL, owner = NULL, interruptions = interruptions + (begun_session IS NOT NULL), \
     cut_session = iif(generation = (SELECT generation FROM conversations c WHERE c.id = turns.conversation), \
     coalesce(begun_session, cut_session), NULL), begun_session = NULL";

/// Adds what an attempt took to what the turn took so far; parameters 2 to 6 in the order of [`amounts`], 7 the largest sum.
const SPENT: &str = "input_tokens = min(input_tokens + ?2, ?7), output_tokens = min(output_tokens + ?3, ?7), \
     cache_read_tokens = min(cache_read_tokens + ?4, ?7), cache_write_tokens = min(cache_write_tokens + ?5, ?7), \
     nano_usd = min(nano_usd + ?6, ?7)";

fn amounts(spend: Spend) -> [i64; 5] {
    [
        spend.input_tokens,
        spend.output_tokens,
        spend.cache_read_tokens,
        spend.cache_write_tokens,
        spend.nano_usd,
    ]
    .map(amount)
}

pub(super) fn release(connection: &Connection, lease: Lease, spend: Spend, now: Timestamp) -> Result<(), Fault> {
    let [input, output, read, write, nano] = amounts(spend);
    under(
        connection,
        lease,
        &format!("{REQUEUE}, {SPENT}"),
        params![lease.turn, input, output, read, write, nano, i64::MAX],
    )?;
    control::add_to_day(connection, lease.turn, 0, nano, now)
}

/// Puts claimed turns back: those whose lease ran out before a time, or, without one, all that workers of ours had claimed.
pub(super) fn requeue(connection: &Connection, expired_before: Option<Timestamp>) -> Result<Recovery, Fault> {
    let until = expired_before.map(Timestamp::as_millisecond);
    let gone = "state = 'working' AND iif(?1 IS NULL, owner IS NULL, lease_until < ?1)";
    let interrupted = connection
        .prepare_cached(&format!(
            "SELECT count(*) FROM turns WHERE {gone} AND begun_session IS NOT NULL"
        ))?
        .query_row([until], |row| row.get::<_, u64>(0))?;
    let requeued = connection
        .prepare_cached(&format!("UPDATE turns SET {REQUEUE} WHERE {gone}"))?
        .execute([until])?;
    Ok(Recovery {
        requeued: (requeued as u64).saturating_sub(interrupted),
        interrupted,
    })
}

/// SQLite counts to 2^63 - 1 and turns to floats beyond: amounts, and their sums, end there, as [`crate::Spend::plus`] does.
fn amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The columns that end a turn; parameters 8 to 10: state, time, record.
const ENDED: &str = "state = ?8, settled_at = ?9, record = ?10, lease_until = NULL, begun_session = NULL, held = 0";

pub(super) fn settle(
    connection: &Connection,
    lease: Lease,
    settlement: &Settlement,
    effects: &[NewEffect],
    now: Timestamp,
) -> Result<(), Fault> {
    must_be_terminal(settlement.state)?;
    let [input, output, read, write, nano] = amounts(settlement.spend);
    let record = rows::text(&settlement.record)?;
    under(
        connection,
        lease,
        &format!("{SPENT}, {ENDED}"),
        params![
            lease.turn,
            input,
            output,
            read,
            write,
            nano,
            i64::MAX,
            settlement.state.as_str(),
            now.as_millisecond(),
            record,
        ],
    )?;
    control::add_to_day(connection, lease.turn, 1, nano, now)?;
    ended(connection, lease.turn, settlement, effects, &record, now)
}

/// Ends a turn that waits. Those that had joined it in an earlier attempt go back in line.
pub(super) fn cancel(
    connection: &Connection,
    turn: Uuid,
    settlement: &Settlement,
    effects: &[NewEffect],
    now: Timestamp,
) -> Result<(), Fault> {
    must_be_terminal(settlement.state)?;
    line::must_wait(connection, turn)?;
    let [input, output, read, write, nano] = amounts(settlement.spend);
    let record = rows::text(&settlement.record)?;
    connection
        .prepare_cached(&format!("UPDATE turns SET {SPENT}, {ENDED} WHERE id = ?1"))?
        .execute(params![
            turn,
            input,
            output,
            read,
            write,
            nano,
            i64::MAX,
            settlement.state.as_str(),
            now.as_millisecond(),
            record,
        ])?;
    connection
        .prepare_cached("UPDATE turns SET state = 'waiting', leader = NULL WHERE leader = ? AND state = 'joined'")?
        .execute([turn])?;
    control::add_to_day(connection, turn, 0, nano, now)?;
    ended(connection, turn, settlement, effects, &record, now)
}

fn must_be_terminal(state: State) -> Result<(), Fault> {
    if state.is_terminal() {
        return Ok(());
    }
    Err(Fault::Refused(format!("a turn cannot end as {:?}", state.as_str())))
}

/// What follows from the end of a turn.
fn ended(
    connection: &Connection,
    turn: Uuid,
    settlement: &Settlement,
    effects: &[NewEffect],
    record: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    let now = now.as_millisecond();
    connection
        .prepare_cached(
            "UPDATE turns SET state = ?2, settled_at = ?3, record = ?4 WHERE leader = ?1 AND state = 'joined'",
        )?
        .execute(params![turn, settlement.state.as_str(), now, record])?;
    // A message that was withdrawn while it waited was no turn.
    connection
        .prepare_cached(
            "UPDATE conversations AS c SET turns = turns + (t.claimed_at IS NOT NULL), started_at = coalesce(started_at, t.claimed_at), \
             input_tokens = min(c.input_tokens + t.input_tokens, ?2), \
             output_tokens = min(c.output_tokens + t.output_tokens, ?2), \
             cache_read_tokens = min(c.cache_read_tokens + t.cache_read_tokens, ?2), \
             cache_write_tokens = min(c.cache_write_tokens + t.cache_write_tokens, ?2), \
             nano_usd = min(c.nano_usd + t.nano_usd, ?2) \
             FROM (SELECT * FROM turns WHERE id = ?1) AS t WHERE c.id = t.conversation",
        )?
        .execute(params![turn, i64::MAX])?;
    match &settlement.session {
        SessionUpdate::Keep => {}
        SessionUpdate::Set(session, cwd) => set_session(connection, turn, Some((*session, cwd)))?,
        SessionUpdate::Clear => set_session(connection, turn, None)?,
    }
    for effect in effects {
        connection
            .prepare_cached("INSERT INTO outbox (turn, target, body, due_at) VALUES (?, ?, ?, ?)")?
            .execute(params![turn, effect.target, rows::text(&effect.body)?, now])?;
    }
    Ok(())
}

fn set_session(connection: &Connection, turn: Uuid, session: Option<(Uuid, &String)>) -> Result<(), Fault> {
    connection
        .prepare_cached(
            // Not when it was reset meanwhile.
            "UPDATE conversations AS c SET session = ?2, session_cwd = ?3 \
             FROM (SELECT conversation, generation FROM turns WHERE id = ?1) AS t \
             WHERE c.id = t.conversation AND c.generation = t.generation",
        )?
        .execute(params![turn, session.map(|(id, _)| id), session.map(|(_, cwd)| cwd)])?;
    Ok(())
}
