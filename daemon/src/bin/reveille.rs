//! The program `reveille`: all of it is in the library, where the fuzz targets reach it too.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    reveille::main()
}
