//! What bridges and webhooks have to send, kept in one SQLite file until the other side has it.
//!
//! Entries of one bridge stand in lanes, such as one for each conversation. Of a lane one entry is out at a time, the oldest;
//! lanes do not wait for each other. What cannot be delivered is kept as *undelivered* until a person sends it again or its
//! time is over. Every call is one transaction, so a process that is killed between two of them finds everything again; what
//! it was sending is sent again under the same id.

mod file;
mod model;
mod rows;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

pub use self::model::{Count, Due, Entry, Item, Keep, Listed, Numbered, OutboxError, Retention, Room, State, Which};
use self::writer::{Lasting, Writer};

/// Most bytes of a payload.
pub const PAYLOAD_BYTES: usize = 16 << 20;

/// How to open an [`Outbox`].
#[derive(Clone)]
pub struct Options {
    /// The file; made when it is not there, with mode 0600.
    pub path: PathBuf,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Asked before each write; `true` refuses it as a full disk does. For tests of what lies above.
    pub refuse: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Options {
    /// With the system's clock.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            clock: Arc::new(Timestamp::now),
            refuse: None,
        }
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`OutboxError`] when it cannot be opened, is damaged, or was written by a newer version; it is left as it is then.
    pub fn open(self) -> Result<Outbox, OutboxError> {
        let connection = file::open(&self.path)?;
        let writer = Writer::spawn(connection, self.path, self.refuse)?;
        Ok(Outbox {
            writer,
            clock: self.clock,
            changed: Arc::new(watch::channel(0).0),
        })
    }
}

/// The open file. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    writer: Writer,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    changed: Arc<watch::Sender<u64>>,
}

impl Outbox {
    /// Stores entries, and values with them, in one transaction that is on disk when this returns (see [`Entry::fleeting`]).
    /// Entries whose id is known are left as they are. Answers how many were not.
    ///
    /// # Errors
    /// [`OutboxError`]; then nothing is stored, and the caller has it still.
    pub async fn put(&self, entries: Vec<Entry>, keeps: Vec<Keep>) -> Result<usize, OutboxError> {
        let longest = entries.iter().map(|entry| entry.payload.len()).max().unwrap_or(0);
        if longest > PAYLOAD_BYTES {
            return Err(OutboxError::TooLong {
                bytes: longest,
                most: PAYLOAD_BYTES,
            });
        }
        let lasting = match !entries.is_empty() && entries.iter().all(|entry| entry.fleeting) {
            true => Lasting::Written,
            false => Lasting::Synced,
        };
        let now = self.now();
        let write = move |connection: &_| rows::put(connection, &entries, &keeps, now);
        let fresh = self.writer.write(lasting, write).await?;
        if fresh > 0 {
            self.wake();
        }
        Ok(fresh)
    }

    /// Stores a value; `None` takes it away.
    ///
    /// # Errors
    /// [`OutboxError`]; then the old one stands.
    pub async fn keep(&self, bridge: &str, key: &str, value: Option<String>) -> Result<(), OutboxError> {
        let keep = Keep {
            bridge: bridge.to_owned(),
            key: key.to_owned(),
            value,
        };
        let now = self.now();
        let write = move |connection: &_| rows::keep(connection, &keep, now);
        self.writer.write(Lasting::Synced, write).await
    }

