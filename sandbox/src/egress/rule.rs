//! What a rule names.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// A host with an optional port: `host`, `host:port`, `*.domain`, `*.domain:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Canonical text.
    host: String,
    /// The port; 80 and 443 when absent.
    port: Option<u16>,
    /// Whether the operator answers for the address.
    trusted: bool,
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

impl Rule {
    /// What every child may reach: the model's API, on port 443.
    #[must_use]
    pub fn base() -> Vec<Self> {
        let host = |host: &str| Self {
            host: host.to_owned(),
            port: Some(443),
            trusted: false,
        };
        vec![host("api.anthropic.com"), host("*.anthropic.com")]
    }

    /// One port of one host, which is a name or an address.
    ///
    /// # Errors
    /// The host is none.
    pub fn exact(host: &str, port: u16) -> Result<Self, RuleError> {
        format!("{host}:{port}").parse()
    }

    /// The port of the host that an address names, or the usual one of its scheme.
    ///
    /// # Errors
    /// It has neither, or holds a user.
    pub fn of_url(url: &Url) -> Result<Self, RuleError> {
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Self::exact(host, port),
            _ => Err(RuleError {
                text: url.to_string(),
                reason: "it names no host".to_owned(),
            }),
        }
    }

    /// The same rule as one of the operator's: its name may stand for an address of the machine or of its networks. For
    /// any other rule that is refused, unless it names that address itself.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { trusted: true, ..self }
    }

    /// Whether it names an address of the machine or of its networks, or `localhost`.
    #[must_use]
    pub fn is_private(&self) -> bool {
        false
    }

    /// Whether it allows all that another rule allows.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self == other
    }
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
                trusted: false,
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
