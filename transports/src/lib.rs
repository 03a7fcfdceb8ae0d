//! Bridges between the vault's messages and the outside. Owns the words in which an outside message enters and leaves, what a
//! [`Bridge`] is, and how one is kept running. Must never decide what an agent does: what a bridge takes becomes an inbound
//! note, so durability, order and display are those of every other message, and what it sends was an outbound note before.
//!
//! The HTTP route `send` and the command line enter here too; bridges to other systems implement [`Bridge`].
#![forbid(unsafe_code)]

pub mod fanout;
pub mod hooks;
mod host;
pub mod http_ui;
mod incoming;
pub mod net_guard;
pub mod outbox;
pub mod sign;
mod supervise;
pub mod telegram;
mod transport;
pub mod webhooks;

pub use host::{Attachment, Behaviour, Host, Standing, Stopped, Verdict};
pub use incoming::{Incoming, Intake, Link, Refusal, Taken};
pub use supervise::{Report, State, supervise};
pub use transport::{
    Bridge, Edit, Failure, Kind, Operation, OperationError, Outgoing, PermissionRequest, Reaction, Reply, Transport,
};
