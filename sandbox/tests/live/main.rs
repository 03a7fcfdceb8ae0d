//! Real confined commands: each denial beside something of the same kind that is allowed.
#![cfg(target_os = "linux")]

mod files;
mod kernel;
mod launch;
mod network;
mod processes;
mod refusals;
mod support;
