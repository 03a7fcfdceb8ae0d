//! The MCP door of a vault: what its tools do, what it refuses, and how agents use it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod client;
mod knowledge;
mod real_cli;
mod sizes;
mod wire;
