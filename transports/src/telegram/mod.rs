//! The bridge to Telegram: messages to a bot become messages for one agent, and its answers go back to their chat.
//!
//! It asks the Bot API for updates by long polls. An update is forgotten there only when it is durable here, and the identity of
//! a message is made of its chat and its number, so that it becomes one note however often it is delivered.

mod access;
mod api;
mod bridge;
mod chunk;
mod files;
mod inbound;
mod lanes;
mod options;
mod outbound;
mod permission;
mod poll;
mod position;
mod presence;
mod shared;
mod take;
mod token;

pub use access::{Access, AccessFile, Closed};
pub use bridge::Telegram;
pub use lanes::outbox_name;
pub use options::{ConfigError, Options, Pace};
pub use token::{InvalidToken, Token};
