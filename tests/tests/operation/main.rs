//! What an operator does: upgrades, backups, keeping house, running the daemon as a service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod backup;
mod layout;
mod open_files;
mod retention;
mod service;
