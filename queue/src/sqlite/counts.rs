//! How many wait, kept beside the file: to count a long line anew for every message costs more than to accept it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Fault;
use crate::model::ChannelName;

/// What the writer knows of the lines, as its open transaction would leave them. Only the writer changes it, one write after the
/// other. What is not known is counted when it is needed, and everything is forgotten by whoever does more to a line than to put
/// one turn at its end or to take its first. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Counts {
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// Waiting turns by channel, also those that are held. Never an entry of zero, so that it does not grow with the channels.
    channels: HashMap<ChannelName, u64>,
    /// Waiting turns of a conversation that are not held. Likewise.
    lines: HashMap<Uuid, u64>,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn is about to be put at the end of a line. Answers how many wait before it.
    pub(super) fn arrives(
        &self,
        connection: &Connection,
        channel: &ChannelName,
        conversation: Uuid,
    ) -> Result<u64, Fault> {
        let mut known = self.lock();
        let all = match known.channels.get(channel) {
            Some(all) => *all,
            None => {
                let sql = "SELECT count(*) FROM turns WHERE channel = ? AND state = 'waiting'";
                count(connection, sql, params![channel.as_str()])?
            }
        };
        let ahead = match known.lines.get(&conversation) {
            Some(ahead) => *ahead,
            None => {
                let sql = "SELECT count(*) FROM turns WHERE channel = ? AND conversation = ? AND state = 'waiting' AND held = 0";
                count(connection, sql, params![channel.as_str(), conversation])?
            }
        };
        known.channels.insert(channel.clone(), all + 1);
        known.lines.insert(conversation, ahead + 1);
        Ok(ahead)
    }

    /// The first of a line waits no more, and nobody else does what he did not do before.
    pub(super) fn leaves(&self, channel: &ChannelName, conversation: Uuid) {
        let mut known = self.lock();
        less(&mut known.channels, channel);
        less(&mut known.lines, &conversation);
    }

    /// How many wait in a channel, if that is known.
    pub(super) fn waiting(&self, channel: &ChannelName) -> Option<u64> {
        self.lock().channels.get(channel).copied()
    }

    /// From now on nothing is known.
    pub(super) fn forget(&self) {
        *self.lock() = Known::default();
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u64>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn count(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<u64, Fault> {
    Ok(connection
        .prepare_cached(sql)?
        .query_row(parameters, |row| row.get(0))?)
}
