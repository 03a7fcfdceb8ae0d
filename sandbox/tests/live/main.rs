//! Real confined commands: each denial beside something of the same kind that is allowed.
#![cfg(target_os = "linux")]

// `cfg(test)` tells Clippy that helpers outside of test functions are tests as well.
#[cfg(test)]
mod files;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod network;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod support;
