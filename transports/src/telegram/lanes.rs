use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

/// What the bridge has to send, kept until Telegram has it: one lane for each chat, of which the oldest part is out at a time.
/// Errors are sentences for the operator; then nothing was changed.
#[async_trait]
pub trait Lanes: Send + Sync + 'static {
    /// Stores parts durably, all or none. Those whose id is known are left as they are.
    async fn put(&self, bridge: &str, parts: Vec<Part>) -> Result<(), String>;

    /// The part that is due for the longest time, or else when the next one is.
    async fn next(&self, bridge: &str) -> Result<Next, String>;

    /// Told when there may be something new to send.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Telegram has it.
    async fn delivered(&self, bridge: &str, id: &str) -> Result<(), String>;

    /// A try failed. Without `retry_at` it is given up: *undelivered*, and the lane goes on.
    async fn failed(&self, bridge: &str, id: &str, error: &str, retry_at: Option<Timestamp>) -> Result<(), String>;

    /// It waits until `at`; that counts as no try.
    async fn postpone(&self, bridge: &str, id: &str, error: &str, at: Timestamp) -> Result<(), String>;

    /// Puts another payload in its place.
    async fn amend(&self, bridge: &str, id: &str, payload: String) -> Result<(), String>;
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Unique in the bridge.
    pub id: String,
    /// The chat.
    pub lane: String,
    /// JSON.
    pub payload: String,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Next {
    /// The part that is due, how often it was tried in vain, and since when it waits.
    pub part: Option<(Part, u32, Timestamp)>,
    /// When another look is worth it, if nothing is due.
    pub at: Option<Timestamp>,
}
