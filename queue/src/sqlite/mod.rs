//! The queue in one SQLite file: one writer with group commit, one reading connection.

mod control;
mod counts;
mod fault;
mod file;
#[cfg(test)]
mod growth;
mod line;
mod names;
mod options;
mod outbox;
mod period;
mod rows;
mod schema;
mod taken;
mod threads;
#[cfg(test)]
mod upgrade;
mod words;
mod writer;
mod writes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;
use uuid::Uuid;

use crate::model::{
    Accepted, Binding, ChannelName, Claim, Conversation, DayTotals, Effect, FeedCursor, Forgotten, Front, Held, Lane,
    Lease, Listed, ListedPage, Listing, Load, Message, NewEffect, Overdue, Overview, Pause, Period, Place, Position,
    Recovery, Renamed, Settlement, Spend, ThreadKey, Turn,
};
use crate::queue::{ControlError, Forget, LeaseError, Queue, QueueError};
use counts::Counts;
use fault::Fault;
pub use options::Options;
pub use schema::TABLES;
use writer::{How, Writer};

/// In whole milliseconds, as it is stored; the end of time for what is too long.
fn later(now: Timestamp, span: Duration) -> Timestamp {
    let until = SignedDuration::try_from(span).and_then(|span| now.checked_add(span));
    let end = Timestamp::MAX.as_second().saturating_mul(1000);
    let until = until.map_or(end, |until| until.as_millisecond().min(end));
    Timestamp::from_millisecond(until).unwrap_or(now)
}

fn blob(id: Option<Uuid>) -> rusqlite::types::Value {
    id.map_or(rusqlite::types::Value::Null, |id| id.as_bytes().to_vec().into())
}

fn found_any(found: &Recovery) -> bool {
    *found != Recovery::default()
}

/// The queue in one SQLite file.
pub struct SqliteQueue {
    options: Options,
    counts: Counts,
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    watched: watch::Receiver<u64>,
    owes: watch::Receiver<u64>,
    /// Set by a write that the outbox has to look at. When its commit fails, the next one wakes the outbox in vain.
    has_effects: Arc<AtomicBool>,
}

