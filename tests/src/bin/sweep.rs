//! The long kill sweep, by hand:
//!
//! ```sh
//! cargo run -p reveille-tests --bin sweep -- --kills 300 --seed 42
//! ```

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use reveille_tests::sweep::{Options, sweep};

/// Kills a debug build of the daemon again and again at random moments, under load and with faults in its storage, and checks
/// after each death that nothing is lost, doubled, out of order or left behind.
#[derive(Parser)]
#[command(
    after_help = "Example: sweep --kills 300 --seed 42\n\nThe same seed makes the same plan. Ends with 1 and says what is wrong as \
                  soon as something is; REVEILLE_BIN names another binary than target/debug/reveille."
)]
struct Args {
    /// How often it is killed; each ten come with two more in the quiet.
    #[arg(long, default_value_t = 300)]
    kills: u32,
    /// Decides everything but the machine's own timing. Without it one is made up and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Calls of the vault that fail, in percent.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=50))]
    vault_faults: u64,
    /// Writes of the queue that fail, in percent.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=50))]
    queue_faults: u64,
    /// Where the daemon's state and log are kept when something is wrong.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let (seed, kills) = (args.seed.unwrap_or_else(|| std::process::id().into()), args.kills);
    let options = Options {
        seed,
        kills,
        vault_faults: args.vault_faults,
        queue_faults: args.queue_faults,
        keep: args.keep,
    };
    // silent-ok: the exit code says how it ended, whoever still reads.
    let report = sweep(&options, |line| drop(writeln!(std::io::stdout(), "{line}")));
    report
        .await
        .with_context(|| format!("the same plan again: sweep --seed {seed} --kills {kills}"))?;
    writeln!(
        std::io::stdout(),
        "nothing was lost, doubled, out of order or left behind"
    )?;
    Ok(())
}
