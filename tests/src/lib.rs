//! Peers and tools for the end-to-end tests, which drive the compiled binary from outside. Owns the doubles of Anthropic's
//! Messages API, of a Parachute vault and of its hub, and the harness of the daemon. Must never depend on a crate of the workspace: what a test knows of the
//! daemon is what a user can know of it.
#![forbid(unsafe_code)]

pub mod claude;
pub mod daemon;
mod fail_points;
pub mod ground;
pub mod hub;
pub mod map;
pub mod messages_api;
pub mod parachute;
mod proxy;
mod random;
mod receiver;
pub mod sweep;
pub mod tls;
mod wait;

pub use daemon::Daemon;
pub use fail_points::fail_points;
pub use messages_api::MessagesApi;
pub use proxy::StrippingProxy;
pub use random::Random;
pub use receiver::{Answer as ReceiverAnswer, Receiver, Told};
pub use wait::eventually;
