//! Inside, as the program of a probe: tries what must not be possible, and says what came of it.

use std::ffi::OsString;
use std::process::ExitCode;

/// See [`crate::probe()`].
pub(super) fn main(_args: impl Iterator<Item = OsString>) -> ExitCode {
    let _version = super::fence::version();
    ExitCode::SUCCESS
}
