//! `agent/definition` notes: the body is the role, the metadata the settings.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::{MessageMode, tag};
use crate::note::{Note, NoteId};

/// Metadata of a definition whose agent may write definitions.
pub const DEFINES_AGENTS: &str = "defines_agents";
/// Metadata of a definition that an agent wrote; says which one.
pub const DEFINED_BY: &str = "defined_by";

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The metadata key, or `tags`.
    pub key: &'static str,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
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
    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleThreaded => "single-threaded",
            Self::MultiThreaded => "multi-threaded",
        }
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

/// What becomes of a turn that a restart cut off after its prompt had been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupt {
    /// The session is resumed once and told about it.
    #[default]
    Continue,
    /// It ends as *interrupted*.
    Stop,
}

/// A definition that holds together. Equal definitions need no action: status keys are not part of it.
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
    /// How it is given.
    pub prompt_mode: PromptMode,
    /// Who runs the turns.
    pub backend: BackendKind,
    /// How messages share a conversation.
    pub mode: Mode,
    /// Passed to the CLI.
    pub model: Option<String>,
    /// Working directory instead of the conversation's own; absolute.
    pub workspace: Option<String>,
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
}

/// Whether a text can be an agent's name: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

/// Whether a text can be the name of a model: letters, digits and `. _ : - [ ]`, beginning with a letter or digit.
#[must_use]
pub fn is_model(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || b"._:[]-".contains(&c);
    text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric()) && text.bytes().all(inner)
}

