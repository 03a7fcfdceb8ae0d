//! The notes that mean something to agents: typed views that are parsed from notes and rendered to notes.

mod cron;
mod definition;
mod job;
mod message;
mod misspelt;
mod outbound;
mod schedule;
mod source;
mod thread;
mod thread_settings;
mod wants;

pub use cron::{Cron, CronError};
pub use definition::{
    BackendKind, DEFINED_BY, DEFINES_AGENTS, Definition, Filesystem, KeepWarm, Mode, Mount, MountMode, Network,
    OnInterrupt, Problem, PromptMode, SETTINGS, Setting, is_model, without_middle,
};
pub use job::{CatchUp, Job, Overlap};
pub use message::{Callback, Inbound, MessageMode, RouteError};
pub use outbound::{Outbound, OutboundKind};
pub use schedule::{Schedule, When};
pub use source::{AGENT_STATUS, defined_by_thread};
pub use thread::{ThreadRecord, ThreadStatus};
pub use thread_settings::ThreadSettings;
pub use wants::{Access, Inject, WANTS, Want, is_reserved_env};

/// Tags of the agents' notes, bare.
pub mod tag {
    /// An agent.
    pub const DEFINITION: &str = "agent/definition";
    /// Parent tag of every message.
    pub const MESSAGE: &str = "agent/message";
    /// A message to an agent: it wakes the agent.
    pub const INBOUND: &str = "agent/message/inbound";
    /// An agent's answer.
    pub const OUTBOUND: &str = "agent/message/outbound";
    /// The record of a conversation.
    pub const THREAD: &str = "agent/thread";
    /// A message that is sent by the clock.
    pub const JOB: &str = "agent/job";
    /// A role: standing text for agents, and what it wants for them.
    pub const ROLE: &str = "agent/role";
}

/// Text made safe as one segment of a path: every character outside `A-Z a-z 0-9 _ -` becomes `-`.
#[must_use]
pub fn slug(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .collect()
}
