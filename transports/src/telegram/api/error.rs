use std::time::Duration;

/// What a failed call means for the one who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was sent: no connection.
    Unreachable,
    /// No whole answer came in time, so what was asked for may be done or not.
    Cut,
    /// The answer is longer than this bridge reads.
    TooLong,
    /// The answer is no answer of the Bot API.
    Garbled,
    /// The server has a fault of its own (5xx).
    Server,
    /// The token is not accepted.
    Token,
    /// Another program asks for the updates of this bot, or a webhook takes them.
    Conflict,
    /// Too many requests; the server said how long to wait.
    Flood(Duration),
    /// The group has got another id.
    Moved(i64),
    /// It will not do it, however often it is asked.
    Refused,
}

/// A call of the Bot API that failed. Its text is for a person and holds no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ApiError {
    /// What it means.
    pub(crate) fault: Fault,
    /// What happened.
    pub(crate) text: String,
}

impl ApiError {
    /// Whether the same call may work later.
    pub(crate) fn passes(&self) -> bool {
        !matches!(self.fault, Fault::Refused | Fault::Token | Fault::TooLong)
    }
}