    /// All values of a bridge that last, by key.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn all_kept(&self, bridge: &str) -> Result<Vec<(String, String)>, OutboxError> {
        let bridge = bridge.to_owned();
        self.read(move |connection| rows::all_kept(connection, &bridge)).await
    }

    /// A value that was stored.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn kept(&self, bridge: &str, key: &str) -> Result<Option<String>, OutboxError> {
        let (bridge, key) = (bridge.to_owned(), key.to_owned());
        self.read(move |connection| rows::kept(connection, &bridge, &key)).await
    }

    /// What the bridge can send now: at most `limit` heads of lanes that are not `busy`, that is, with an entry that is being
    /// sent.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn next(&self, bridge: &str, busy: &[String], limit: usize) -> Result<Due, OutboxError> {
        let (bridge, busy, now) = (bridge.to_owned(), busy.to_vec(), self.now());
        self.read(move |connection| rows::next(connection, &bridge, &busy, limit, now))
            .await
    }

    /// Told when there may be something new to send, by a value that changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Gives an entry its number in the lane, from 1; the one that it has when it has one. `None` when there is no such entry.
    ///
    /// # Errors
    /// [`OutboxError`]; then it has none, and must not be sent.
    pub async fn number(&self, bridge: &str, id: &str) -> Result<Option<Numbered>, OutboxError> {
        let (bridge, id, now) = (bridge.to_owned(), id.to_owned(), self.now());
        let write = move |connection: &_| rows::number(connection, &bridge, &id, now);
        self.writer.write(Lasting::Written, write).await
    }

    /// Puts another payload in place of that of an entry that waits; with `renumber` it gets another number at its next try.
    ///
    /// # Errors
    /// [`OutboxError`]; then it is as it was.
    pub async fn amend(&self, bridge: &str, id: &str, payload: String, renumber: bool) -> Result<bool, OutboxError> {
        let (bridge, id) = (bridge.to_owned(), id.to_owned());
        let write = move |connection: &_| rows::amend(connection, &bridge, &id, &payload, renumber);
        self.writer.write(Lasting::Written, write).await
    }

    /// The other side has it. Its payload is removed, its id is known until it is swept. Answers whether it waited.
    ///
    /// # Errors
    /// [`OutboxError`]; then it waits on, and would be sent again.
    pub async fn delivered(&self, bridge: &str, id: &str) -> Result<bool, OutboxError> {
        let (bridge, id, now) = (bridge.to_owned(), id.to_owned(), self.now());
        let write = move |connection: &_| rows::settle(connection, &bridge, &id, (State::Delivered, None), now);
        let waited = self.writer.write(Lasting::Written, write).await?;
        self.wake();
        Ok(waited)
    }

    /// A try failed. It is made again at `retry_at`; without one the entry is given up: *undelivered*, and its lane goes on.
    ///
    /// # Errors
    /// [`OutboxError`]; then it waits on as it was.
    pub async fn failed(
        &self,
        bridge: &str,
        id: &str,
        error: &str,
        retry_at: Option<Timestamp>,
    ) -> Result<bool, OutboxError> {
        let (bridge, id, error, now) = (bridge.to_owned(), id.to_owned(), error.to_owned(), self.now());
        let write = move |connection: &_| match retry_at {
            Some(at) => rows::later(connection, &bridge, &id, &error, (at, true)),
            None => rows::settle(connection, &bridge, &id, (State::Undelivered, Some(&error)), now),
        };
        let lasting = if retry_at.is_some() {
            Lasting::Written
        } else {
            Lasting::Synced
        };
        let waited = self.writer.write(lasting, write).await?;
        self.wake();
        Ok(waited)
    }

    /// Waits until `at` without counting a failed try, such as when the other side asked for it.
    ///
    /// # Errors
    /// [`OutboxError`]; then it waits on as it was.
    pub async fn postpone(&self, bridge: &str, id: &str, error: &str, at: Timestamp) -> Result<bool, OutboxError> {
        let (bridge, id, error) = (bridge.to_owned(), id.to_owned(), error.to_owned());
        let write = move |connection: &_| rows::later(connection, &bridge, &id, &error, (at, false));
        self.writer.write(Lasting::Written, write).await
    }

    /// Gives a fleeting entry up: it is removed, and counted in [`Numbered::shed`] of its lane.
    ///
    /// # Errors
    /// [`OutboxError`]; then it waits on.
    pub async fn discard(&self, bridge: &str, id: &str) -> Result<bool, OutboxError> {
        let (bridge, id, now) = (bridge.to_owned(), id.to_owned(), self.now());
        let write = move |connection: &_| rows::discard(connection, &bridge, &id, now);
        let was = self.writer.write(Lasting::Written, write).await?;
        self.wake();
        Ok(was)
    }

    /// Gives up the oldest fleeting entries until the rest fits. Such as have a number stay. Answers how many went.
    ///
    /// # Errors
    /// [`OutboxError`]; then some may be gone.
    pub async fn shed(&self, bridge: &str, room: Room) -> Result<u64, OutboxError> {
        self.give_up(bridge, rows::Loose::Fleeting, room).await
    }

    /// Gives up the oldest entries that wait, whatever they are, until the rest fits: for one that nothing is sent for now.
    /// Answers how many went.
    ///
    /// # Errors
    /// [`OutboxError`]; then some may be gone.
    pub async fn bound(&self, bridge: &str, room: Room) -> Result<u64, OutboxError> {
        self.give_up(bridge, rows::Loose::All, room).await
    }

    async fn give_up(&self, bridge: &str, loose: rows::Loose, room: Room) -> Result<u64, OutboxError> {
        let mut gone = 0;
        loop {
            let (bridge, now) = (bridge.to_owned(), self.now());
            let write = move |connection: &_| rows::shed(connection, &bridge, loose, room, now);
            match self.writer.write(Lasting::Written, write).await? {
                0 => break,
                more => gone += more,
            }
        }
        if gone > 0 {
            self.wake();
        }
        Ok(gone)
    }

    /// Makes what waits for a later try due now, such as when the other side is back. Answers how many.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn hasten(&self, bridge: &str) -> Result<u64, OutboxError> {
        let (bridge, now) = (bridge.to_owned(), self.now());
        let write = move |connection: &_| rows::hasten(connection, &bridge, now);
        let count = self.writer.write(Lasting::Written, write).await?;
        if count > 0 {
            self.wake();
        }
        Ok(count)
    }

    /// Lets all that waits begin to wait now, and be due: nothing was sent for a while, and that was nobody's failure. Answers
    /// how many.
    ///
    /// # Errors
    /// [`OutboxError`]; then nothing is changed.
    pub async fn renew(&self, bridge: &str) -> Result<u64, OutboxError> {
        let (bridge, now) = (bridge.to_owned(), self.now());
        let write = move |connection: &_| rows::renew(connection, &bridge, now);
        let count = self.writer.write(Lasting::Written, write).await?;
        if count > 0 {
            self.wake();
        }
        Ok(count)
    }

    /// Lets what was given up wait again, at its old place in the lane. Answers how many.
    ///
    /// # Errors
    /// [`OutboxError`]; then nothing is changed.
    pub async fn redrive(&self, bridge: &str, which: Which) -> Result<u64, OutboxError> {
        let (bridge, now) = (bridge.to_owned(), self.now());
        let write = move |connection: &_| rows::redrive(connection, &bridge, &which, now);
        let count = self.writer.write(Lasting::Synced, write).await?;
        self.wake();
        Ok(count)
    }

    /// Entries of a bridge in one state behind `after`, in order of acceptance.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn list(&self, bridge: &str, state: State, after: u64, limit: u32) -> Result<Vec<Listed>, OutboxError> {
        let bridge = bridge.to_owned();
        self.read(move |connection| rows::list(connection, &bridge, state, (after, limit)))
            .await
    }

    /// One entry, with its payload unless it was delivered.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn find(&self, bridge: &str, id: &str) -> Result<Option<(Listed, Option<String>)>, OutboxError> {
        let (bridge, id) = (bridge.to_owned(), id.to_owned());
        self.read(move |connection| rows::find(connection, &bridge, &id)).await
    }

    /// How much there is, of each bridge that has anything.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub async fn counts(&self) -> Result<Vec<Count>, OutboxError> {
        self.read(rows::counts).await
    }

    /// Removes what is over, and gives the room back to the disk. Answers how many rows went.
    ///
    /// # Errors
    /// [`OutboxError`]; then some may be gone.
    pub async fn sweep(&self, until: Retention) -> Result<u64, OutboxError> {
        let mut gone = 0;
        loop {
            let write = move |connection: &_| rows::sweep(connection, until);
            match self.writer.write(Lasting::Written, write).await? {
                0 => break,
                more => gone += more,
            }
        }
        // A step at a time; the next sweep goes on.
        let vacuum = |connection: &rusqlite::Connection| connection.execute_batch("PRAGMA incremental_vacuum(4096)");
        self.writer.write(Lasting::Written, vacuum).await?;
        Ok(gone)
    }

    /// Removes everything of a bridge that is no more. Answers how many entries went.
    ///
    /// # Errors
    /// [`OutboxError`]; then some may be gone.
    pub async fn remove(&self, bridge: &str) -> Result<u64, OutboxError> {
        let mut gone = 0;
        loop {
            let bridge = bridge.to_owned();
            let write = move |connection: &_| rows::remove(connection, &bridge);
            match self.writer.write(Lasting::Synced, write).await? {
                0 => return Ok(gone),
                more => gone += more,
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, OutboxError> {
        self.writer.read(Lasting::Written, work).await
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn wake(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}
