//! `agent/definition` notes: the body is the role, the metadata the settings.

mod kinds;
mod mounts;
mod read;
mod settings;
mod unread;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use kinds::{BackendKind, Filesystem, KeepWarm, Mode, Network, OnInterrupt, PromptMode};
pub use mounts::{Mount, MountMode};
pub use settings::{SETTINGS, Setting};

use super::{MessageMode, Want, tag};
use crate::note::{Note, NoteId};
use read::Reader;

/// Metadata of a definition whose agent may write definitions.
pub const DEFINES_AGENTS: &str = "defines_agents";
/// Metadata of a definition that an agent wrote; says which one.
pub const DEFINED_BY: &str = "defined_by";

/// The rule of an agent's name.
const NAME_RULE: &str = "1 to 64 letters, digits, `_` and `-`";

/// One thing that is wrong, or looks wrong, with a note of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The metadata key, or `tags`, or `content`.
    pub key: Cow<'static, str>,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl Problem {
    /// Says of a key what is wrong with it. What would be very long loses its middle: what was written stands in front, what is
    /// accepted at the end.
    #[must_use]
    pub fn new(key: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: without_middle(message.into()),
        }
    }
}

/// Most characters of a message, and how many of them are its end.
const MESSAGE_CHARS: (usize, usize) = (600, 400);

/// A message that would be very long (over 600 characters) loses its middle.
#[must_use]
pub fn without_middle(message: String) -> String {
    let (most, end) = MESSAGE_CHARS;
    let count = message.chars().count();
    if count <= most {
        return message;
    }
    let first = message.chars().take(most - end);
    first.chain(['…']).chain(message.chars().skip(count - end)).collect()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// A definition that holds together. Equal definitions need no action: what the daemon writes on the note (`status` and the
/// like) is not part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The note.
    pub note: NoteId,
    /// Its path, for people.
    pub path: Option<String>,
    /// Name of the agent and of its channel.
    pub name: String,
    /// The body, untrimmed; `None` when blank.
    pub prompt: Option<String>,
    /// How it is given; without a body always the default.
    pub prompt_mode: PromptMode,
    /// Who runs the turns.
    pub backend: BackendKind,
    /// How messages share a conversation.
    pub mode: Mode,
    /// Passed to the CLI.
    pub model: Option<String>,
    /// Working directory instead of the conversation's own; absolute. Whether it is there is not looked at.
    pub workspace: Option<String>,
    /// What of the disk its turns may reach.
    pub filesystem: Filesystem,
    /// What of the network its turns may reach.
    pub network: Network,
    /// Hosts that stay reachable when the network is not open, as they are written.
    pub egress: Vec<String>,
    /// Directories of the host that it gets besides its own.
    pub mounts: Vec<Mount>,
    /// Connections by their old names: shown, never granted.
    pub uses: Vec<String>,
    /// Connections that it asks for.
    pub wants: Vec<Want>,
    /// What a restart does to a running turn.
    pub on_interrupt: OnInterrupt,
    /// Longest silence of a turn.
    pub timeout_idle: Option<Duration>,
    /// Longest turn.
    pub timeout_wall: Option<Duration>,
    /// Most model rounds of a turn.
    pub max_turns: Option<u32>,
    /// Most US dollars of a turn.
    pub budget_turn_usd: Option<f64>,
    /// Most US dollars of a day (UTC).
    pub budget_day_usd: Option<f64>,
    /// Whether its process is kept for the next message of a conversation; `None`: as configured.
    pub keep_warm: Option<KeepWarm>,
    /// What its messages do to each other, unless they say otherwise.
    pub message_mode: MessageMode,
    /// Its messages wait.
    pub paused: bool,
    /// Why, in a person's words.
    pub pause_reason: Option<String>,
    /// Its turns get the tools of the vault.
    pub vault_tools: bool,
    /// Its turns may write definitions.
    pub defines_agents: bool,
    /// Who wrote it, when that was an agent: `agent:NAME`.
    pub defined_by: Option<String>,
    /// Keys of [`SETTINGS`] that the note gives, in their order; the others have their defaults.
    pub given: Vec<&'static str>,
    /// What looks wrong, though the agent works: entries that were left out, keys that are not read.
    pub warnings: Vec<Problem>,
}

