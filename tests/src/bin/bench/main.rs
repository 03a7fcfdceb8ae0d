//! The benchmark: prints figures of the daemon beside the machine's own floor, measured in the same run.
//!
//! `cargo run --release -p reveille-tests --bin bench -- start --agents 1000` needs `cargo build --release -p reveille` first;
//! `bench vault --notes 100000`, `bench folder --files 10000`, `bench definitions --count 1000`, `bench sse --watchers 500` and
//! `bench sandbox --turns 100` likewise, and `bench warm --turns 20` with the real CLI, which `tests/run` installs; `bench turns
//! --turns 500` and `bench growth --turns 200` need `cargo build --release -p reveille-tests --bins` too.

#![forbid(unsafe_code)]

mod daemon;
mod definitions;
mod figure;
mod floor;
mod folder;
mod growth;
mod history;
mod sandbox;
mod sse;
mod start;
mod turns;
mod vault;
mod warm;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::figure::Figure;

/// Runs of each figure; the median is printed.
const RUNS: usize = 9;
/// How long a daemon may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// As many open files as may be: each watcher has one here and one in the daemon, which starts with this limit.
fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, ..limit })?)
}

enum Part {
    Start,
    Vault,
    Folder,
    Definitions,
    Sse,
    Sandbox,
    Turns,
    Growth,
    Warm,
}

fn asked() -> Result<(Part, usize)> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (part, count) = match args[..] {
        ["start"] => (Part::Start, "1000"),
        ["start", "--agents", number] => (Part::Start, number),
        ["vault"] => (Part::Vault, "100000"),
        ["vault", "--notes", number] => (Part::Vault, number),
        ["folder"] => (Part::Folder, "10000"),
        ["folder", "--files", number] => (Part::Folder, number),
        ["definitions"] => (Part::Definitions, "1000"),
        ["definitions", "--count", number] => (Part::Definitions, number),
        ["sse"] => (Part::Sse, "500"),
        ["sse", "--watchers", number] => (Part::Sse, number),
        ["sandbox"] => (Part::Sandbox, "100"),
        ["sandbox", "--turns", number] => (Part::Sandbox, number),
        ["turns"] => (Part::Turns, "500"),
        ["turns", "--turns", number] => (Part::Turns, number),
        ["growth"] => (Part::Growth, "200"),
        ["growth", "--turns", number] => (Part::Growth, number),
        ["warm"] => (Part::Warm, "20"),
        ["warm", "--turns", number] => (Part::Warm, number),
        _ => {
            bail!(
                "usage: bench start [--agents N] | vault [--notes N] | folder [--files N] | definitions [--count N] | \
                 sse [--watchers N] | sandbox [--turns N] | warm [--turns N] | turns [--turns N] | growth [--turns N]"
            )
        }
    };
    Ok((part, count.parse::<usize>().context("the count is no number")?.max(1)))
}

#[tokio::main]
async fn main() -> Result<()> {
    let (part, count) = asked()?;
    raise_open_files()?;
    let mut figures = floor::machine().await?;
    let what = match part {
        Part::Start => {
            figures.extend(start::measure(count).await?);
            "agents"
        }
        Part::Vault => {
            figures.extend(vault::measure(count).await?);
            "notes"
        }
        Part::Folder => {
            figures.extend(folder::measure(count).await?);
            "files"
        }
        Part::Definitions => {
            figures.extend(definitions::measure(count).await?);
            "definitions"
        }
        Part::Sse => {
            figures.extend(sse::measure(count).await?);
            "watchers"
        }
        Part::Sandbox => {
            figures.extend(sandbox::measure(count).await?);
            "turns"
        }
        Part::Turns => {
            figures.extend(turns::measure(count).await?);
            "turns"
        }
        Part::Growth => {
            figures.extend(growth::measure(count).await?);
            "turns"
        }
        Part::Warm => {
            figures.extend(warm::measure(count).await?);
            "turns"
        }
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{count} {what}\n{:76} {:>9} {:>9} {:>9}", "", "p50", "p95", "p99")?;
    for figure in &figures {
        writeln!(
            out,
            "{:76} {:9.2} {:9.2} {:9.2} {}",
            figure.name,
            figure.at(0.5),
            figure.at(0.95),
            figure.at(0.99),
            figure.unit
        )?;
    }
    let json: Vec<Value> = figures.iter().map(Figure::json).collect();
    writeln!(out, "{}", json!({ what: count, "figures": json }))?;
    Ok(())
}
