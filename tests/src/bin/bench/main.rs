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
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::figure::{Figure, ms};

/// Runs of each figure; the median is printed.
const RUNS: usize = 9;
/// How long a daemon may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A synced write to the file, in milliseconds.
fn synced(file: &std::fs::File, run: usize) -> Result<f64> {
    let begin = Instant::now();
    file.write_all_at(&[1; 4096], u64::try_from(run)? * 4096)?;
    file.sync_data()?;
    Ok(ms(begin.elapsed()))
}

/// The machine's own floor: a process that does nothing, and one synced write.
fn floor() -> Result<Vec<Figure>> {
    let (mut spawn, mut sync) = (Vec::new(), Vec::new());
    let dir = tempfile::tempdir()?;
    let file = std::fs::File::create(dir.path().join("sync"))?;
    file.write_all_at(&[0; 1 << 20], 0)?;
    file.sync_all()?;
    for run in 0..RUNS {
        let begin = Instant::now();
        ensure!(Command::new("/bin/true").status()?.success(), "/bin/true failed");
        spawn.push(ms(begin.elapsed()));
        sync.push(synced(&file, run)?);
    }
    Ok(vec![
        Figure {
            name: "floor: spawn and wait for /bin/true".into(),
            unit: "ms",
            values: spawn,
        },
        Figure {
            name: "floor: 4 KiB write and fdatasync".into(),
            unit: "ms",
            values: sync,
        },
    ])
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
    let mut figures = floor()?;
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
