//! What a rule names.

use std::fmt;
use std::str::FromStr;

/// A host with an optional port: `host`, `host:port`, `*.domain`, `*.domain:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Canonical text.
    host: String,
    /// The port; 80 and 443 when absent.
    port: Option<u16>,
}

/// A text that is no rule, with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no rule for connections: {reason}")]
pub struct RuleError {
    /// What was read.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().map(Some)),
            None => (text, Some(None)),
        };
        match port {
            Some(port) if !host.is_empty() => Ok(Self {
                host: host.to_ascii_lowercase(),
                port,
            }),
            _ => Err(RuleError {
                text: text.to_owned(),
                reason: "write HOST or HOST:PORT".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}
