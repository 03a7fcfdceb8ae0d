//! The only way out of a child's own network: what rules name, through listeners that the daemon serves.
//!
//! [`serve()`] is the proxy, [`forward`] a port behind which a service of the daemon's machine answers, [`shield()`] one behind
//! which a service answers that wants a secret which the child must not know. A future that is dropped cuts its connections.

mod address;
mod dial;
pub mod fuzzing;
mod gate;
mod head;
mod host;
mod http1;
mod log;
mod neighbours;
mod parent;
mod pass;
mod rule;
mod serve;
mod shield;
mod socks;
mod swap;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;

pub use gate::{Bounds, Gate};
pub use log::{Connection, Decision, Log};
pub use parent::{ParentError, ParentProxy};
pub use pass::Pass;
pub use rule::{Rule, RuleError, Standing};
pub use serve::{forward, serve};
pub use shield::{Latch, Shield, ShieldError, shield};
pub use swap::Swap;
