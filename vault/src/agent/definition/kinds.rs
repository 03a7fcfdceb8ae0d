//! What settings can be.

use std::time::Duration;

/// The word of a value in a table of words; the tables are complete.
fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, one)| *one == value).map_or("", |(word, _)| word)
}

/// Who runs the turns of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendKind {
    /// The daemon, one process per turn.
    #[default]
    Programmatic,
    /// A session that somebody else runs and that pulls its messages.
    Attached,
}

impl BackendKind {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 2] = [("programmatic", Self::Programmatic), ("attached", Self::Attached)];
    /// What older notes call them.
    pub const FORMER_WORDS: [(&str, Self); 1] = [("channel", Self::Attached)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// How messages share a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// All in one.
    #[default]
    SingleThreaded,
    /// Each in its own, unless it names a subject.
    MultiThreaded,
}

impl Mode {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 2] = [
        ("single-threaded", Self::SingleThreaded),
        ("multi-threaded", Self::MultiThreaded),
    ];
    /// What older notes call them.
    pub const FORMER_WORDS: [(&str, Self); 3] = [
        ("resident", Self::SingleThreaded),
        ("one-shot", Self::MultiThreaded),
        ("per-thread", Self::MultiThreaded),
    ];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// How the body meets the CLI's own system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptMode {
    /// Behind it.
    #[default]
    Append,
    /// Instead of it.
    Replace,
}

impl PromptMode {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 2] = [("append", Self::Append), ("replace", Self::Replace)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// What of the disk a turn may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filesystem {
    /// Its working directory, and what is mounted.
    #[default]
    Workspace,
    /// All that the daemon's user can.
    Full,
}

impl Filesystem {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 2] = [("workspace", Self::Workspace), ("full", Self::Full)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// What of the network a turn may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// All of it.
    #[default]
    Open,
    /// Every public address, and the hosts of `egress`.
    Proxied,
    /// The model's API and the hosts of `egress`.
    Restricted,
}

impl Network {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 3] = [
        ("open", Self::Open),
        ("proxied", Self::Proxied),
        ("restricted", Self::Restricted),
    ];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// What becomes of a turn that a restart cut off after its prompt had been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupt {
    /// The session is resumed once and told about it.
    #[default]
    Continue,
    /// It ends as *interrupted*.
    Stop,
}

impl OnInterrupt {
    /// The words in metadata.
    pub const WORDS: [(&str, Self); 2] = [("continue", Self::Continue), ("stop", Self::Stop)];

    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

/// Whether the process of a turn stays for the next message of its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepWarm {
    /// It ends with the turn.
    Never,
    /// It stays as long as the configuration says.
    AsConfigured,
    /// It stays this long.
    For(Duration),
}
