//! What our own executable does between the daemon and the confined program: hidden subcommands, answered before anything
//! else of the executable is set up.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod attempts;
#[cfg(target_os = "linux")]
mod fence;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
pub(crate) mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

#[cfg(target_os = "linux")]
pub(crate) use filter::SUPPORTED as FILTER_SUPPORTED;
#[cfg(target_os = "linux")]
pub(crate) use init::SHIM;

/// Runs inside: limits itself for good, and becomes the program.
pub const INIT_COMMAND: &str = "sandbox-init";
/// Runs inside as the program: tries what must not be possible. See [`probe`](crate::probe()).
pub const PROBE_COMMAND: &str = "sandbox-probe";

/// Does what `args` (without the name of the program) ask for. `None` when that is none of the hidden subcommands.
pub fn main(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let command = args.next()?;
    match command.to_str()? {
        #[cfg(target_os = "linux")]
        INIT_COMMAND => Some(init::main()),
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        PROBE_COMMAND => Some(attempts::main(args)),
        _ => None,
    }
}
