//! The only way out of a child's own network.

mod log;
mod rule;

pub use log::{Connection, Decision, Log};
pub use rule::{Rule, RuleError};
