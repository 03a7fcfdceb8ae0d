//! Attacks on the sandbox through the door that people have, `reveille sandbox run`, by root and by somebody who is not. Each
//! stands beside something that is allowed in the same configuration, or that succeeds outside, so that a sandbox that lets
//! nothing run passes none. `tests/cases/sandbox.txt` says for each line of the requirements where it is shown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod as_agent;
mod calls;
mod concurrent;
mod environment;
mod files;
mod floods;
mod groups;
mod life;
mod map;
mod masks;
mod network;
mod origin;
mod processes;
mod replaced;
mod rights;
mod turns;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::daemon::{Ran, run};
use reveille_tests::ground::{Ground, people};

/// What [`inside`] and [`outside`] begin with.
const ATTACK: &str = include_str!("attack.py");

/// Runs a program in Python in the sandbox: what it printed.
async fn inside(ground: &Ground, options: &[&str], code: &str) -> Result<String> {
    let code = format!("{ATTACK}\n{code}");
    said(ground.sandbox(options, ["python3", "-c", &code]).await?)
}

/// The same without the sandbox.
async fn outside(ground: &Ground, code: &str) -> Result<String> {
    let code = format!("{ATTACK}\n{code}");
    said(ground.outside("python3", ["-c", &code]).await?)
}

/// What a command printed that ended well.
fn said(ran: Ran) -> Result<String> {
    ensure!(ran.code == 0, "{ran:?}");
    Ok(ran.stdout)
}

/// Lines as a program prints them.
fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Does the same on ground of each person there is.
async fn everybody(test: impl AsyncFn(&Ground) -> Result<()>) -> Result<()> {
    for person in people() {
        let ground = Ground::of(person).await?;
        test(&ground).await.with_context(|| format!("{person:?}"))?;
    }
    Ok(())
}

/// Without a sandbox that keeps what it promises the other tests would say nothing: this fails then, and is not passed over.
#[tokio::test]
async fn the_probe_is_content() -> Result<()> {
    everybody(async |ground| {
        let mut command = ground.command(ground.program());
        command.args(["sandbox", "probe", "--json"]);
        let ran = run(command, "").await?;
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{ran:?}"))?;
        ensure!(report["ok"] == true && ran.code == 0, "{report:#}");
        let checks = report["checks"].as_array().context("checks")?;
        ensure!(checks.len() > 8, "{report:#}");
        ensure!(
            report["seccomp"] == true && report["userns"] == true && report["landlock_abi"].as_u64() > Some(0),
            "{report:#}"
        );
        Ok(())
    })
    .await
}
