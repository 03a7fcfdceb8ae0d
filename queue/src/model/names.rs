//! Names of channels, conversations and lines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A name that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no channel name: 1 to 64 letters, digits, `_` and `-`")]
pub struct InvalidName {
    /// The offending text.
    pub text: String,
}

/// Name of a channel: the address of an agent's queue. 1 to 64 characters of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

impl ChannelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let good = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName {
                text: text.chars().take(80).collect(),
            })
        }
    }
}

impl TryFrom<String> for ChannelName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which conversation of a channel. Two keys are the same conversation exactly when they are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "key", rename_all = "snake_case")]
pub enum ThreadKey {
    /// The one main conversation.
    Main,
    /// One conversation per subject.
    Subject(String),
    /// A conversation of a single message, named by that message.
    Single(String),
}

/// Begins the key of a conversation whose agent has lost its name.
const FORMER: &str = "former-";

impl ThreadKey {
    /// Of a conversation of a note that has its channel no longer. Nobody is to go on with it.
    #[must_use]
    pub fn former(fresh: Uuid) -> Self {
        Self::Single(format!("{FORMER}{fresh}"))
    }

    /// Whether it is such a one.
    #[must_use]
    pub fn is_former(&self) -> bool {
        match self {
            Self::Single(key) => key.strip_prefix(FORMER).is_some_and(|id| Uuid::try_parse(id).is_ok()),
            Self::Main | Self::Subject(_) => false,
        }
    }

    /// One line of text that names the key: the kind, then the key with its line ends and backslashes escaped. No two keys
    /// share it.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Main => "main".into(),
            Self::Subject(subject) => format!("subject:{}", escape(subject)),
            Self::Single(message) => format!("single:{}", escape(message)),
        }
    }

    /// The inverse of [`ThreadKey::encode`]; `None` for anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "main" => Some(Self::Main),
            Some(("subject", subject)) => unescape(subject).map(Self::Subject),
            Some(("single", message)) => unescape(message).map(Self::Single),
            _ => None,
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('\r', r"\r")
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\n' | '\r' => return None,
            '\\' => match rest.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// A strictly serial line of turns: one conversation of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// The channel.
    pub channel: ChannelName,
    /// The conversation in it.
    pub thread: ThreadKey,
}
