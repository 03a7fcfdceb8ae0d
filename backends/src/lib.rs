//! How one turn is run. Owns the child process of a turn from spawn to the death of its last descendant, also while it waits
//! for the next turn of its session, and the reading of what it says. Must never know of notes, queues or HTTP.
#![forbid(unsafe_code)]

mod agent_dir;
mod claude;
mod confined;
mod process;
pub mod stand_in;
mod turn;

pub use agent_dir::AgentDir;
#[doc(hidden)]
pub use claude::fuzzing;
pub use claude::{
    Again, ClaudeBackend, ClaudeOptions, Probe, ProbeError, Resident, authorities, base_env, config_dir_in,
    find_program, make_config_dir, probe,
};
pub use confined::{run_attached, run_captured};
pub use process::{SweepReport, adopt_orphans, sweep};
pub use turn::{
    Backend, Dirs, Event, Failure, FailureCode, Observer, PromptMode, Remedy, Session, SystemPrompt, Timeouts,
    TurnOutcome, TurnRequest, Usage, Verdict, Whole,
};
