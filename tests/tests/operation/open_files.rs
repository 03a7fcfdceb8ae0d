//! How many files may be open at once: what a shell allows is not what the daemon needs.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, run};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// A command of the daemon after what a shell does first.
async fn after(daemon: &Daemon, first: &str, args: &[&str]) -> Result<Command> {
    let plain = daemon.cli(args.iter().copied()).await?;
    let plain = plain.as_std();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{first} && exec \"$0\" \"$@\"")])
        .arg(plain.get_program())
        .args(plain.get_args())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ok(command)
}

#[tokio::test]
async fn a_low_limit_of_the_shell_is_raised() -> Result<()> {
    const CONNECTIONS: usize = 200;
    let beside = Daemon::builder().stand_in().start().await?;
    let dir = tempfile::TempDir::new()?;
    let args = ["serve", "--bind", "127.0.0.1:0"];
    let mut command = after(&beside, "ulimit -Sn 100", &args).await?;
    command
        .env("REVEILLE_STATE_DIR", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut served = command.spawn()?;
    let mut lines = BufReader::new(served.stdout.take().context("its output")?).lines();
    let first = timeout(LIMIT, lines.next_line()).await??.context("a first line")?;
    let (_, address) = first.split_once("http://").context("an address")?;
    let token = std::fs::read_to_string(dir.path().join("token"))?;
    // Streams: what is idle is closed for those who wait.
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let asked = async {
            let mut stream = TcpStream::connect(address.trim()).await?;
            let (host, token) = (address.trim(), token.trim());
            let request = format!("GET /api/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut status = [0; 12];
            stream.read_exact(&mut status).await?;
            open.push(stream);
            anyhow::Ok(status)
        };
        let status = timeout(LIMIT, asked)
            .await
            .with_context(|| format!("connection {number} waits"))??;
        assert_eq!(&status, b"HTTP/1.1 200", "connection {number}");
    }
    served.kill().await?;
    Ok(())
}

#[tokio::test]
async fn doctor_says_where_the_limit_is_too_low_for_the_connections() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    let dir = tempfile::TempDir::new()?;
    let looked = async |first: &str| -> Result<Value> {
        let mut command = after(&daemon, first, &["doctor", "--json"]).await?;
        command.env("REVEILLE_STATE_DIR", dir.path());
        let ran = run(command, "").await?;
        let told: Value = serde_json::from_str(&ran.stdout).with_context(|| ran.stderr)?;
        let checks = told["checks"].as_array().context("checks")?;
        let check = checks.iter().find(|one| one["check"] == "open files");
        Ok(check.context("a check of open files")?.clone())
    };
    let low = looked("ulimit -n 1000").await?;
    assert_eq!(low["level"], "warning", "{low}");
    assert!(low["detail"].to_string().contains("1024 connections"), "{low}");
    assert!(low["mend"].to_string().contains("max_connections"), "{low}");
    let fine = looked("ulimit -Sn 1000").await?;
    assert_eq!(fine["level"], "ok", "{fine}");
    Ok(())
}
