//! What our own executable does between the daemon and the confined program: hidden subcommands, answered before anything
//! else of the executable is set up.

use std::ffi::OsString;
use std::process::ExitCode;

/// Puts the arguments of bubblewrap together and becomes it.
pub const LAUNCH_COMMAND: &str = "sandbox-launch";
/// Runs inside: limits itself for good, and becomes the program.
pub const INIT_COMMAND: &str = "sandbox-init";
/// Runs inside as the program: tries what must not be possible.
pub const PROBE_COMMAND: &str = "sandbox-probe";

/// Does what `args` (without the name of the program) ask for. `None` when that is none of the hidden subcommands.
pub fn main(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let command = args.next()?;
    let command = command.to_str()?;
    [LAUNCH_COMMAND, INIT_COMMAND, PROBE_COMMAND]
        .contains(&command)
        .then_some(ExitCode::from(2))
}
