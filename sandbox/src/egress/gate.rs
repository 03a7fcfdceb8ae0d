//! What one child may connect to.

use std::sync::Arc;
use std::time::Duration;

use super::{Log, ParentProxy, Rule};

/// Limits of the connections of one gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at the same time; one more is refused.
    pub connections: usize,
    /// Bytes of the head of a request.
    pub head: usize,
    /// How long a child may take for a head, and keep a connection without a request.
    pub head_timeout: Duration,
    /// How long it may take to look a name up and to connect.
    pub dial_timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle: Duration,
}

impl Default for Bounds {
    /// 128 connections (two descriptors of the daemon each), 64 KiB, 30 s, 30 s, an hour.
    fn default() -> Self {
        Self {
            connections: 128,
            head: 64 * 1024,
            head_timeout: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(30),
            idle: Duration::from_secs(60 * 60),
        }
    }
}

/// Decides on the connections of one child.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What may be reached.
    pub rules: Vec<Rule>,
    /// Whether every public address may be reached as well.
    pub any_public: bool,
    /// The proxy of the daemon's own network, through which it connects.
    pub parent: Option<Arc<ParentProxy>>,
    /// Who is told of connections.
    pub log: Log,
    /// Limits.
    pub bounds: Bounds,
}

impl Gate {
    /// A gate for what rules name, without a proxy behind it.
    #[must_use]
    pub fn new(rules: Vec<Rule>, log: Log) -> Self {
        Self {
            rules,
            any_public: false,
            parent: None,
            log,
            bounds: Bounds::default(),
        }
    }
}
