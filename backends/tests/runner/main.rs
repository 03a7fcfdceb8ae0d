//! The runner against real processes: the stand-in, small scripts, and the CLI itself.

// `cfg(test)` tells Clippy that helpers outside of test functions are tests as well.
#[cfg(test)]
mod cases;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod confined;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod healing;
#[cfg(test)]
mod output;
#[cfg(test)]
mod real_cli;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod staying;
#[cfg(test)]
mod support;
#[cfg(test)]
mod sweeping;
#[cfg(test)]
mod verdicts;
