//! `reveille`: write a note; an agent wakes, does the work with Claude Code, and answers with a note.
//!
//! This crate is the daemon and its command line. It owns the road of a message from the vault's change log to the reply,
//! the HTTP surface and the configuration. It must never confine, spawn or parse a child itself, nor keep a message in
//! memory only.
#![forbid(unsafe_code)]

mod attached;
mod attachments;
mod attempts;
mod begun;
mod breaker;
mod bridges;
mod claude;
mod cli;
mod config;
mod crash;
mod credentials;
mod definitions;
mod delegation;
mod doctor;
mod effects;
mod ending;
mod faults;
mod feed;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod grants;
mod homes;
mod http;
mod hub;
mod inbox;
mod intake;
mod kept;
mod layout;
mod lent;
mod limits;
mod live;
mod logging;
mod machine;
mod metrics;
mod module;
mod open_files;
mod orphans;
mod outbox;
mod pauses;
mod prompt;
mod record;
mod registry;
mod remover;
mod renames;
mod report;
mod retention;
mod sandboxing;
mod schedule;
mod scribe;
mod sent;
mod service;
mod sessions;
mod stamp;
mod state_dir;
mod step_up;
mod steps;
mod stopping;
mod strays;
mod supervision;
mod system_prompt;
mod tag_schema;
mod tokens;
mod traces;
mod triggers;
mod trust;
mod turn;
mod vault_tools;
mod vaults;
mod warm;
mod withdraw;
mod worker;

use std::process::ExitCode;

/// The whole program: reads the command line of the process, and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let _program = args.next();
    // What stands between a turn and its start, and the double, must be as fast as they can: before anything of the daemon
    // is set up.
    if let Some(code) = reveille_sandbox::shim::main(std::env::args_os().skip(1)) {
        return code;
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == claude::STAND_IN_COMMAND)
    {
        return reveille_backends::stand_in::main(args.skip(1));
    }
    cli::main()
}
