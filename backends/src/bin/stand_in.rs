//! The stand-in as a program of its own, for the tests of this crate.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    reveille_backends::stand_in::main(std::env::args_os().skip(1))
}
