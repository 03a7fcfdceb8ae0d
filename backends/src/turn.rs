//! What a turn is asked for, what it tells while it runs, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reveille_sandbox::{Exceeded, Policy};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::claude::Resident;

/// Which session a turn belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Begin one under this id, which was never used before.
    New(Uuid),
    /// Go on with this one, which reached `init` before.
    Resume(Uuid),
}

impl Session {
    /// The id that the turn starts with. Self-healing may replace it: see [`TurnOutcome::session`].
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::New(id) | Self::Resume(id) => id,
        }
    }
}

/// How the definition's text meets the CLI's own system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptMode {
    /// Behind it.
    #[default]
    Append,
    /// Instead of it.
    Replace,
}

/// The definition's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPrompt {
    /// Given to the CLI as a file.
    pub text: String,
    /// How.
    pub mode: PromptMode,
}

/// The private directories of a conversation. They exist when a turn starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Working directory of the child: one and the same for the life of a session.
    pub cwd: PathBuf,
    /// Files that the daemon writes for the child (`system-prompt.txt`, `mcp.json`).
    pub ctl: PathBuf,
    /// The child's own configuration: `CLAUDE_CONFIG_DIR` is `<home>/.claude`.
    pub home: PathBuf,
    /// Temporary files of the child.
    pub tmp: PathBuf,
}

/// Clocks of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From spawn to the answer to `initialize`.
    pub start: Duration,
    /// Without any output line. While a tool runs, its own limit plus 30 s counts when that is longer.
    pub idle: Duration,
    /// For the whole turn.
    pub wall: Duration,
}

/// One turn. Shown without what is told to the model and without what is given to the child.
#[derive(Clone)]
pub struct TurnRequest {
    /// Identity of the turn; children carry it as `REVEILLE_TURN`, those of a process that stays that of its first turn, and those
    /// of one that was started ahead a name that is no turn's.
    pub turn: Uuid,
    /// The text for the model. Sent literally: a leading `/` never becomes a slash command.
    pub prompt: String,
    /// Which session.
    pub session: Session,
    /// Where.
    pub dirs: Dirs,
    /// What the child may reach besides the conversation's own directories.
    pub policy: Policy,
    /// `--model`; the CLI's own default when absent.
    pub model: Option<String>,
    /// The definition's text, if any.
    pub system_prompt: Option<SystemPrompt>,
    /// `--max-turns`.
    pub max_turns: Option<u32>,
    /// `--max-budget-usd`.
    pub budget_usd: Option<f64>,
    /// Clocks.
    pub timeouts: Timeouts,
    /// Extra variables for the child (credentials, base URL), over the allow-list.
    pub env: BTreeMap<String, String>,
    /// What the child knows besides and nobody may read in an error, such as the token of a login that was lent to it.
    pub secrets: Vec<String>,
}

impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnRequest")
            .field("turn", &self.turn)
            .field("session", &self.session)
            .field("dirs", &self.dirs)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// The input or the answer of a tool, where an event has its beginning only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// At most 1 MiB of it.
    pub text: String,
    /// There was more.
    pub cut: bool,
}

