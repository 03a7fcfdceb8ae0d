//! A process of the tests that works on a queue, and is killed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

const STORAGE: &str = "REVEILLE_TEST_CRASH_STORAGE";
const SEED: &str = "REVEILLE_TEST_CRASH_SEED";

/// A small generator (splitmix64): the same seed gives the same round.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    /// One of them, by its number.
    pub(crate) fn pick(&mut self, among: usize) -> usize {
        usize::try_from(self.roll(among as u64)).unwrap()
    }
}

/// What a victim works on; nothing in any other process.
pub(crate) fn victim() -> Option<(PathBuf, Dice)> {
    let path = std::env::var_os(STORAGE)?;
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    Some((PathBuf::from(path), Dice(seed)))
}

/// Tells the parent, in a line of its own.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n>{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Starts a victim, the test of this name in this binary; kills it some answers later, and takes what it had said.
pub(crate) async fn round(victim: &str, path: &Path, seed: u64, mut hear: impl FnMut(&str)) {
    let mut dice = Dice(!seed);
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", victim, "--nocapture", "--test-threads=1"])
        .env(STORAGE, path)
        .env(SEED, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut left = 1 + dice.roll(60);
    let moment = Duration::from_micros(dice.roll(4000));
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(said) = line.strip_prefix('>') {
            hear(said);
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
        }
    }
    assert_eq!(
        left,
        0,
        "the victim of seed {seed} ended by itself: {:?}",
        victim.try_wait()
    );
    // Not a wait for something: it moves the kill to anywhere within the steps that follow.
    tokio::time::sleep(moment).await;
    victim.kill().await.unwrap();
    let mut rest = String::new();
    lines.get_mut().read_to_string(&mut rest).await.unwrap();
    // A line without its end was not said.
    for line in rest.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        if let Some(said) = line.strip_prefix('>') {
            hear(said);
        }
    }
}
