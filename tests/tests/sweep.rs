//! The kill sweep, short. The long one: `cargo run -p reveille-tests --bin sweep -- --help`.

use anyhow::{Context as _, Result};
use reveille_tests::sweep::{Options, sweep};

/// `REVEILLE_TEST_SEED` repeats a run, as far as the machine's own timing allows.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_whenever_the_daemon_dies() -> Result<()> {
    let seed = match std::env::var("REVEILLE_TEST_SEED") {
        Ok(seed) => seed.parse().context("REVEILLE_TEST_SEED is a number")?,
        Err(_) => u64::from(std::process::id()),
    };
    println!("REVEILLE_TEST_SEED={seed}");
    let options = Options {
        seed,
        kills: 15,
        vault_faults: 10,
        queue_faults: 2,
        keep: None,
    };
    let report = sweep(&options, |line| println!("{line}")).await?;
    // A sweep without faults, kills in the middle or several children at once would show nothing.
    assert!(report.vault_faults > 0 && report.queue_faults > 0, "{report}");
    assert!(report.interruptions > 0 && report.looks_at_several > 0, "{report}");
    Ok(())
}