impl SqliteQueue {
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, QueueError> {
        let reader = Arc::clone(&self.reader);
        let run = move || work(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(run).await;
        Ok(joined.map_err(|error| Fault::Unavailable(format!("a read of the queue did not end: {error}")))??)
    }

    /// A read of a few rows by an index. It is done where it is asked for, which costs less than to have it done elsewhere; only
    /// behind a longer one it waits like any other.
    async fn glance<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, QueueError> {
        if let Ok(reader) = self.reader.try_lock() {
            return Ok(work(&reader)?);
        }
        self.read(work).await
    }

    fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    fn lease_until(&self, now: Timestamp) -> Timestamp {
        later(now, self.options.lease)
    }

    /// Turns with their conversation, picked by a condition on `t`.
    async fn turns(
        &self,
        rest: &'static str,
        parameters: Vec<rusqlite::types::Value>,
    ) -> Result<Vec<Turn>, QueueError> {
        self.read(move |connection| rows::turns(connection, rest, parameters))
            .await
    }

    /// The only one.
    async fn one_turn(
        &self,
        rest: &'static str,
        parameters: Vec<rusqlite::types::Value>,
    ) -> Result<Option<Turn>, QueueError> {
        let found = self.glance(move |connection| rows::turns(connection, rest, parameters));
        Ok(found.await?.into_iter().next())
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn accept(&self, messages: Vec<Message>, cursor: Option<FeedCursor>) -> Result<Vec<Accepted>, QueueError> {
        let (now, ids) = (self.now(), Arc::clone(&self.options.ids));
        let counts = self.counts.clone();
        let write = move |connection: &Connection| {
            writes::accept(connection, &messages, cursor.as_ref(), (now, &counts), &*ids)
        };
        let fresh = |answers: &Vec<Accepted>| answers.iter().any(|answer| answer.fresh);
        Ok(self.writer.write_as(How::COUNTED, write, fresh).await?)
    }

    async fn cursor(&self, feed: &str) -> Result<u64, QueueError> {
        let feed = feed.to_owned();
        self.glance(move |connection| {
            let mut statement = connection.prepare_cached("SELECT at FROM cursors WHERE feed = ?")?;
            Ok(statement.query_row([feed], |row| row.get(0)).optional()?.unwrap_or(0))
        })
        .await
    }

    async fn rewind(&self, feed: &str) -> Result<(), QueueError> {
        let feed = feed.to_owned();
        Ok(self
            .writer
            .write(move |connection| writes::rewind(connection, &feed), |()| false)
            .await?)
    }

    async fn claim(&self, lane: &Lane) -> Result<Option<Claim>, QueueError> {
        let (lane, now) = (lane.clone(), self.now());
        let (until, counts) = (self.lease_until(now), self.counts.clone());
        let write = move |connection: &Connection| writes::claim(connection, &lane, (now, until), &counts);
        // What was only claimed is claimed again.
        Ok(self.writer.write_as(How::LIGHT, write, |_| false).await?)
    }

    async fn peek(&self, lane: &Lane) -> Result<Option<Claim>, QueueError> {
        let (lane, now) = (lane.clone(), self.now());
        self.read(move |connection| writes::peek(connection, &lane, now)).await
    }

    async fn take(&self, channel: &ChannelName, owner: &str, ttl: Duration) -> Result<Option<Held>, QueueError> {
        let (channel, owner, now) = (channel.clone(), owner.to_owned(), self.now());
        let until = later(now, ttl);
        let write = move |connection: &Connection| taken::take(connection, &channel, &owner, now, until);
        Ok(self.writer.write(write, |_| false).await?)
    }

    async fn renew(&self, lease: Lease, ttl: Duration) -> Result<Timestamp, LeaseError> {
        let until = later(self.now(), ttl);
        let write = move |connection: &Connection| writes::heartbeat(connection, lease, until);
        self.writer.write(write, |()| false).await?;
        Ok(until)
    }

    async fn held(&self, turn: Uuid) -> Result<Option<Held>, QueueError> {
        let now = self.now();
        self.glance(move |connection| taken::held(connection, turn, now)).await
    }

    async fn taken(&self) -> Result<Vec<Turn>, QueueError> {
        self.turns(taken::TAKEN, Vec::new()).await
    }

    async fn lapse(&self, now: Timestamp) -> Result<Vec<Turn>, QueueError> {
        let write = move |connection: &Connection| taken::lapse(connection, now);
        Ok(self.writer.write(write, |back| !back.is_empty()).await?)
    }

    async fn front(&self, channel: &ChannelName, limit: u32) -> Result<Front, QueueError> {
        let channel = channel.clone();
        self.read(move |connection| taken::front(connection, &channel, limit))
            .await
    }

    async fn heartbeat(&self, lease: Lease) -> Result<(), LeaseError> {
        let until = self.lease_until(self.now());
        Ok(self
            .writer
            .write_as(
                How::LIGHT,
                move |connection| writes::heartbeat(connection, lease, until),
                |()| false,
            )
            .await?)
    }

    async fn begin(&self, lease: Lease, session: Uuid) -> Result<(), LeaseError> {
        Ok(self
            .writer
            .write_as(
                How::COUNTED,
                move |connection| writes::begin(connection, lease, session),
                |()| false,
            )
            .await?)
    }

    async fn unbegin(&self, lease: Lease) -> Result<(), LeaseError> {
        Ok(self
            .writer
            .write(move |connection| writes::unbegin(connection, lease), |()| false)
            .await?)
    }

    async fn release(&self, lease: Lease, spend: Spend) -> Result<(), LeaseError> {
        let now = self.now();
        Ok(self
            .writer
            .write(
                move |connection| writes::release(connection, lease, spend, now),
                |()| true,
            )
            .await?)
    }

    async fn settle(&self, lease: Lease, settlement: Settlement, effects: Vec<NewEffect>) -> Result<(), LeaseError> {
        let now = self.now();
        let has_effects = Arc::clone(&self.has_effects);
        let write = move |connection: &Connection| {
            has_effects.fetch_or(!effects.is_empty(), Ordering::Relaxed);
            writes::settle(connection, lease, &settlement, &effects, now)
        };
        Ok(self.writer.write_as(How::COUNTED, write, |()| true).await?)
    }

    async fn recover(&self) -> Result<Recovery, QueueError> {
        let write = |connection: &Connection| writes::requeue(connection, None);
        Ok(self.writer.write(write, found_any).await?)
    }

    async fn expire(&self, now: Timestamp) -> Result<Recovery, QueueError> {
        let write = move |connection: &Connection| writes::requeue(connection, Some(now));
        Ok(self.writer.write(write, found_any).await?)
    }

    async fn cancel(&self, turn: Uuid, settlement: Settlement, effects: Vec<NewEffect>) -> Result<(), ControlError> {
        let now = self.now();
        let has_effects = Arc::clone(&self.has_effects);
        let write = move |connection: &Connection| {
            has_effects.fetch_or(!effects.is_empty(), Ordering::Relaxed);
            writes::cancel(connection, turn, &settlement, &effects, now)
        };
        Ok(self.writer.write(write, |()| true).await?)
    }

    async fn hold(&self, turn: Uuid, held: bool) -> Result<(), ControlError> {
        let write = move |connection: &Connection| line::hold(connection, turn, held);
        Ok(self.writer.write(write, |()| true).await?)
    }

    async fn reposition(&self, turn: Uuid, to: Position) -> Result<(), ControlError> {
        let write = move |connection: &Connection| line::reposition(connection, turn, to);
        Ok(self.writer.write(write, |()| true).await?)
    }

    async fn edit(&self, turn: Uuid, body: serde_json::Value) -> Result<(), ControlError> {
        let write = move |connection: &Connection| line::edit(connection, turn, &body);
        Ok(self.writer.write(write, |()| true).await?)
    }

    async fn pause(&self, channel: &ChannelName, pause: Pause) -> Result<(), QueueError> {
        let channel = channel.clone();
        let write = move |connection: &Connection| control::pause(connection, &channel, &pause);
        Ok(self.writer.write(write, |()| true).await?)
    }

    async fn resume(&self, channel: &ChannelName, codes: &[&str]) -> Result<bool, QueueError> {
        let (channel, now) = (channel.clone(), self.now());
        let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
        let write = move |connection: &Connection| control::resume(connection, &channel, &codes, now);
        Ok(self.writer.write(write, |ended| *ended).await?)
    }

    async fn pauses(&self) -> Result<Vec<(ChannelName, Pause)>, QueueError> {
        let now = self.now();
        self.read(move |connection| control::pauses(connection, now)).await
    }

    async fn reset(&self, channel: &ChannelName, thread: Option<&ThreadKey>) -> Result<u64, QueueError> {
        let (channel, thread) = (channel.clone(), thread.cloned());
        let write = move |connection: &Connection| control::reset(connection, &channel, thread.as_ref());
        Ok(self.writer.write(write, |reset| *reset > 0).await?)
    }

    async fn forget_session(&self, conversation: Uuid) -> Result<bool, QueueError> {
        let write = move |connection: &Connection| control::forget_session(connection, conversation);
        Ok(self.writer.write(write, |_| false).await?)
    }

    async fn bind(&self, bindings: Vec<Binding>) -> Result<Vec<Renamed>, QueueError> {
        let ids = Arc::clone(&self.options.ids);
        let write = move |connection: &Connection| names::bind(connection, &bindings, &*ids);
        Ok(self.writer.write(write, |renamed| !renamed.is_empty()).await?)
    }

    async fn bindings(&self) -> Result<Vec<Binding>, QueueError> {
        self.read(names::bindings).await
    }

    async fn holder(&self, channel: &ChannelName) -> Result<Option<Binding>, QueueError> {
        let channel = channel.clone();
        self.glance(move |connection| names::holder(connection, &channel)).await
    }

    async fn unbind(&self, vault: &str, note: &str) -> Result<(), QueueError> {
        let (vault, note) = (vault.to_owned(), note.to_owned());
        let write = move |connection: &Connection| names::unbind(connection, &vault, &note);
        Ok(self.writer.write(write, |()| false).await?)
    }

    async fn today(
        &self,
        now: Timestamp,
        channel: Option<&ChannelName>,
    ) -> Result<Vec<(ChannelName, DayTotals)>, QueueError> {
        let channel = channel.cloned();
        self.read(move |connection| control::days(connection, now, channel.as_ref()))
            .await
    }

    async fn period(
        &self,
        from: Timestamp,
        until: Timestamp,
        channel: Option<&ChannelName>,
    ) -> Result<Period, QueueError> {
        let channel = channel.cloned();
        self.read(move |connection| period::period(connection, from, until, channel.as_ref()))
            .await
    }

    async fn load(&self) -> Result<Load, QueueError> {
        self.read(period::load).await
    }

    async fn waiting(&self, channel: &ChannelName, most: u32) -> Result<u64, QueueError> {
        if let Some(known) = self.counts.waiting(channel) {
            return Ok(known.min(most.into()));
        }
        let channel = channel.clone();
        self.glance(move |connection| {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM turns WHERE channel = ? AND state = 'waiting' LIMIT ?)";
            let parameters = rusqlite::params![channel.as_str(), most];
            Ok(connection
                .prepare_cached(sql)?
                .query_row(parameters, |row| row.get(0))?)
        })
        .await
    }

    async fn lanes(&self) -> Result<Vec<Lane>, QueueError> {
        self.read(line::lanes).await
    }

    async fn open_turns(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let parameters = vec![channel.as_str().to_owned().into(), i64::from(limit).into()];
        self.turns(line::OPEN, parameters).await
    }

    async fn depths(&self) -> Result<Vec<(ChannelName, u64)>, QueueError> {
        self.read(|connection| {
            let sql = "SELECT channel, count(*) FROM turns WHERE state = 'waiting' GROUP BY channel";
            rows::collect(connection, sql, [], |row| {
                Ok((rows::channel(row.get(0)?)?, row.get(1)?))
            })
        })
        .await
    }

    async fn place(&self, turn: Uuid) -> Result<Option<Place>, QueueError> {
        self.glance(move |connection| rows::place(connection, turn)).await
    }

    async fn overview(&self, channel: Option<&ChannelName>) -> Result<Vec<Overview>, QueueError> {
        let channel = channel.cloned();
        self.read(move |connection| rows::overviews(connection, channel.as_ref()))
            .await
    }

    async fn turn(&self, id: Uuid) -> Result<Option<Turn>, QueueError> {
        self.one_turn("WHERE t.id = ?", vec![id.as_bytes().to_vec().into()])
            .await
    }

    async fn company(&self, id: Uuid) -> Result<Vec<Turn>, QueueError> {
        let rest = "WHERE t.seq IN (SELECT seq FROM turns WHERE id = ?1 UNION ALL SELECT seq FROM turns WHERE leader = ?1) \
                    ORDER BY t.leader IS NOT NULL, t.seq";
        self.turns(rest, vec![id.as_bytes().to_vec().into()]).await
    }

    async fn turn_of(&self, vault: &str, note: &str) -> Result<Option<Turn>, QueueError> {
        let parameters = vec![vault.to_owned().into(), note.to_owned().into()];
        self.one_turn("WHERE t.vault = ? AND t.note = ?", parameters).await
    }

    async fn turns_called(&self, part: &str, most: u32) -> Result<Vec<Uuid>, QueueError> {
        let part = part.to_owned();
        self.read(move |connection| rows::called(connection, &part, most)).await
    }

    async fn settled(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let rest = "WHERE t.channel = ? AND t.settled_at IS NOT NULL ORDER BY t.settled_at DESC, t.seq DESC LIMIT ?";
        self.turns(rest, vec![channel.as_str().to_owned().into(), i64::from(limit).into()])
            .await
    }

    async fn settled_before(&self, channel: &ChannelName, turn: Uuid, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let rest = "WHERE t.channel = ? AND t.settled_at IS NOT NULL \
             AND (t.settled_at, t.seq) < (SELECT settled_at, seq FROM turns WHERE id = ?) \
             ORDER BY t.settled_at DESC, t.seq DESC LIMIT ?";
        let turn = rusqlite::types::Value::Blob(turn.as_bytes().to_vec());
        self.turns(
            rest,
            vec![channel.as_str().to_owned().into(), turn, i64::from(limit).into()],
        )
        .await
    }

    async fn conversations(&self, channel: &ChannelName) -> Result<Vec<Conversation>, QueueError> {
        let channel = channel.clone();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {} FROM conversations WHERE channel = ? ORDER BY seq",
                rows::CONVERSATION
            );
            rows::collect(connection, &sql, [channel.as_str()], rows::conversation)
        })
        .await
    }

    async fn some_conversations(
        &self,
        channel: &ChannelName,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Option<Vec<Conversation>>, QueueError> {
        let channel = channel.clone();
        self.read(move |connection| threads::some(connection, &channel, after, limit))
            .await
    }

    async fn chain(&self, chain: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let rest =
            "WHERE t.chain = ? AND t.seq > coalesce((SELECT seq FROM turns WHERE id = ?), 0) ORDER BY t.seq LIMIT ?";
        self.turns(
            rest,
            vec![chain.to_owned().into(), blob(after), i64::from(limit).into()],
        )
        .await
    }

    async fn descendants(&self, chains: Vec<String>, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let chains = serde_json::Value::from(chains).to_string();
        let rest = "WHERE t.chain IN (SELECT value FROM json_each(?)) AND t.note <> t.chain ORDER BY t.seq LIMIT ?";
        self.turns(rest, vec![chains.into(), i64::from(limit).into()]).await
    }

    async fn turns_in(&self, conversation: Uuid, before: Option<Uuid>, limit: u32) -> Result<Vec<Turn>, QueueError> {
        let rest = "WHERE t.conversation = ? AND t.seq < coalesce((SELECT seq FROM turns WHERE id = ?), 9223372036854775807) \
                    ORDER BY t.seq DESC LIMIT ?";
        let parameters = vec![blob(Some(conversation)), blob(before), i64::from(limit).into()];
        self.turns(rest, parameters).await
    }

    async fn listing(&self, listing: &Listing, limit: u32) -> Result<ListedPage, QueueError> {
        let listing = listing.clone();
        self.read(move |connection| threads::latest(connection, &listing, limit))
            .await
    }

    async fn listed(&self, conversations: Vec<Uuid>) -> Result<Vec<Listed>, QueueError> {
        self.read(move |connection| threads::named(connection, &conversations))
            .await
    }

    async fn label(
        &self,
        conversation: Uuid,
        title: Option<Option<String>>,
        archived: Option<bool>,
    ) -> Result<bool, QueueError> {
        let write = move |connection: &Connection| threads::label(connection, conversation, title.as_ref(), archived);
        Ok(self.writer.write(write, |_| false).await?)
    }

    async fn due(&self, now: Timestamp, limit: u32, held: &[String]) -> Result<Vec<Effect>, QueueError> {
        let held = outbox::list(held);
        self.glance(move |connection| outbox::due(connection, now, limit, &held))
            .await
    }

    async fn next_due(&self, held: &[String]) -> Result<Option<Timestamp>, QueueError> {
        let held = outbox::list(held);
        self.glance(move |connection| outbox::next_due(connection, &held)).await
    }

    async fn delivered(&self, effects: Vec<u64>) -> Result<Vec<Uuid>, QueueError> {
        let write = move |connection: &Connection| outbox::delivered(connection, &effects);
        // What was delivered may be delivered again.
        let gone = |(gone, _): &(usize, Vec<Uuid>)| *gone > 0;
        let (_, turns) = self.writer.write_as(How::LIGHT, write, gone).await?;
        Ok(turns)
    }

    async fn forget(
        &self,
        before: Timestamp,
        after: Option<u64>,
        limit: u32,
        forget: Forget,
    ) -> Result<Forgotten, QueueError> {
        let write = move |connection: &Connection| words::forget(connection, before, after, limit, forget);
        // What comes back with a loss of power is forgotten again.
        Ok(self.writer.write_as(How::LIGHT, write, |_| false).await?)
    }

    async fn undelivered(&self, effect: u64, error: &str, due_at: Option<Timestamp>) -> Result<(), QueueError> {
        let error = error.to_owned();
        let write = move |connection: &Connection| outbox::undelivered(connection, effect, &error, due_at);
        self.writer.write(write, |changed| *changed > 0).await?;
        Ok(())
    }

    async fn retry(&self, turn: Option<Uuid>) -> Result<u64, QueueError> {
        let now = self.now();
        let has_effects = Arc::clone(&self.has_effects);
        let write = move |connection: &Connection| {
            has_effects.store(true, Ordering::Relaxed);
            outbox::retry(connection, turn, now)
        };
        Ok(self.writer.write(write, |changed| *changed > 0).await?)
    }

    async fn left(&self, turn: Uuid) -> Result<u64, QueueError> {
        self.glance(move |connection| outbox::left(connection, turn)).await
    }

    async fn overdue(&self, held: &[String], after: u64, limit: u32) -> Result<Vec<Overdue>, QueueError> {
        let held = outbox::list(held);
        self.read(move |connection| outbox::overdue(connection, &held, after, limit))
            .await
    }

    async fn count_overdue(&self, held: &[String]) -> Result<u64, QueueError> {
        let held = outbox::list(held);
        self.read(move |connection| outbox::count_overdue(connection, &held))
            .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<Effect>, QueueError> {
        self.read(move |connection| {
            let sql = format!("SELECT {} FROM outbox ORDER BY id LIMIT ?", rows::EFFECT);
            rows::collect(connection, &sql, [limit], rows::effect)
        })
        .await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.watched.clone()
    }

    fn watch_outbox(&self) -> watch::Receiver<u64> {
        self.owes.clone()
    }
}