/// Reads values and gathers everything that is wrong.
struct Reader<'a> {
    note: &'a Note,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn reject(&mut self, key: &'static str, message: impl Into<String>) {
        self.problems.push(Problem {
            key,
            message: message.into(),
        });
    }

    /// The value of one of several words; the first is the default.
    fn choice<T: Copy + Default>(&mut self, key: &'static str, words: &[(&str, T)]) -> T {
        let Some(text) = self.note.text(key) else {
            return T::default();
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.reject(key, format!("{text:?} is not known; use one of: {}", known.join(", ")));
        T::default()
    }

    /// Text that must satisfy a rule.
    fn checked(&mut self, key: &'static str, rule: &str, good: impl Fn(&str) -> bool) -> Option<String> {
        let text = self.note.text(key)?;
        if good(&text) {
            return Some(text);
        }
        self.reject(key, format!("{text:?} will not do; {rule}"));
        None
    }

    fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let text = self.note.text(key)?;
        let parsed = text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|d| Duration::try_from(d).ok())
            .filter(|d| !d.is_zero());
        if parsed.is_none() {
            self.reject(
                key,
                format!("{text:?} is no time span; write it like 90s, 5m or 1h 30m"),
            );
        }
        parsed
    }

    fn number<T: std::str::FromStr + PartialOrd + Default>(&mut self, key: &'static str, what: &str) -> Option<T> {
        let text = self.note.text(key)?;
        let parsed = text.parse::<T>().ok().filter(|n| *n > T::default());
        if parsed.is_none() {
            self.reject(key, format!("{text:?} will not do; {what}"));
        }
        parsed
    }
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// Everything that is wrong with the note.
    pub fn parse(note: &Note) -> Result<Self, Vec<Problem>> {
        let mut read = Reader {
            note,
            problems: Vec::new(),
        };
        let rule = "1 to 64 letters, digits, `_` and `-`";
        let name = read.checked("name", rule, is_name);
        if note.text("name").is_none() {
            read.reject("name", format!("is missing; give the agent a name of {rule}"));
        }
        if note.has_tag(tag::INBOUND) {
            read.reject(
                "tags",
                "a definition cannot be a message too; take agent/message/inbound away",
            );
        }
        let backend = read.choice(
            "backend",
            &[
                ("programmatic", BackendKind::Programmatic),
                ("attached", BackendKind::Attached),
                ("channel", BackendKind::Attached),
            ],
        );
        if backend == BackendKind::Attached {
            read.reject(
                "backend",
                "attached agents cannot be served by this version yet; use programmatic",
            );
        }
        let mode = read.choice(
            "mode",
            &[
                ("single-threaded", Mode::SingleThreaded),
                ("multi-threaded", Mode::MultiThreaded),
                ("resident", Mode::SingleThreaded),
                ("one-shot", Mode::MultiThreaded),
                ("per-thread", Mode::MultiThreaded),
            ],
        );
        let prompt = (!note.content.trim().is_empty()).then(|| note.content.clone());
        let prompt_mode = match prompt {
            Some(_) => read.choice(
                "systemPromptMode",
                &[("append", PromptMode::Append), ("replace", PromptMode::Replace)],
            ),
            None => PromptMode::default(),
        };
        let model = read.checked(
            "model",
            "letters, digits and . _ : - [ ], such as sonnet or claude-opus-4-8[1m]",
            is_model,
        );
        let workspace = read.checked("workspace", "it must be an absolute path", |text| text.starts_with('/'));
        let on_interrupt = read.choice(
            "on_interrupt",
            &[("continue", OnInterrupt::Continue), ("stop", OnInterrupt::Stop)],
        );
        let timeout_idle = read.duration("timeout_idle");
        let timeout_wall = read.duration("timeout_wall");
        let max_turns = read.number("max_turns", "a whole number from 1");
        let budget_turn_usd = read.number("budget_turn_usd", "US dollars above 0, such as 0.50");
        let budget_day_usd = read.number("budget_day_usd", "US dollars above 0, such as 5");
        let message_mode = read.choice("message_mode", &MessageMode::WORDS);
        let paused = read.choice("paused", &[("false", false), ("true", true)]);
        let without_tools = read.choice("vault_tools", &[("true", false), ("false", true)]);
        let defines_agents = read.choice(DEFINES_AGENTS, &[("false", false), ("true", true)]);
        match name {
            Some(name) if read.problems.is_empty() => Ok(Self {
                note: note.id.clone(),
                path: note.path.clone(),
                name,
                prompt,
                prompt_mode,
                backend,
                mode,
                model,
                workspace,
                on_interrupt,
                timeout_idle,
                timeout_wall,
                max_turns,
                budget_turn_usd,
                budget_day_usd,
                message_mode,
                paused,
                pause_reason: note.text("pause_reason"),
                vault_tools: !without_tools,
                defines_agents,
                defined_by: note.text(DEFINED_BY),
            }),
            _ => Err(read.problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn note(content: &str, metadata: Value) -> Note {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        Note {
            id: NoteId::new("n1").unwrap(),
            path: Some("Agents/eng".into()),
            content: content.into(),
            tags: vec!["agent/definition".into()],
            metadata,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn a_bare_definition_has_the_defaults() {
        let expected = Definition {
            note: NoteId::new("n1").unwrap(),
            path: Some("Agents/eng".into()),
            name: "eng".into(),
            prompt: Some(" You build. \n".into()),
            prompt_mode: PromptMode::Append,
            backend: BackendKind::Programmatic,
            mode: Mode::SingleThreaded,
            model: None,
            workspace: None,
            on_interrupt: OnInterrupt::Continue,
            timeout_idle: None,
            timeout_wall: None,
            max_turns: None,
            budget_turn_usd: None,
            budget_day_usd: None,
            message_mode: MessageMode::Followup,
            paused: false,
            pause_reason: None,
            vault_tools: true,
            defines_agents: false,
            defined_by: None,
        };
        assert_eq!(
            Definition::parse(&note(" You build. \n", json!({"name": " eng "}))),
            Ok(expected)
        );
    }

    #[test]
    fn values_may_be_text_or_json_types() {
        let metadata = json!({"name": "eng", "max_turns": 3, "budget_turn_usd": "0.5", "timeout_idle": "90s",
            "timeout_wall": "1h 30m", "mode": "one-shot", "on_interrupt": "stop", "model": "claude-opus-4-8[1m]"});
        let parsed = Definition::parse(&note("", metadata)).unwrap();
        assert_eq!(
            (
                parsed.max_turns,
                parsed.budget_turn_usd,
                parsed.timeout_idle,
                parsed.timeout_wall
            ),
            (
                Some(3),
                Some(0.5),
                Some(Duration::from_secs(90)),
                Some(Duration::from_secs(5400))
            )
        );
        assert_eq!(
            (parsed.mode, parsed.on_interrupt, parsed.prompt),
            (Mode::MultiThreaded, OnInterrupt::Stop, None)
        );
    }

    #[test]
    fn the_tools_of_the_vault_can_be_taken_away() {
        for (word, expected) in [(json!(false), false), (json!("false"), false), (json!(true), true)] {
            let parsed = Definition::parse(&note("", json!({"name": "eng", "vault_tools": word})));
            assert_eq!(parsed.map(|definition| definition.vault_tools), Ok(expected));
        }
    }

    #[test]
    fn an_agent_makes_agents_when_it_says_so() {
        for (word, expected) in [(json!(true), true), (json!("true"), true), (json!("false"), false)] {
            let parsed = Definition::parse(&note("", json!({"name": "eng", "defines_agents": word})));
            assert_eq!(parsed.map(|definition| definition.defines_agents), Ok(expected));
        }
        let problems = Definition::parse(&note("", json!({"name": "eng", "defines_agents": "yes"}))).unwrap_err();
        assert_eq!(problems[0].key, "defines_agents");
        let parsed = Definition::parse(&note("", json!({"name": "eng", "defined_by": "agent:ops"}))).unwrap();
        assert_eq!(parsed.defined_by.as_deref(), Some("agent:ops"));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let metadata = json!({"name": "two words", "backend": "interactive", "mode": "x", "model": "a b",
            "workspace": "rel", "max_turns": 0, "timeout_idle": "soon", "systemPromptMode": "prefix"});
        let keys: Vec<_> = Definition::parse(&note("p", metadata))
            .unwrap_err()
            .iter()
            .map(|p| p.key)
            .collect();
        assert_eq!(
            keys,
            [
                "name",
                "backend",
                "mode",
                "systemPromptMode",
                "model",
                "workspace",
                "timeout_idle",
                "max_turns"
            ]
        );
    }

    #[test]
    fn a_missing_name_is_one_problem() {
        let problems = Definition::parse(&note("p", json!({"name": "  "}))).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key, "name");
    }
}
