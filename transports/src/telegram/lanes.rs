use jiff::Timestamp;
use tokio::sync::watch;

use crate::outbox::{Due, Entry, Item, Outbox};

/// What the bridge has to send: one lane of the outbox for each chat. Errors are sentences for the operator.
pub(super) struct Lanes {
    outbox: Outbox,
    bridge: String,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Unique in the bridge.
    pub(super) id: String,
    /// The chat.
    pub(super) lane: String,
    /// JSON.
    pub(super) payload: String,
}

/// The name under which a bridge to Telegram stands in the outbox.
#[must_use]
pub fn outbox_name(bridge: &str) -> String {
    format!("telegram/{bridge}")
}

impl Lanes {
    pub(super) fn new(outbox: Outbox, name: &str) -> Self {
        Self {
            outbox,
            bridge: outbox_name(name),
        }
    }

    /// Their name in the outbox.
    pub(super) fn name(&self) -> &str {
        &self.bridge
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.outbox.changes()
    }

    pub(super) async fn put(&self, parts: Vec<Part>) -> Result<(), String> {
        let entry = |part: Part| Entry {
            bridge: self.bridge.clone(),
            id: part.id,
            lane: part.lane,
            payload: part.payload,
            fleeting: false,
        };
        let entries = parts.into_iter().map(entry).collect();
        let put = self.outbox.put(entries, Vec::new()).await;
        put.map(|_| ()).map_err(|error| error.to_string())
    }

    /// What is due for the longest time, or when the next one is.
    pub(super) async fn next(&self) -> Result<(Option<Item>, Option<Timestamp>), String> {
        let due = self.outbox.next(&self.bridge, &[], 1).await;
        let Due { ready, next_at } = due.map_err(|error| error.to_string())?;
        Ok((ready.into_iter().next(), next_at))
    }

    pub(super) async fn delivered(&self, id: &str) -> Result<(), String> {
        let done = self.outbox.delivered(&self.bridge, id).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    pub(super) async fn failed(&self, id: &str, error: &str, retry_at: Option<Timestamp>) -> Result<(), String> {
        let done = self.outbox.failed(&self.bridge, id, error, retry_at).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    pub(super) async fn postpone(&self, id: &str, error: &str, at: Timestamp) -> Result<(), String> {
        let done = self.outbox.postpone(&self.bridge, id, error, at).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    /// What waits for a later try is due now.
    pub(super) async fn hasten(&self) -> Result<(), String> {
        let done = self.outbox.hasten(&self.bridge).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    pub(super) async fn amend(&self, id: &str, payload: String) -> Result<(), String> {
        let done = self.outbox.amend(&self.bridge, id, payload, false).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }
}
