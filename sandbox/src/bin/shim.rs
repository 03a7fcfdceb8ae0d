//! The hidden subcommands of the sandbox without the rest of the daemon, for tests.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    reveille_sandbox::shim::main(std::env::args_os().skip(1)).unwrap_or(ExitCode::from(2))
}
