//! The stand-in as a program of its own, for the tests of this crate. It answers the hidden subcommands of the sandbox as well,
//! as the daemon does.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    let args = || std::env::args_os().skip(1);
    reveille_sandbox::shim::main(args()).unwrap_or_else(|| reveille_backends::stand_in::main(args()))
}