/// Whether a text can be an agent's name: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Whether a text can be the name of a model: up to 200 letters, digits and `. _ : - [ ]`, beginning with a letter or digit.
#[must_use]
pub fn is_model(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"._:[]-".contains(&c);
    text.len() <= 200 && text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric()) && text.bytes().all(inner)
}

fn prompt_mode(read: &mut Reader<'_>, prompt: Option<&String>) -> PromptMode {
    match prompt {
        Some(_) => read.choice("systemPromptMode", &PromptMode::WORDS, &[]),
        None => PromptMode::default(),
    }
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// Everything that is wrong with the note.
    pub fn parse(note: &Note) -> Result<Self, Vec<Problem>> {
        let mut read = Reader::new(note);
        let name = read.name();
        if note.has_tag(tag::INBOUND) {
            let message = "a definition cannot be a message too; take agent/message/inbound away";
            read.reject("tags", message);
        }
        let prompt = (!note.content.trim().is_empty()).then(|| note.content.clone());
        let definition = Self {
            note: note.id.clone(),
            path: note.path.clone(),
            name,
            backend: read.backend(),
            mode: read.choice("mode", &Mode::WORDS, &Mode::FORMER_WORDS),
            prompt_mode: prompt_mode(&mut read, prompt.as_ref()),
            prompt,
            model: read.checked(
                "model",
                "letters, digits and . _ : - [ ], such as sonnet or claude-opus-4-8[1m]",
                is_model,
            ),
            workspace: read.checked(
                "workspace",
                "it must be an absolute path without control characters",
                |text| text.starts_with('/') && !text.contains(char::is_control),
            ),
            filesystem: read.choice("filesystem", &Filesystem::WORDS, &[]),
            network: read.choice("network", &Network::WORDS, &[]),
            egress: read.list("egress"),
            mounts: read.mounts(),
            uses: read.list("uses"),
            wants: read.wants(),
            on_interrupt: read.choice("on_interrupt", &OnInterrupt::WORDS, &[]),
            timeout_idle: read.duration("timeout_idle"),
            timeout_wall: read.duration("timeout_wall"),
            max_turns: read.number("max_turns", "a whole number from 1"),
            budget_turn_usd: read.dollars("budget_turn_usd", "0.50"),
            budget_day_usd: read.dollars("budget_day_usd", "5"),
            keep_warm: read.keep_warm(),
            message_mode: read.choice("message_mode", &MessageMode::WORDS, &[]),
            paused: read.choice("paused", &[("false", false), ("true", true)], &[]),
            pause_reason: read.text("pause_reason"),
            // The default comes first, and that of `bool` is false.
            vault_tools: !read.choice("vault_tools", &[("true", false), ("false", true)], &[]),
            defines_agents: read.choice(DEFINES_AGENTS, &[("false", false), ("true", true)], &[]),
            defined_by: note.text(DEFINED_BY),
            given: settings::given(note),
            warnings: Vec::new(),
        };
        let (problems, mut warnings) = read.findings();
        if !problems.is_empty() {
            return Err(problems);
        }
        warnings.extend(unread::warnings(note));
        Ok(Self { warnings, ..definition })
    }

    /// What looks wrong with a note, whether or not the definition holds together.
    #[must_use]
    pub fn warnings_of(note: &Note) -> Vec<Problem> {
        match Self::parse(note) {
            Ok(definition) => definition.warnings,
            Err(_) => unread::warnings(note), // silent-ok: the problems are told by whoever parses it
        }
    }
}