/// Something that happened in a running turn. Serialised as the live event's body, `kind` first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The CLI has taken the prompt.
    Init {
        /// The session that it really uses.
        session: Uuid,
        /// The model that it really uses.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Version of the CLI.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// A piece of text as it is made. The whole block follows as [`Event::Text`].
    TextDelta {
        /// The piece.
        text: String,
    },
    /// One whole block of text.
    Text {
        /// The block.
        text: String,
        /// The tool call of the sub-agent that wrote it.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// A whole block of the model's thinking.
    Thinking {
        /// The block.
        text: String,
        /// The tool call of the sub-agent that thought it.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// A tool is called.
    Tool {
        /// Identity of the call.
        id: String,
        /// Name of the tool.
        tool: String,
        /// Its input as JSON text, cut at 2 000 characters with `…`; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        input: Option<String>,
        /// What was cut. No part of what is told.
        #[serde(skip)]
        whole: Option<Whole>,
        /// The tool call of the sub-agent that called it.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// A tool has answered.
    ToolResult {
        /// Identity of the call.
        id: String,
        /// Name of the tool, when the call was seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// Whether it worked, when the CLI said so.
        #[serde(skip_serializing_if = "Option::is_none")]
        ok: Option<bool>,
        /// Its text, cut at 2 000 characters with `…`; absent when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
        /// What was cut. No part of what is told.
        #[serde(skip)]
        whole: Option<Whole>,
        /// The tool call of the sub-agent that called it.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// The API refused a request and the CLI will try again.
    Retry {
        /// Which try failed, from 1.
        attempt: u32,
        /// Most tries.
        max: u32,
        /// Pause before the next, in milliseconds.
        delay_ms: u64,
        /// HTTP status; absent for connection errors and timeouts.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The CLI's word for it, such as `overloaded`.
        error: String,
    },
    /// Something a person should know: context compaction, a model fallback, an MCP server that did not start, a session
    /// that had to be replaced.
    Notice {
        /// A sentence.
        text: String,
    },
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Not from the cache.
    pub input_tokens: u64,
    /// Made by the model.
    pub output_tokens: u64,
    /// Read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Written to the prompt cache.
    pub cache_write_tokens: u64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
        }
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Trying again later can help.
    Retry,
    /// Trying again gives the same.
    Permanent,
    /// The operator must act first (sign in, pay, install).
    Operator,
}

/// Stable codes of failures. One page each in the documentation of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// No or refused credentials.
    Authentication,
    /// No credit, or the organisation may not use it.
    Billing,
    /// Too many requests, or a usage limit reached.
    RateLimited,
    /// The API is at capacity.
    Overloaded,
    /// The API answers 5xx, or cannot be reached.
    ApiUnavailable,
    /// Unknown or forbidden model.
    ModelNotFound,
    /// The conversation no longer fits the model's window.
    PromptTooLong,
    /// The API refuses the request as wrong.
    InvalidRequest,
    /// The model refuses to answer.
    Refused,
    /// `--max-turns` reached.
    MaxTurns,
    /// `--max-budget-usd` reached.
    Budget,
    /// No output for too long.
    IdleTimeout,
    /// The turn took too long.
    WallTimeout,
    /// The CLI did not come up in time.
    StartTimeout,
    /// The CLI ended without a result.
    Crashed,
    /// The CLI refuses its command line.
    BadArguments,
    /// The program is not there.
    ProgramMissing,
    /// The program could not be started.
    SpawnFailed,
    /// The sandbox could not be set up.
    Sandbox,
    /// The message has no text.
    BlankMessage,
    /// The daemon could not write a file or a journal row that the turn needs.
    Storage,
    /// An error result that fits no other code.
    Unknown,
}

/// A turn that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: FailureCode,
    /// What happened, for the person who wrote the message: a sentence without secrets, paths of this machine or raw stderr.
    pub message: String,
    /// What to do now, a sentence.
    pub next_step: String,
    /// Whether trying again can help.
    pub remedy: Remedy,
    /// For the operator's log: the CLI's own words, exit code, the end of stderr. At most 2 KiB.
    pub detail: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With an answer (which may be empty).
    Ok {
        /// All text blocks of the main conversation, in order, joined by a blank line.
        reply: String,
    },
    /// Without one.
    Failed(Failure),
    /// Stopped by the token.
    Stopped,
}

/// All that is known when a turn has ended. No process of the turn is alive any more, unless it waits for the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnOutcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The session that reached `init`; `None` when none did. A dead id that the CLI merely echoed is never here.
    pub session: Option<Uuid>,
    /// Tokens, summed over models and attempts, from `modelUsage`.
    pub usage: Usage,
    /// Cost in US dollars, failed attempts included.
    pub cost_usd: f64,
    /// The models that were really used; that of the main conversation first.
    pub models: Vec<String>,
    /// Whether a tool was called.
    pub tools_ran: bool,
    /// Text that was made before a failure or a stop.
    pub partial: String,
}

impl TurnOutcome {
    /// Adds models that were used too, each once.
    pub fn also_used(&mut self, models: impl IntoIterator<Item = String>) {
        for model in models {
            if !self.models.contains(&model) {
                self.models.push(model);
            }
        }
    }
}

/// The daemon's side of a running turn.
#[async_trait]
pub trait Observer: Send + Sync {
    /// The child runs and is about to be given the prompt under this session id. The daemon writes that down durably; an
    /// error here ends the turn with [`FailureCode::Storage`] before the prompt was given.
    async fn before_prompt(&self, session: Uuid) -> Result<(), String>;

    /// Something happened. Must return at once.
    fn event(&self, event: Event);

    /// The child has given its result; it and what it has left may still take a while to end. Must return at once.
    fn answered(&self) {}

    /// The limits of all its processes together have kept the child from so much. Must return at once.
    fn limited(&self, _exceeded: Exceeded) {}
}

/// A way to run turns.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Runs one turn to its end. Cancelling `stop` ends it by the stop ladder; the outcome says so. Dropping the future
    /// must not leave a process behind for longer than the next start of the daemon.
    async fn run(&self, turn: TurnRequest, observer: &dyn Observer, stop: CancellationToken) -> TurnOutcome;

    /// The same, but the process may stay for another turn of the session when this one ended well. Then it is alive, and what
    /// the turn was given is still its own.
    async fn run_and_stay(
        &self,
        turn: TurnRequest,
        observer: &dyn Observer,
        stop: CancellationToken,
    ) -> (TurnOutcome, Option<Resident>) {
        (self.run(turn, observer, stop).await, None)
    }

    /// Starts a process for a turn that may come, and tells it nothing. The prompt counts for nothing. Cancelling `stop` ends it;
    /// after an error nothing of it is alive.
    ///
    /// # Errors
    /// It did not come up, or did something unasked.
    async fn start_ahead(&self, turn: TurnRequest, stop: CancellationToken) -> Result<Resident, Failure> {
        drop((turn, stop));
        Err(Failure {
            code: FailureCode::SpawnFailed,
            message: "Processes cannot be started ahead here.".into(),
            next_step: "Nothing is to be done.".into(),
            remedy: Remedy::Permanent,
            detail: String::new(),
        })
    }

    /// Bytes that the CLI's own storage holds of the session.
    fn session_size(&self, dirs: &Dirs, session: Uuid) -> u64;

    /// Whether the session took a prompt after its storage held that many bytes: tools may have run since. Its own notes, such
    /// as that it was opened, are none.
    fn took_prompt(&self, dirs: &Dirs, session: Uuid, since: u64) -> bool;
}
